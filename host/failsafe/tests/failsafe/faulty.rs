//! A shared store that fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{
    AuditLog, AuditRecord, Claim, ClusterRecord, Intents, Inventory, JournalEntry, LeaseState,
    Leases, NodeRecord, Nodes, OperatorSettings, RecoveryLog, RecoveryRecord, Route, ServerRecord,
    StepRecord, StoreError,
};
use baton_store::SqliteStore;
use tokio::sync::watch;

/// What it does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is asked.
    Here,
    /// Fails at once.
    Away,
    /// Answers when it is here again, and does it then.
    Stalls,
    /// Does it, and answers when it is here again.
    Mute,
    /// Takes over recoveries when it is here again, and does what else is asked.
    Busy,
}

/// The store.
pub(crate) struct FaultyStore {
    pub(crate) inner: SqliteStore,
    mood: watch::Sender<Fault>,
    pub(crate) calls: AtomicUsize,
    /// Times that the downtimes were read, whether or not that was answered.
    pub(crate) downtimes_read: AtomicUsize,
}

impl FaultyStore {
    pub(crate) fn new(inner: SqliteStore) -> Self {
        Self {
            inner,
            mood: watch::Sender::new(Fault::Here),
            calls: AtomicUsize::new(0),
            downtimes_read: AtomicUsize::new(0),
        }
    }

    pub(crate) fn become_now(&self, mood: Fault) {
        self.mood.send_replace(mood);
    }

    async fn until_here(&self) {
        let mut mood = self.mood.subscribe();
        mood.wait_for(|mood| *mood == Fault::Here).await.unwrap();
    }

    async fn around<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.borrow();
        match mood {
            Fault::Here | Fault::Busy => call.await,
            Fault::Away => Err(StoreError::Unavailable {
                operation: "something",
                source: "told so".into(),
            }),
            Fault::Stalls => {
                self.until_here().await;
                call.await
            }
            Fault::Mute => {
                let done = call.await;
                self.until_here().await;
                done
            }
        }
    }
}

#[async_trait]
impl Leases for FaultyStore {
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError> {
        self.around(self.inner.lease(name)).await
    }

    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.around(self.inner.claim_lease(name, node, ttl, expected, highest))
            .await
    }

    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError> {
        self.around(self.inner.renew_lease(name, node, epoch)).await
    }

    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.around(self.inner.release_lease(name, node, epoch))
            .await
    }
}

#[async_trait]
impl Nodes for FaultyStore {
    async fn beat(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.around(self.inner.beat(node)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.around(self.inner.nodes()).await
    }

    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError> {
        self.around(self.inner.forget_node(name)).await
    }

    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError> {
        self.around(self.inner.voters()).await
    }

    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError> {
        self.around(self.inner.set_voters(lease, epoch, cluster, voters))
            .await
    }

    async fn ping(&self, node: &NodeName) -> Result<(), StoreError> {
        self.around(self.inner.ping(node)).await
    }
}

#[async_trait]
impl Inventory for FaultyStore {
    async fn servers(&self) -> Result<Vec<ServerRecord>, StoreError> {
        self.around(self.inner.servers()).await
    }

    async fn put_servers(&self, rows: &[ServerRecord]) -> Result<(), StoreError> {
        self.around(self.inner.put_servers(rows)).await
    }

    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError> {
        self.around(self.inner.forget_server(id)).await
    }

    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError> {
        self.around(self.inner.set_quarantine(id, errant)).await
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.around(self.inner.clusters()).await
    }

    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError> {
        self.around(self.inner.put_cluster(id, name)).await
    }

    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError> {
        self.around(self.inner.forget_cluster(id)).await
    }

    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError> {
        self.around(self.inner.histories()).await
    }

    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError> {
        let recording = self.inner.put_history(lease, epoch, cluster, seen);
        self.around(recording).await
    }
}

#[async_trait]
impl Intents for FaultyStore {
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.around(self.inner.set_primary(lease, epoch, cluster, primary))
            .await
    }

    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.around(self.inner.put_routes(lease, epoch, routes))
            .await
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.around(self.inner.routes()).await
    }

    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRecord],
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.around(self.inner.merge_intents(lease, epoch, clusters, routes))
            .await
    }
}

#[async_trait]
impl RecoveryLog for FaultyStore {
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError> {
        self.around(self.inner.begin_recovery(lease, row)).await
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        self.around(self.inner.update_recovery(lease, row)).await
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.around(self.inner.adopt_recovery(lease, id, node, epoch))
            .await
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.around(self.inner.journal(lease, recovery, epoch, entries))
            .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRecord],
        steps: &[StepRecord],
    ) -> Result<(), StoreError> {
        if *self.mood.borrow() == Fault::Busy {
            self.until_here().await;
        }
        self.around(self.inner.merge_recoveries(lease, epoch, rows, steps))
            .await
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
        self.around(self.inner.running_recoveries()).await
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, StoreError> {
        self.around(self.inner.recoveries(cluster, skip, limit))
            .await
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRecord>, StoreError> {
        self.around(self.inner.recovery(id)).await
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
        self.around(self.inner.steps(id)).await
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        self.around(self.inner.acknowledge(id, cluster, by, at, comment))
            .await
    }
}

#[async_trait]
impl OperatorSettings for FaultyStore {
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError> {
        self.around(self.inner.set_promotion(id, rule, expires))
            .await
    }

    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError> {
        let read = async {
            let answer = self.inner.downtimes(now).await;
            self.downtimes_read.fetch_add(1, Ordering::Relaxed);
            answer
        };
        self.around(read).await
    }

    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError> {
        self.around(self.inner.set_downtime(id, downtime)).await
    }

    async fn recoveries_enabled(&self) -> Result<bool, StoreError> {
        self.around(self.inner.recoveries_enabled()).await
    }

    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError> {
        self.around(self.inner.set_recoveries_enabled(enabled))
            .await
    }
}

#[async_trait]
impl AuditLog for FaultyStore {
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.around(self.inner.audit(record)).await
    }

    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.around(self.inner.audits(skip, limit)).await
    }
}
