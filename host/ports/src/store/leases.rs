//! Leases: which node may lead, and under which epoch.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, NodeName};
pub use baton_core::leadership::LeaseState;

use super::StoreError;

/// Outcome of trying to take or renew a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Held by the caller now.
    Held(LeaseState),
    /// Held by another node, or by nobody.
    Other(LeaseState),
}

/// Named leases. An epoch only grows, and no two grants share one.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Reads a lease; `None` if nobody ever took it.
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError>;
    /// The highest epoch of a lease that is known here; 0 if there is none. A store with a local
    /// disk answers from that disk while the shared store is away.
    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        let state = self.lease(name).await?;
        Ok(state.map_or(LeaseEpoch::default(), |state| state.epoch))
    }
    /// Takes the lease if it is free, if the caller holds it, or if it is still in the state
    /// `expected` (epoch and renewals) that the caller saw unchanged for long enough.
    ///
    /// The new epoch is greater than the stored one and than `highest`, the highest epoch that the
    /// caller ever saw: a store that lost commits, or was restored from an old copy, must not
    /// grant an epoch again. A lease whose stored epoch is below `highest` is taken only as
    /// `expected`, even if it is free or the caller's own: the node that took it in a lost commit
    /// may still hold it.
    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError>;
    /// Renews the caller's lease. One that nobody ever took is [`Claim::Other`] with epoch 0.
    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError>;
    /// Gives up the caller's lease; does nothing if another node holds it.
    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError>;
}
