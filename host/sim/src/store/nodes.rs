//! Nodes and voters.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName};
use baton_core::leadership::quorum::Voters;
use baton_ports::{NodeRecord, Nodes, StoreError};

use crate::link::{READ_PATIENCE, SimStore};

#[async_trait]
impl Nodes for SimStore {
    async fn beat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.enter("registering a node").await?;
        let mut tables = self.lock();
        let beats = tables.nodes.get(&node.name).map_or(0, |row| row.beats);
        let row = NodeRecord {
            beats: beats + 1,
            ..node.clone()
        };
        tables.nodes.insert(node.name.clone(), row);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.enter("reading the nodes").await?;
        Ok(self.lock().nodes.values().cloned().collect())
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        self.enter("forgetting a node").await?;
        Ok(self.lock().nodes.remove(name).is_some())
    }

    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.enter_somewhere("reading the recorded members", READ_PATIENCE)
            .await?;
        let tables = self.lock();
        Ok(tables
            .voters
            .iter()
            .map(|(id, voters)| (id.clone(), voters.clone()))
            .collect())
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        self.enter("recording members").await?;
        let mut tables = self.lock();
        tables.guard("recording members", lease, epoch)?;
        tables.voters.insert(cluster.clone(), voters.clone());
        Ok(())
    }

    async fn ping(&self, _node: &NodeName) -> Result<(), StoreError> {
        self.enter("checking the store").await
    }
}
