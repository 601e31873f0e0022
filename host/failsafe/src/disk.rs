//! The local disk: what was written under a lease and may be missing in the shared store, and the
//! highest epochs that were seen.
//!
//! It is a store of its own. It holds the recoveries that this process drives or has not handed
//! over, the intended primaries and routes as this node last wrote them, and audit lines that wait.
//! Nobody claims its leases: their records hold the highest epoch that was seen, and so fence calls
//! under an earlier one as the shared store does.

mod mirror;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_ports::{
    AuditRecord, Claim, ClusterRecord, JournalEntry, LocalStore, RecoveryRecord, Route, StepRecord,
    StoreError,
};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::mirror::{Mirror, Sending, Subject};
use self::mirror::{load, lock};
use crate::brief;
use crate::rights::Rights;

/// A lease needs a holder, or nothing can be written under it.
const HOLDER: &str = "local";

/// Exclusive access to disk and mirror, with the epochs that are on the disk.
struct Turn<'a> {
    epochs: tokio::sync::MutexGuard<'a, BTreeMap<String, LeaseEpoch>>,
    doing: &'a Mutex<Option<(&'static str, Instant)>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(self.doing) = None;
    }
}

/// The local disk.
pub(crate) struct Disk {
    store: Arc<dyn LocalStore>,
    /// Held during each change, so that disk and mirror change in one order. Contains the epochs
    /// that are on the disk.
    writing: tokio::sync::Mutex<BTreeMap<String, LeaseEpoch>>,
    /// The operation under way, and when it began.
    doing: Mutex<Option<(&'static str, Instant)>>,
    mirror: Arc<Mutex<Mirror>>,
    /// Something changed: there may be something to hand over, or to remove.
    work: Arc<Notify>,
}

impl Disk {
    /// Reads the disk, and gives the epochs that were seen. What an earlier process left counts as
    /// unsent.
    pub(crate) async fn open(
        store: Arc<dyn LocalStore>,
        work: Arc<Notify>,
    ) -> Result<(Self, Rights), StoreError> {
        let (mirror, epochs) = load(&*store).await?;
        let rights = Rights::remembered(epochs.clone().into_iter());
        let disk = Self {
            store,
            writing: tokio::sync::Mutex::new(epochs),
            doing: Mutex::default(),
            mirror: Arc::new(Mutex::new(mirror)),
            work,
        };
        Ok((disk, rights))
    }

    /// Nothing is done before the guard is dropped.
    #[cfg(test)]
    pub(crate) async fn hang(&self) -> impl Drop + '_ {
        self.turn("hanging").await
    }

    /// Waits until nothing else is being done.
    async fn turn(&self, what: &'static str) -> Turn<'_> {
        let epochs = self.writing.lock().await;
        *lock(&self.doing) = Some((what, Instant::now()));
        let doing = &self.doing;
        Turn { epochs, doing }
    }

    /// What is being done, and for how long.
    pub(crate) fn doing(&self) -> String {
        match *lock(&self.doing) {
            Some((what, since)) => {
                format!("it has been {what} for {}", brief(since.elapsed()))
            }
            None => "it is idle".to_owned(),
        }
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    pub(crate) fn mirror(&self) -> MutexGuard<'_, Mirror> {
        lock(&self.mirror)
    }

    /// A write of this subject is about to be sent to the shared store.
    pub(crate) fn sending(&self, subject: &Subject) -> Sending {
        Sending::new(&self.mirror, &self.work, subject)
    }

    /// What was handed over is no longer unsent, unless something was added meanwhile.
    pub(crate) fn handed_over(&self, subject: &Subject, change: u64) {
        let mut mirror = self.mirror();
        match subject {
            Subject::Recovery(id) if mirror.unsent.get(id) == Some(&change) => {
                mirror.unsent.remove(id);
            }
            Subject::Intents if mirror.intents_unsent == Some(change) => {
                mirror.intents_unsent = None;
            }
            Subject::Recovery(_) | Subject::Intents => {}
        }
    }

    /// Remembers the highest epoch of a lease.
    pub(crate) async fn remember(&self, lease: &str, epoch: LeaseEpoch) -> Result<(), StoreError> {
        let mut turn = self.turn("remembering an epoch").await;
        self.ensure(&mut turn.epochs, lease, epoch).await
    }

    async fn ensure(
        &self,
        epochs: &mut BTreeMap<String, LeaseEpoch>,
        lease: &str,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        if epochs.get(lease).is_some_and(|stored| *stored >= epoch) {
            return Ok(());
        }
        let row = self.store.lease(lease).await?;
        let expected = row.map(|row| (row.epoch, row.renewals));
        let below = LeaseEpoch(epoch.0.saturating_sub(1));
        let holder = NodeName::new(HOLDER);
        let claim = self
            .store
            .claim_lease(lease, &holder, Duration::ZERO, expected, below)
            .await?;
        let (Claim::Held(state) | Claim::Other(state)) = claim;
        epochs.insert(lease.to_owned(), state.epoch);
        Ok(())
    }

    pub(crate) async fn begin(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError> {
        let mut turn = self.turn("beginning a recovery").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        self.clear_way(lease, row).await?;
        let number = self.store.begin_recovery(lease, row).await?;
        let row = RecoveryRecord {
            number,
            ..row.clone()
        };
        self.mirror().recoveries.insert(row.id.clone(), row);
        Ok(number)
    }

    /// Ends or removes open recoveries of the same cluster and an earlier epoch, so that they do
    /// not conflict with the new one. What the shared store has is removed; what it may lack is
    /// ended. Reads the disk, not the mirror: a call that was dropped midway leaves records that
    /// the mirror lacks.
    async fn clear_way(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        let open = self.store.running_recoveries().await?;
        let is_earlier =
            |other: &RecoveryRecord| other.cluster == row.cluster && other.epoch < row.epoch;
        for mut other in open.into_iter().filter(is_earlier) {
            if !self.mirror().unsent.contains_key(&other.id) {
                self.remove(&other.id).await?;
                continue;
            }
            other.outcome = RecoveryOutcome::Failed;
            other.ended = Some(row.started);
            other
                .errors
                .push(format!("recovery {} of a later epoch began", row.id));
            self.store
                .merge_recoveries(lease, row.epoch, std::slice::from_ref(&other), &[])
                .await?;
            self.mirror().recoveries.insert(other.id.clone(), other);
        }
        Ok(())
    }

    /// Ends what else of this recovery's cluster counts as running here.
    pub(crate) async fn end_others(
        &self,
        lease: &str,
        row: &RecoveryRecord,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("ending other recoveries").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        let running: Vec<RecoveryRecord> = {
            let mirror = self.mirror();
            let others = mirror.recoveries.values();
            let is_running = |other: &&RecoveryRecord| {
                other.cluster == row.cluster
                    && other.id != row.id
                    && other.outcome == RecoveryOutcome::Running
            };
            others.filter(is_running).cloned().collect()
        };
        for other in running {
            tracing::warn!(recovery = %other.id, "it counted as running on the local disk, and not in the shared state store");
            let ended = RecoveryRecord {
                outcome: RecoveryOutcome::Failed,
                ended: Some(row.started),
                ..other
            };
            self.store
                .merge_recoveries(lease, row.epoch, std::slice::from_ref(&ended), &[])
                .await?;
            self.mirror().recoveries.insert(ended.id.clone(), ended);
        }
        Ok(())
    }

    pub(crate) async fn update(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        let mut turn = self.turn("updating a recovery").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        self.store.update_recovery(lease, row).await?;
        if let Some(known) = self.mirror().recoveries.get_mut(&row.id) {
            let (number, acknowledged) = (known.number, known.acknowledged.take());
            *known = RecoveryRecord {
                number,
                acknowledged,
                ..row.clone()
            };
        }
        Ok(())
    }

    /// Takes over a recovery; `known` is what the shared store had, if it is not here.
    pub(crate) async fn adopt(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        id: &RecoveryId,
        node: &NodeName,
        known: Option<RecoveryRecord>,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("adopting a recovery").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        let mirrored = self.mirror().recoveries.get(id).cloned();
        let is_here = mirrored.is_some();
        let row = mirrored.or(known);
        if let (Some(row), false) = (&row, is_here) {
            self.store
                .merge_recoveries(lease, epoch, std::slice::from_ref(row), &[])
                .await?;
        }
        self.store.adopt_recovery(lease, id, node, epoch).await?;
        if let Some(row) = row {
            let row = RecoveryRecord {
                node: node.clone(),
                epoch,
                ..row
            };
            self.mirror().recoveries.insert(id.clone(), row);
        }
        Ok(())
    }

    pub(crate) async fn journal(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        id: &RecoveryId,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("journaling steps").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        self.store.journal(lease, id, epoch, entries).await
    }

    pub(crate) async fn set_primary(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("recording a primary").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        if !self.mirror().clusters.contains_key(cluster) {
            // The local record needs a unique name only, and the identity is unique.
            self.store.put_cluster(cluster, cluster.as_str()).await?;
        }
        self.store
            .set_primary(lease, epoch, cluster, primary)
            .await?;
        let row = ClusterRecord {
            id: cluster.clone(),
            name: cluster.to_string(),
            primary: Some(primary.clone()),
            primary_epoch: epoch,
        };
        self.mirror().clusters.insert(cluster.clone(), row);
        Ok(())
    }

    pub(crate) async fn put_routes(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        routes: &[Route],
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("recording routes").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        self.store.put_routes(lease, epoch, routes).await?;
        let mut mirror = self.mirror();
        for route in routes {
            let stored = mirror.routes.get(&route.key).map(|stored| stored.epoch);
            if stored.is_none_or(|stored| stored <= epoch) {
                let route = Route {
                    epoch,
                    ..route.clone()
                };
                mirror.routes.insert(route.key.clone(), route);
            }
        }
        Ok(())
    }

    pub(crate) async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let _turn = self.turn("writing an audit line").await;
        self.store.audit(record).await?;
        let mut mirror = self.mirror();
        mirror.audits = mirror.audits.saturating_add(1);
        Ok(())
    }

    /// Audit lines that wait, oldest first, at most so many.
    pub(crate) async fn oldest_audits(&self, most: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let _turn = self.turn("reading audit lines").await;
        let count = self.mirror().audits;
        let mut lines = self.store.audits(count.saturating_sub(most), most).await?;
        lines.reverse();
        Ok(lines)
    }

    /// Removes the oldest audit line.
    pub(crate) async fn drop_oldest_audit(&self) -> Result<(), StoreError> {
        let _turn = self.turn("removing an audit line").await;
        self.store.remove_oldest_audit().await?;
        let mut mirror = self.mirror();
        mirror.audits = mirror.audits.saturating_sub(1);
        Ok(())
    }

    /// The lines of a recovery that are here.
    pub(crate) async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
        if !self.mirror().recoveries.contains_key(id) {
            return Ok(Vec::new());
        }
        self.store.steps(id).await
    }

    /// Removes a recovery that the shared store refused to begin.
    pub(crate) async fn discard(&self, id: &RecoveryId) -> Result<(), StoreError> {
        let _turn = self.turn("taking a recovery back").await;
        self.remove(id).await
    }

    /// Removes recoveries that the shared store has and that this node does not continue.
    pub(crate) async fn purge(&self, rights: &Mutex<Rights>) -> Result<(), StoreError> {
        let _turn = self.turn("removing what was handed over").await;
        let done = {
            let rights = rights.lock().unwrap_or_else(PoisonError::into_inner);
            self.mirror().done(&rights)
        };
        for id in done {
            self.remove(&id).await?;
        }
        Ok(())
    }

    async fn remove(&self, id: &RecoveryId) -> Result<(), StoreError> {
        self.store.remove_recovery(id).await?;
        let mut mirror = self.mirror();
        mirror.recoveries.remove(id);
        mirror.unsent.remove(id);
        Ok(())
    }

    /// Recoveries that are not on the disk cannot be handed over: the disk failed when they were
    /// written, or they were removed.
    pub(crate) fn forget_unknown(&self) {
        let mut mirror = self.mirror();
        let Mirror {
            recoveries, unsent, ..
        } = &mut *mirror;
        unsent.retain(|id, _| recoveries.contains_key(id));
    }
}
