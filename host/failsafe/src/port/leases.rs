//! Leases.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::{Claim, LeaseState, Leases, StoreError};

use crate::FailsafeStore;

#[async_trait]
impl Leases for FailsafeStore {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.shared.lease(name).await
    }

    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        const OPERATION: &str = "reading the highest epoch of a lease";
        let known = self.rights().highest(name);
        if self.health.is_away() {
            return Ok(known);
        }
        let shared = self.shared.highest_epoch(name);
        let read = self.within(OPERATION, self.options.read, shared).await;
        Ok(read.map_or(known, |shared| shared.max(known)))
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let highest = highest.max(self.rights().highest(name));
        let call = self.shared.claim_lease(name, node, ttl, expected, highest);
        let claim = self.claim("claiming a lease", call).await?;
        self.note_claim(name, &claim).await;
        Ok(claim)
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        let call = self.shared.renew_lease(name, node, epoch);
        let claim = self.claim("renewing a lease", call).await?;
        self.note_claim(name, &claim).await;
        Ok(claim)
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.rights().released(name, node, epoch);
        self.shared.release_lease(name, node, epoch).await
    }
}
