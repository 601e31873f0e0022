//! Intended primaries and routes.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Intents, Route, StoreError};

use crate::link::{READ_PATIENCE, SimStore};

#[async_trait]
impl Intents for SimStore {
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.write("recording the primary", |tables| {
            tables.set_primary(lease, epoch, cluster, primary)?;
            tables.recorders.insert(cluster.clone(), self.node);
            Ok(())
        })
        .await
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.write("writing routes", |tables| {
            tables.guard("writing routes", lease, epoch)?;
            for route in routes {
                let newer = tables
                    .routes
                    .get(&route.key)
                    .is_some_and(|old| old.epoch > epoch);
                if !newer {
                    let route = Route {
                        epoch,
                        ..route.clone()
                    };
                    tables.routes.insert(route.key.clone(), route);
                }
            }
            Ok(())
        })
        .await
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.enter_somewhere("reading routes", READ_PATIENCE)
            .await?;
        Ok(self.lock().routes.values().cloned().collect())
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRecord],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "taking over primaries and routes";
        self.enter(OPERATION).await?;
        let mut tables = self.lock();
        tables.guard(OPERATION, lease, epoch)?;
        for row in clusters {
            if let Some(old) = tables.clusters.get_mut(&row.id)
                && old.primary_epoch <= row.primary_epoch
            {
                old.primary.clone_from(&row.primary);
                old.primary_epoch = row.primary_epoch;
            }
        }
        for route in routes {
            let old = tables.routes.get(&route.key);
            if old.is_none_or(|old| old.epoch <= route.epoch) {
                tables.routes.insert(route.key.clone(), route.clone());
            }
        }
        Ok(())
    }
}
