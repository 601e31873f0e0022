//! Intended primaries and routes.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Intents, Route, StoreError};

use super::ANY_AGE;
use crate::FailsafeStore;
use crate::disk::Subject;
use crate::overlay;

#[async_trait]
impl Intents for FailsafeStore {
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.write(
            "recording the intended primary",
            (lease, epoch),
            Subject::Intents,
            self.disk.set_primary((lease, epoch), cluster, primary),
            self.shared.set_primary(lease, epoch, cluster, primary),
        )
        .await
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.write(
            "writing routes",
            (lease, epoch),
            Subject::Intents,
            self.disk.put_routes((lease, epoch), routes),
            self.shared.put_routes(lease, epoch, routes),
        )
        .await
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        let copy = (&self.copies.routes, ANY_AGE);
        let routes = self
            .read("reading routes", copy, self.shared.routes())
            .await?;
        Ok(overlay::routes(routes, &self.disk.mirror()))
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRecord],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.pass(
            "taking over primaries and routes",
            self.shared.merge_intents(lease, epoch, clusters, routes),
        )
        .await
    }
}
