//! Intended primaries and routes.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_ports::{ClusterRecord, Intents, Route, StoreError};

use crate::failure::Refusal;
use crate::operations::{handover, route, topology};
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};

#[async_trait]
impl<B: Backend> Intents for SqlStore<B> {
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        write!(self, "recording the intended primary", |session| {
            topology::set_primary(session, lease, epoch, cluster, primary)
        })
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        write!(self, "writing routes", |session| route::put(
            session, lease, epoch, routes
        ))
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.all("reading routes", route::ROUTES, Vec::new(), route::read)
            .await
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRecord],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        write!(self, "taking over primaries and routes", |session| {
            handover::merge_intents(session, (lease, epoch), clusters, routes)
        })
    }
}
