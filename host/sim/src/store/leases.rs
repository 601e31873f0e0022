//! Leases.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::{Claim, LeaseState, Leases, StoreError};

use crate::link::SimStore;
use crate::votes;

#[async_trait]
impl Leases for SimStore {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.enter("reading the lease").await?;
        Ok(self.lock().leases.get(name).cloned())
    }

    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        self.enter("reading the highest epoch").await?;
        let tables = self.lock();
        let row = tables.leases.get(name);
        Ok(row.map_or(LeaseEpoch::default(), |row| row.epoch))
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.enter("claiming the lease").await?;
        let mut tables = self.lock();
        let old = tables.leases.get(name).cloned();
        if let Some(old) = &old {
            let free =
                old.holder.as_ref().is_none_or(|holder| holder == node) && old.epoch >= highest;
            if !free && expected != Some((old.epoch, old.renewals)) {
                return Ok(Claim::Other(old.clone()));
            }
        }
        let epoch = LeaseEpoch(old.map_or(0, |old| old.epoch.0).max(highest.0) + 1);
        let state = LeaseState {
            holder: Some(node.clone()),
            epoch,
            renewals: 0,
            ttl,
        };
        tables.leases.insert(name.to_owned(), state.clone());
        votes::note_grant(&mut tables.state, self.node, ttl);
        Ok(Claim::Held(state))
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.enter("renewing the lease").await?;
        let mut tables = self.lock();
        let Some(state) = tables.leases.get_mut(name) else {
            return Ok(Claim::Other(LeaseState {
                holder: None,
                epoch: LeaseEpoch::default(),
                renewals: 0,
                ttl: Duration::ZERO,
            }));
        };
        if state.holder.as_ref() != Some(node) || state.epoch != epoch {
            return Ok(Claim::Other(state.clone()));
        }
        state.renewals += 1;
        let state = state.clone();
        votes::note_grant(&mut tables.state, self.node, state.ttl);
        Ok(Claim::Held(state))
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.enter("releasing the lease").await?;
        let mut tables = self.lock();
        if let Some(state) = tables.leases.get_mut(name)
            && state.holder.as_ref() == Some(node)
            && state.epoch == epoch
        {
            state.holder = None;
            votes::note_release(&mut tables.state, self.node);
        }
        Ok(())
    }
}
