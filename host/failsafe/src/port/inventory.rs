//! Servers and clusters.

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Inventory, ServerRecord, StoreError};

use super::ANY_AGE;
use crate::FailsafeStore;
use crate::overlay;

#[async_trait]
impl Inventory for FailsafeStore {
    async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError> {
        let copy = (&self.copies.servers, ANY_AGE);
        self.read("reading the servers", copy, self.shared.servers())
            .await
    }

    async fn put_servers(&self, rows: &[ServerRecord]) -> Result<(), StoreError> {
        self.pass("recording servers", self.shared.put_servers(rows))
            .await
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        let forgotten = self
            .pass("forgetting a server", self.shared.forget_server(id))
            .await?;
        self.copies.forget_server(id);
        Ok(forgotten)
    }

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        self.pass(
            "setting a quarantine",
            self.shared.set_quarantine(id, errant),
        )
        .await?;
        self.copies.set_quarantine(id, errant);
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        let copy = (&self.copies.clusters, ANY_AGE);
        let rows = self
            .read("reading the clusters", copy, self.shared.clusters())
            .await?;
        Ok(overlay::clusters(rows, &self.disk.mirror()))
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        self.pass("recording a cluster", self.shared.put_cluster(id, name))
            .await
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        self.pass("forgetting a cluster", self.shared.forget_cluster(id))
            .await
    }

    /// Never an earlier answer: the caller keeps the histories in memory.
    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.pass("reading histories", self.shared.histories())
            .await
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        let recording = self.shared.put_history(lease, epoch, cluster, seen);
        self.pass("recording a history", recording).await
    }
}
