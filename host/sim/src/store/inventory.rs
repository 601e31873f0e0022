//! Servers and clusters.

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Inventory, ServerRecord, StoreError};

use crate::link::{READ_PATIENCE, SimStore};
use crate::tables::conflict;

#[async_trait]
impl Inventory for SimStore {
    async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError> {
        self.enter_somewhere("reading servers", READ_PATIENCE)
            .await?;
        Ok(self.lock().servers.values().cloned().collect())
    }

    async fn put_servers(&self, rows: &[ServerRecord]) -> Result<(), StoreError> {
        self.enter("writing servers").await?;
        self.lock().put_servers(rows)
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        self.enter("forgetting a server").await?;
        Ok(self.lock().forget_server(id))
    }

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        const OPERATION: &str = "setting a quarantine";
        self.enter(OPERATION).await?;
        let mut tables = self.lock();
        tables.server(OPERATION, id)?.quarantine = errant.map(str::to_owned);
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.enter_somewhere("reading clusters", READ_PATIENCE)
            .await?;
        Ok(self.lock().clusters.values().cloned().collect())
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        self.enter("writing a cluster").await?;
        let mut tables = self.lock();
        let taken = tables
            .clusters
            .values()
            .any(|row| row.name == name && row.id != *id);
        if taken {
            let why = format!("another cluster is named {name}");
            return Err(conflict("writing a cluster", why));
        }
        let row = tables
            .clusters
            .entry(id.clone())
            .or_insert_with(|| ClusterRecord {
                id: id.clone(),
                name: String::new(),
                primary: None,
                primary_epoch: LeaseEpoch::default(),
            });
        name.clone_into(&mut row.name);
        Ok(())
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        self.enter("forgetting a cluster").await?;
        self.lock().forget_cluster(id)
    }

    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.enter("reading histories").await?;
        Ok(self.lock().histories.clone().into_iter().collect())
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        self.enter("recording a history").await?;
        let mut tables = self.lock();
        tables.guard("recording a history", lease, epoch)?;
        tables.histories.insert(cluster.clone(), seen.clone());
        Ok(())
    }
}
