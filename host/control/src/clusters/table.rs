//! The loops that run, as the outside reaches them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use baton_core::ids::ClusterId;
use tokio::sync::mpsc;

use super::decide::{Published, Request};
use super::policy::PolicyClient;
use crate::api::{ClusterView, RequestError};
use crate::locking::lock;

/// One running loop.
#[derive(Clone)]
pub(crate) struct ClusterHandle {
    pub(crate) published: Arc<Published>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) policy: Arc<PolicyClient>,
}

/// All running loops, by cluster.
#[derive(Default)]
pub(crate) struct ClusterTable(Mutex<BTreeMap<ClusterId, ClusterHandle>>);

impl ClusterTable {
    /// The loop of a cluster, or that there is none.
    pub(crate) fn require(&self, id: &ClusterId) -> Result<ClusterHandle, RequestError> {
        let found = lock(&self.0).get(id).cloned();
        found.ok_or_else(|| RequestError::not_found("cluster", id.as_str()))
    }

    pub(crate) fn insert(&self, id: ClusterId, handle: ClusterHandle) {
        lock(&self.0).insert(id, handle);
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What the loops published last.
    pub(crate) fn views(&self) -> Vec<Arc<ClusterView>> {
        let clusters = lock(&self.0);
        clusters
            .values()
            .filter_map(|cluster| cluster.published.view())
            .collect()
    }
}
