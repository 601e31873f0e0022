//! A shared store, a node in front of it, and its disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, RecoveryId, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_core::time::WallTime;
use baton_failsafe::{FailsafeOptions, FailsafeStatus, FailsafeStore};
use baton_ports::prelude::*;
use baton_ports::{Claim, JournalEntry, RecoveryRecord};
use baton_store::{Durability, SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::faulty::FaultyStore;
use crate::support::{LEASE, TTL, line, node, recovery};

/// Longest time a write may take, whatever the shared store does: the limit that it is given and a
/// disk that is busy with other tests.
pub(crate) const AT_MOST: Duration = Duration::from_secs(3);

pub(crate) struct Bed {
    pub(crate) shared: Arc<FaultyStore>,
    directory: TempDir,
}

/// A node's store, with the task that attends to it.
pub(crate) struct Node {
    pub(crate) store: Arc<FailsafeStore>,
    attending: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.attending.abort();
    }
}

impl std::ops::Deref for Node {
    type Target = FailsafeStore;

    fn deref(&self) -> &FailsafeStore {
        &self.store
    }
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let inner = SqliteStore::open(":memory:", &SqliteOptions::default())
            .await
            .unwrap()
            .store;
        let cluster = ClusterId::new("c1");
        inner.put_cluster(&cluster, "orders").await.unwrap();
        Self {
            shared: Arc::new(FaultyStore::new(inner)),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.db"))
    }

    /// A node, attended to.
    pub(crate) async fn node(&self, name: &str) -> Node {
        let options = SqliteOptions {
            durability: Durability::Process,
            ..SqliteOptions::default()
        };
        let local = SqliteStore::open(self.disk(name), &options).await.unwrap();
        let local = Arc::new(local.store);
        let options = FailsafeOptions::of(node(name));
        let shared = Arc::clone(&self.shared) as Arc<dyn baton_ports::Store>;
        let store = FailsafeStore::open(shared, local, options).await;
        let store = Arc::new(store.unwrap());
        let attended = Arc::clone(&store);
        Node {
            store,
            attending: tokio::spawn(async move { attended.attend().await }),
        }
    }
}

impl Node {
    /// Bids for the lease until it is held.
    pub(crate) async fn lead(&self, name: &str) -> LeaseEpoch {
        let mut seen = None;
        loop {
            let claim = self
                .claim_lease(LEASE, &node(name), TTL, seen, LeaseEpoch::default())
                .await;
            match claim.unwrap() {
                Claim::Held(state) => return state.epoch,
                Claim::Other(state) => seen = Some((state.epoch, state.renewals)),
            }
        }
    }

    /// A whole recovery of cluster `c1`, in which `db2` becomes the primary.
    pub(crate) async fn recover(&self, id: &str, epoch: LeaseEpoch) -> RecoveryRecord {
        let row = recovery(id, "c1", epoch);
        quick(self.begin_recovery(LEASE, &row)).await.unwrap();
        self.write_lines(id, epoch, 1..3).await;
        let cluster = ClusterId::new("c1");
        let primary = ServerId::new("db2:3306");
        quick(self.set_primary(LEASE, epoch, &cluster, &primary))
            .await
            .unwrap();
        let route = baton_ports::Route {
            key: "mysql/master/orders".to_owned(),
            value: "db2:3306".to_owned(),
            epoch,
        };
        quick(self.put_routes(LEASE, epoch, &[route]))
            .await
            .unwrap();
        self.end(row).await
    }

    pub(crate) async fn write_lines(
        &self,
        id: &str,
        epoch: LeaseEpoch,
        steps: std::ops::Range<u32>,
    ) {
        let lines: Vec<JournalEntry> = steps.map(line).collect();
        let id = RecoveryId::new(id);
        quick(self.journal(LEASE, &id, epoch, &lines))
            .await
            .unwrap();
    }

    pub(crate) async fn end(&self, row: RecoveryRecord) -> RecoveryRecord {
        let ended = RecoveryRecord {
            outcome: RecoveryOutcome::Succeeded,
            successor: Some(ServerId::new("db2:3306")),
            successor_address: Some(baton_core::ids::Address::new("db2", 3306).unwrap()),
            ended: Some(WallTime::from_millis(9)),
            committed: true,
            ..row
        };
        quick(self.update_recovery(LEASE, &ended)).await.unwrap();
        ended
    }

    pub(crate) async fn until(&self, what: impl Fn(&FailsafeStatus) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !what(&self.status()) {
            assert!(Instant::now() < deadline, "{:?}", self.status());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Until the shared store has everything.
    pub(crate) async fn until_handed_over(&self) {
        self.until(|status| {
            status.away_for.is_none()
                && (status.unsent_recoveries, status.unsent_audits) == (0, 0)
                && !status.unsent_intents
        })
        .await;
    }
}

/// A call that must not wait for the shared store.
pub(crate) async fn quick<T>(call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let answer = call.await;
    let took = begun.elapsed();
    assert!(took < AT_MOST, "took {took:?}");
    answer
}

/// Steps of the journal in the shared store.
pub(crate) async fn steps(shared: &SqliteStore, id: &str) -> Vec<u32> {
    let steps = shared.steps(&RecoveryId::new(id)).await.unwrap();
    steps.into_iter().map(|step| step.entry.step).collect()
}
