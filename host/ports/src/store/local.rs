//! A store on a node's own disk.

use async_trait::async_trait;
use baton_core::ids::{LeaseEpoch, RecoveryId};

use super::{Store, StoreError};

/// A store that one node has for itself, and from which it removes what another store has by now.
#[async_trait]
pub trait LocalStore: Store {
    /// The highest epoch of each lease.
    async fn epochs(&self) -> Result<Vec<(String, LeaseEpoch)>, StoreError>;
    /// The number of audit lines.
    async fn audit_count(&self) -> Result<u32, StoreError>;
    /// Removes the oldest audit line.
    async fn remove_oldest_audit(&self) -> Result<(), StoreError>;
    /// Removes a recovery and its journal; does nothing if it is unknown.
    async fn remove_recovery(&self, id: &RecoveryId) -> Result<(), StoreError>;
    /// For a clean stop: nothing of this store is called after it.
    async fn close(&self);
}
