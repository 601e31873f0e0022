//! Intents: which server should be the primary of a cluster, and where clients are sent.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};

use super::{ClusterRecord, StoreError};

/// Where clients of a cluster are sent: a key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Key, for example `mysql/master/<cluster name>`.
    pub key: String,
    /// Value, for example `host:port`.
    pub value: String,
    /// Epoch under which it was written; an older epoch never overwrites a newer one.
    pub epoch: LeaseEpoch,
}

/// Intended primaries and routes. Each is stored with the epoch under which it was written; an
/// older epoch never overwrites a newer one.
#[async_trait]
pub trait Intents: Send + Sync {
    /// Records the intended primary of a cluster. A newer epoch in the record is
    /// [`StoreError::Fenced`], an unknown cluster [`StoreError::Conflict`].
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError>;
    /// Writes routes under `epoch`; a route with a newer epoch stays as it is.
    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError>;
    /// All routes.
    async fn routes(&self) -> Result<Vec<Route>, StoreError>;
    /// Merges primaries and routes that a node recorded on its local disk, each under its own
    /// epoch. A record here under a later epoch stays. Under the same epoch, which had one holder,
    /// the merged one replaces it. Unknown clusters are skipped. The call may be repeated.
    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRecord],
        routes: &[Route],
    ) -> Result<(), StoreError>;
}
