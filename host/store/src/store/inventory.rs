//! Servers and clusters.

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Inventory, ServerRecord, StoreError};

use crate::failure::Refusal;
use crate::operations::{history, topology};
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};

#[async_trait]
impl<B: Backend> Inventory for SqlStore<B> {
    async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError> {
        self.all(
            "reading the servers",
            topology::SERVERS,
            Vec::new(),
            topology::read_server,
        )
        .await
    }

    async fn put_servers(&self, rows: &[ServerRecord]) -> Result<(), StoreError> {
        write!(self, "recording servers", |session| topology::put_servers(
            session, rows
        ))
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        write!(self, "forgetting a server", |session| {
            topology::forget_server(session, id)
        })
    }

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        write!(self, "setting a quarantine", |session| {
            topology::set_quarantine(session, id, errant)
        })
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.all(
            "reading the clusters",
            topology::CLUSTERS,
            Vec::new(),
            topology::read_cluster,
        )
        .await
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        write!(
            self,
            "recording a cluster",
            |session| topology::put_cluster(session, id, name)
        )
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        write!(self, "forgetting a cluster", |session| {
            topology::forget_cluster(session, id)
        })
    }

    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.all(
            "reading histories",
            history::HISTORIES,
            Vec::new(),
            history::read,
        )
        .await
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        write!(self, "recording a history", |session| history::put(
            session,
            (lease, epoch),
            cluster,
            seen
        ))
    }
}
