//! The local disk: what was written under a lease and may not be in the shared store yet, and the highest epochs seen.
//!
//! It is an embedded store of its own. It holds the recoveries that this process drives or has not handed over, the intended
//! primaries and routes as this node wrote them last, and audit lines that wait. Its leases are not taken by anybody: their rows
//! hold the highest epoch that was seen, and so fence the calls of an earlier one like those of the shared store do.

mod rows;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_ports::prelude::*;
use baton_ports::{
    AuditRecord, Claim, ClusterRow, JournalEntry, RecoveryRow, Route, StepRow, StoreError,
};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::rights::Rights;
use crate::sqlite::{OpenError, SqliteOptions};
use crate::store::SqliteStore;

/// The leases' rows have a holder, or nothing could be written under them.
const HOLDER: &str = "local";

/// What is on the disk, in memory.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    pub(super) recoveries: BTreeMap<RecoveryId, RecoveryRow>,
    pub(super) clusters: BTreeMap<ClusterId, ClusterRow>,
    pub(super) routes: BTreeMap<String, Route>,
    pub(super) audits: u32,
    /// Not, or not surely, in the shared store; with a number that changes whenever something is added.
    pub(super) unsent: BTreeMap<RecoveryId, u64>,
    /// The same for primaries and routes.
    pub(super) intents_unsent: Option<u64>,
    /// Being written to the shared store.
    under_way: BTreeMap<RecoveryId, u32>,
    intents_under_way: u32,
    changes: u64,
}

impl Mirror {
    fn miss(&mut self, subject: &Subject) {
        self.changes = self.changes.wrapping_add(1);
        match subject {
            Subject::Recovery(id) => {
                self.unsent.insert(id.clone(), self.changes);
            }
            Subject::Intents => self.intents_unsent = Some(self.changes),
        }
    }

    fn count(&mut self, subject: &Subject) -> &mut u32 {
        match subject {
            Subject::Recovery(id) => self.under_way.entry(id.clone()).or_default(),
            Subject::Intents => &mut self.intents_under_way,
        }
    }

    /// Recoveries that need not be kept here any longer.
    fn done(&self, rights: &Rights) -> Vec<RecoveryId> {
        let is_done = |row: &&RecoveryRow| {
            let ended = row.outcome != RecoveryOutcome::Running || !rights.is_highest(row.epoch);
            ended && !self.unsent.contains_key(&row.id) && !self.under_way.contains_key(&row.id)
        };
        self.recoveries
            .values()
            .filter(is_done)
            .map(|row| row.id.clone())
            .collect()
    }

    /// True if something of it may not be in the shared store.
    pub(super) fn is_unsent(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Recovery(id) => self.unsent.contains_key(id),
            Subject::Intents => self.intents_unsent.is_some(),
        }
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.unsent.is_empty() && self.intents_unsent.is_none() && self.audits == 0
    }
}

/// What a write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Recovery(RecoveryId),
    Intents,
}

/// A write that is on its way to the shared store. Unless it arrives, its subject counts as not handed over.
pub(super) struct Sending {
    mirror: Arc<Mutex<Mirror>>,
    work: Arc<Notify>,
    subject: Subject,
    arrived: bool,
}

impl Sending {
    pub(super) fn arrived(mut self) {
        self.arrived = true;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut mirror = lock(&self.mirror);
        if !self.arrived {
            mirror.miss(&self.subject);
        }
        let count = mirror.count(&self.subject);
        *count = count.saturating_sub(1);
        if *count == 0
            && let Subject::Recovery(id) = &self.subject
        {
            mirror.under_way.remove(id);
        }
        drop(mirror);
        self.work.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to change disk and mirror, with the epochs that are on the disk.
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
#[derive(Debug)]
pub(super) struct Disk {
    store: SqliteStore,
    /// Held during each change, so that disk and mirror change in one order; the epochs that are on the disk.
    writing: tokio::sync::Mutex<BTreeMap<String, LeaseEpoch>>,
    /// What is being done, for whom it keeps waiting.
    doing: Mutex<Option<(&'static str, Instant)>>,
    mirror: Arc<Mutex<Mirror>>,
    /// Something changed: there may be something to hand over, or to remove.
    work: Arc<Notify>,
}

impl Disk {
    /// Opens it, and gives the epochs that were seen. What an earlier process left counts as not handed over.
    pub(super) async fn open(
        path: &Path,
        options: &SqliteOptions,
        work: Arc<Notify>,
    ) -> Result<(Self, Rights), DiskError> {
        let store = SqliteStore::open(path, options)
            .await
            .map_err(DiskError::Open)?
            .store;
        let (mirror, epochs) = rows::load(&store).await.map_err(DiskError::Load)?;
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
    pub(super) async fn hang(&self) -> impl Drop + '_ {
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
    pub(super) fn doing(&self) -> String {
        match *lock(&self.doing) {
            Some((what, since)) => format!("{what} for {:?}", since.elapsed()),
            None => "doing nothing".to_owned(),
        }
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }

    pub(super) fn mirror(&self) -> MutexGuard<'_, Mirror> {
        lock(&self.mirror)
    }

    /// A write of this subject is about to be sent to the shared store.
    pub(super) fn sending(&self, subject: &Subject) -> Sending {
        let mut mirror = self.mirror();
        let count = mirror.count(subject);
        *count = count.saturating_add(1);
        drop(mirror);
        Sending {
            mirror: Arc::clone(&self.mirror),
            work: Arc::clone(&self.work),
            subject: subject.clone(),
            arrived: false,
        }
    }

    /// What was handed over is no longer unsent, unless something was added meanwhile.
    pub(super) fn handed_over(&self, subject: &Subject, change: u64) {
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
    pub(super) async fn remember(&self, lease: &str, epoch: LeaseEpoch) -> Result<(), StoreError> {
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

    pub(super) async fn begin(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError> {
        let mut turn = self.turn("beginning a recovery").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        self.clear_way(lease, row).await?;
        let number = self.store.begin_recovery(lease, row).await?;
        let row = RecoveryRow {
            number,
            ..row.clone()
        };
        self.mirror().recoveries.insert(row.id.clone(), row);
        Ok(number)
    }

    /// Recoveries of the same cluster and an earlier epoch that are open here do not stand against a new one: what the shared store has
    /// is removed, what it may not have is ended. The disk is asked: a call that was dropped midway leaves what the mirror lacks.
    async fn clear_way(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        let open = self.store.running_recoveries().await?;
        let is_earlier =
            |other: &RecoveryRow| other.cluster == row.cluster && other.epoch < row.epoch;
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
    pub(super) async fn end_others(
        &self,
        lease: &str,
        row: &RecoveryRow,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("ending other recoveries").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        let running: Vec<RecoveryRow> = {
            let mirror = self.mirror();
            let others = mirror.recoveries.values();
            let is_running = |other: &&RecoveryRow| {
                other.cluster == row.cluster
                    && other.id != row.id
                    && other.outcome == RecoveryOutcome::Running
            };
            others.filter(is_running).cloned().collect()
        };
        for other in running {
            tracing::warn!(recovery = %other.id, "it counted as running on the local disk, and not in the shared state store");
            let ended = RecoveryRow {
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

    pub(super) async fn update(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        let mut turn = self.turn("updating a recovery").await;
        self.ensure(&mut turn.epochs, lease, row.epoch).await?;
        self.store.update_recovery(lease, row).await?;
        if let Some(known) = self.mirror().recoveries.get_mut(&row.id) {
            let (number, acknowledged) = (known.number, known.acknowledged.take());
            *known = RecoveryRow {
                number,
                acknowledged,
                ..row.clone()
            };
        }
        Ok(())
    }

    /// Takes over a recovery; `known` is what the shared store had, if it is not here.
    pub(super) async fn adopt(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        id: &RecoveryId,
        node: &NodeName,
        known: Option<RecoveryRow>,
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
            let row = RecoveryRow {
                node: node.clone(),
                epoch,
                ..row
            };
            self.mirror().recoveries.insert(id.clone(), row);
        }
        Ok(())
    }

    pub(super) async fn journal(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        id: &RecoveryId,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("journaling steps").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        self.store.journal(lease, id, epoch, entries).await
    }

    pub(super) async fn set_primary(
        &self,
        (lease, epoch): (&str, LeaseEpoch),
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        let mut turn = self.turn("recording a primary").await;
        self.ensure(&mut turn.epochs, lease, epoch).await?;
        if !self.mirror().clusters.contains_key(cluster) {
            // Names are the shared store's affair; the identity is as unique.
            self.store.put_cluster(cluster, cluster.as_str()).await?;
        }
        self.store
            .set_primary(lease, epoch, cluster, primary)
            .await?;
        let row = ClusterRow {
            id: cluster.clone(),
            name: cluster.to_string(),
            primary: Some(primary.clone()),
            primary_epoch: epoch,
        };
        self.mirror().clusters.insert(cluster.clone(), row);
        Ok(())
    }

    pub(super) async fn put_routes(
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

    pub(super) async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let _turn = self.turn("writing an audit line").await;
        self.store.audit(record).await?;
        let mut mirror = self.mirror();
        mirror.audits = mirror.audits.saturating_add(1);
        Ok(())
    }

    /// Audit lines that wait, oldest first, at most so many.
    pub(super) async fn oldest_audits(&self, most: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let _turn = self.turn("reading audit lines").await;
        let count = self.mirror().audits;
        let mut lines = self.store.audits(count.saturating_sub(most), most).await?;
        lines.reverse();
        Ok(lines)
    }

    /// Removes the oldest audit line.
    pub(super) async fn drop_oldest_audit(&self) -> Result<(), StoreError> {
        let _turn = self.turn("removing an audit line").await;
        rows::drop_oldest_audit(&self.store).await?;
        let mut mirror = self.mirror();
        mirror.audits = mirror.audits.saturating_sub(1);
        Ok(())
    }

    /// The lines of a recovery that are here.
    pub(super) async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError> {
        if !self.mirror().recoveries.contains_key(id) {
            return Ok(Vec::new());
        }
        self.store.steps(id).await
    }

    /// Removes a recovery that the shared store refused to begin.
    pub(super) async fn discard(&self, id: &RecoveryId) -> Result<(), StoreError> {
        let _turn = self.turn("taking a recovery back").await;
        self.remove(id).await
    }

    /// Removes what the shared store has and nobody goes on with here.
    pub(super) async fn purge(&self, rights: &Mutex<Rights>) -> Result<(), StoreError> {
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
        rows::remove_recovery(&self.store, id).await?;
        let mut mirror = self.mirror();
        mirror.recoveries.remove(id);
        mirror.unsent.remove(id);
        Ok(())
    }

    /// Of recoveries that are not here there is nothing to hand over: the disk failed when they were written, or they were removed.
    pub(super) fn forget_unknown(&self) {
        let mut mirror = self.mirror();
        let Mirror {
            recoveries, unsent, ..
        } = &mut *mirror;
        unsent.retain(|id, _| recoveries.contains_key(id));
    }
}

/// Why the local disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file.
    #[error("opening the local journal failed")]
    Open(#[source] OpenError),
    /// Its contents.
    #[error("reading the local journal failed")]
    Load(#[source] StoreError),
}
