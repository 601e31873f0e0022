//! Nodes and voters.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName};
use baton_core::leadership::quorum::Voters;
use baton_ports::{NodeRecord, Nodes, StoreError};

use crate::failure::Refusal;
use crate::operations::{health, node};
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};

#[async_trait]
impl<B: Backend> Nodes for SqlStore<B> {
    async fn beat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        write!(self, "registering a node", |session| node::beat(
            session, node
        ))
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.all("reading the nodes", node::NODES, Vec::new(), node::read)
            .await
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        write!(self, "forgetting a node", |session| node::forget(
            session, name
        ))
    }

    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.all(
            "reading the recorded members",
            node::VOTERS,
            Vec::new(),
            node::read_voters,
        )
        .await
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        write!(self, "recording members", |session| node::set_voters(
            session,
            (lease, epoch),
            cluster,
            voters
        ))
    }

    async fn ping(&self, node: &NodeName) -> Result<(), StoreError> {
        write!(self, "checking the store", |session| health::beat(
            session, node
        ))
    }
}
