//! The servers and clusters that Baton knows, and what it observed of them.

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::model::PromotionRule;
use baton_core::time::WallTime;

use super::StoreError;

/// A known server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRecord {
    /// Identity.
    pub id: ServerId,
    /// Present address.
    pub address: Address,
    /// The server's own unique identity, once read.
    pub uid: Option<String>,
    /// Cluster it belongs to.
    pub cluster: Option<ClusterId>,
    /// When it last answered in full.
    pub last_seen: Option<WallTime>,
    /// Other addresses by which it is known.
    pub aliases: Vec<Address>,
    /// Promotion rule.
    pub promotion: PromotionRule,
    /// When the rule ends; `None` = never.
    pub promotion_expires: Option<WallTime>,
    /// Set aside with errant transactions, as text.
    pub quarantine: Option<String>,
}

/// A known cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// Identity.
    pub id: ClusterId,
    /// Name, unique.
    pub name: String,
    /// Intended primary.
    pub primary: Option<ServerId>,
    /// Epoch under which it was set.
    pub primary_epoch: LeaseEpoch,
}

/// Known servers and clusters.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// All known servers.
    async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError>;
    /// Inserts or replaces servers. Promotion rule, its expiry and quarantine keep their values;
    /// a new server starts without them. An unknown cluster is a [`StoreError::Conflict`].
    async fn put_servers(&self, rows: &[ServerRecord]) -> Result<(), StoreError>;
    /// Forgets a server with all that is recorded about it: its downtime, and that it is the
    /// intended primary of a cluster. `false` if it is unknown.
    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError>;
    /// Sets or clears the quarantine of a server (text: its errant transactions).
    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError>;
    /// All clusters.
    async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError>;
    /// Inserts a cluster, or renames it. Names are unique: [`StoreError::Conflict`].
    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError>;
    /// Removes a cluster; [`StoreError::Conflict`] while it has servers.
    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError>;
    /// The most transactions that were seen in each cluster.
    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError>;
    /// Replaces the recorded transactions of a cluster.
    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError>;
}
