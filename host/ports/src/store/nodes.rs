//! Baton's own nodes, and the voters of each cluster.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName};
use baton_core::leadership::quorum::Voters;

use super::StoreError;

/// A Baton node as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// Unique per process start.
    pub start: String,
    /// Where its API listens, for people and for forwarding.
    pub url: String,
    /// Program version.
    pub version: String,
    /// Grows while it lives; counted by the store.
    pub beats: u64,
    /// Newest version of recorded members (over all clusters) that it has read.
    pub voters_seen: u64,
}

/// Registered nodes and recorded voters.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Registers a node, or shows that it is alive: the store counts `beats`.
    async fn beat(&self, node: &NodeRecord) -> Result<(), StoreError>;
    /// All registered nodes, by name.
    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError>;
    /// Removes a node that will not return; `false` if it is unknown.
    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError>;
    /// The recorded voters of all clusters.
    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError>;
    /// Records the voters of a cluster. The caller chooses a version that is greater than that of
    /// every other record; the store does not check it.
    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError>;
    /// Commits something for this node: `Ok` means that the store accepts writes.
    async fn ping(&self, node: &NodeName) -> Result<(), StoreError>;
}
