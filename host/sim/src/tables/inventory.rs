//! Servers, clusters and intents in the tables: the same refusals as a real store's.

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::model::PromotionRule;
use baton_ports::{ServerRecord, StoreError};

use super::{Tables, conflict};

impl Tables {
    pub(crate) fn put_servers(&mut self, rows: &[ServerRecord]) -> Result<(), StoreError> {
        let mut clusters = rows.iter().filter_map(|row| row.cluster.as_ref());
        if let Some(unknown) = clusters.find(|id| !self.clusters.contains_key(*id)) {
            let why = format!("cluster {unknown} is not recorded");
            return Err(conflict("writing servers", why));
        }
        for row in rows {
            let old = self.servers.get(&row.id);
            let row = ServerRecord {
                promotion: old.map_or(PromotionRule::default(), |old| old.promotion),
                promotion_expires: old.and_then(|old| old.promotion_expires),
                quarantine: old.and_then(|old| old.quarantine.clone()),
                ..row.clone()
            };
            self.servers.insert(row.id.clone(), row);
        }
        Ok(())
    }

    pub(crate) fn forget_server(&mut self, id: &ServerId) -> bool {
        self.downtimes.remove(id);
        for row in self.clusters.values_mut() {
            row.primary.take_if(|primary| primary == id);
        }
        self.servers.remove(id).is_some()
    }

    pub(crate) fn forget_cluster(&mut self, id: &ClusterId) -> Result<(), StoreError> {
        let mut servers = self.servers.values();
        if let Some(server) = servers.find(|row| row.cluster.as_ref() == Some(id)) {
            let why = format!("cluster {id} still has server {}", server.id);
            return Err(conflict("forgetting a cluster", why));
        }
        self.clusters.remove(id);
        self.histories.remove(id);
        Ok(())
    }

    pub(crate) fn server(
        &mut self,
        operation: &'static str,
        id: &ServerId,
    ) -> Result<&mut ServerRecord, StoreError> {
        let row = self.servers.get_mut(id);
        row.ok_or_else(|| conflict(operation, format!("server {id} is not recorded")))
    }

    pub(crate) fn set_primary(
        &mut self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "recording the primary";
        self.guard(OPERATION, lease, epoch)?;
        let Some(row) = self.clusters.get_mut(cluster) else {
            let why = format!("cluster {cluster} is not recorded");
            return Err(conflict(OPERATION, why));
        };
        if row.primary_epoch > epoch {
            return Err(StoreError::Fenced {
                operation: OPERATION,
                epoch,
            });
        }
        row.primary = Some(primary.clone());
        row.primary_epoch = epoch;
        Ok(())
    }
}
