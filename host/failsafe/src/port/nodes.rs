//! Nodes and voters.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName};
use baton_core::leadership::quorum::Voters;
use baton_ports::{NodeRecord, Nodes, StoreError};

use crate::FailsafeStore;

#[async_trait]
impl Nodes for FailsafeStore {
    async fn beat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.shared.beat(node).await
    }

    /// Never an earlier answer: the registered nodes decide when a change of voters has ended.
    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.pass("reading the nodes", self.shared.nodes()).await
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        self.pass("forgetting a node", self.shared.forget_node(name))
            .await
    }

    /// Never an earlier answer: the caller keeps the voters in memory, and must see what is
    /// recorded.
    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.pass("reading the recorded members", self.shared.voters())
            .await
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        self.pass(
            "recording members",
            self.shared.set_voters(lease, epoch, cluster, voters),
        )
        .await
    }

    async fn ping(&self, node: &NodeName) -> Result<(), StoreError> {
        self.shared.ping(node).await
    }
}
