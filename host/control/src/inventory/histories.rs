//! The store keeps the history that was seen of each cluster. After a power failure nothing else
//! tells which transactions were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::time::Timestamp;
use baton_ports::{Clock, Store};
use tokio::time::sleep;

use super::{Inventory, Registry};
use crate::locking::lock;

/// How often the histories are checked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a history that grows is recorded. A primary that does not answer is recorded at once.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// Keeps the most that was seen in the store.
pub(crate) struct Histories {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The lease under which histories are recorded.
    pub(crate) lease: &'static str,
    pub(crate) written: Mutex<Written>,
}

/// The recorded history of each cluster, and when it was recorded.
pub(crate) type Written = BTreeMap<ClusterId, (GtidSet, Timestamp)>;

impl Histories {
    /// Takes over the recorded histories. If the store cannot be read, no cluster waits for it.
    pub(crate) async fn recall(&self) {
        match self.store.histories().await {
            Ok(recorded) => self.registry.recall(recorded, self.clock.now()),
            Err(error) => {
                tracing::warn!(
                    error = error.with_causes(),
                    "what was seen of the clusters' histories cannot be read: a loss since may go unnoticed"
                );
            }
        }
    }

    /// Records the histories while this node leads, until dropped.
    pub(crate) async fn keep(&self) {
        loop {
            self.write(WRITE_EVERY).await;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Records the histories that have grown, and were recorded longer ago than `pause`.
    pub(crate) async fn write(&self, pause: Duration) {
        for (epoch, cluster, seen) in self.due(pause) {
            match self
                .store
                .put_history(self.lease, epoch, &cluster, &seen)
                .await
            {
                Ok(()) => drop(lock(&self.written).insert(cluster, (seen, self.clock.now()))),
                // Tried again soon.
                Err(error) => tracing::debug!(
                    %cluster,
                    error = error.with_causes(),
                    "what was seen of the cluster's history is not recorded"
                ),
            }
        }
    }

    fn due(&self, pause: Duration) -> Vec<(LeaseEpoch, ClusterId, GtidSet)> {
        let written = lock(&self.written);
        let now = self.clock.now();
        let inventory = self.registry.latest();
        let Some(epoch) = inventory.lease else {
            return Vec::new();
        };
        let clusters = inventory.clusters.iter().filter_map(|(id, entry)| {
            let seen = &entry.highest.as_ref()?.set;
            let is_lost = entry
                .row
                .primary
                .as_ref()
                .is_some_and(|primary| is_lost(&inventory, primary));
            let is_due = written
                .get(id)
                .is_none_or(|(before, at)| before != seen && (is_lost || now.since(*at) >= pause));
            is_due.then(|| (epoch, id.clone(), seen.clone()))
        });
        clusters.collect()
    }
}

fn is_lost(inventory: &Inventory, primary: &ServerId) -> bool {
    let entry = inventory.servers.get(primary);
    entry.is_some_and(|entry| entry.probe.failing_since.is_some())
}
