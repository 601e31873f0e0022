//! What is on the local disk, in memory, and what of it the shared store may lack.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::ids::{ClusterId, LeaseEpoch, RecoveryId};
use baton_core::model::RecoveryOutcome;
use baton_ports::{ClusterRecord, LocalStore, RecoveryRecord, Route, StoreError};
use tokio::sync::Notify;

use crate::rights::Rights;

/// What is on the disk, in memory.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) recoveries: BTreeMap<RecoveryId, RecoveryRecord>,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterRecord>,
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) audits: u32,
    /// Recoveries that the shared store may lack, each with a number that changes whenever
    /// something is added.
    pub(crate) unsent: BTreeMap<RecoveryId, u64>,
    /// The same for primaries and routes.
    pub(crate) intents_unsent: Option<u64>,
    /// Being written to the shared store.
    under_way: BTreeMap<RecoveryId, u32>,
    intents_under_way: u32,
    changes: u64,
}

impl Mirror {
    pub(super) fn miss(&mut self, subject: &Subject) {
        self.changes = self.changes.wrapping_add(1);
        match subject {
            Subject::Recovery(id) => {
                self.unsent.insert(id.clone(), self.changes);
            }
            Subject::Intents => self.intents_unsent = Some(self.changes),
        }
    }

    pub(super) fn count(&mut self, subject: &Subject) -> &mut u32 {
        match subject {
            Subject::Recovery(id) => self.under_way.entry(id.clone()).or_default(),
            Subject::Intents => &mut self.intents_under_way,
        }
    }

    /// Recoveries that need not be kept here any longer.
    pub(super) fn done(&self, rights: &Rights) -> Vec<RecoveryId> {
        let is_done = |row: &&RecoveryRecord| {
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
    pub(crate) fn is_unsent(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Recovery(id) => self.unsent.contains_key(id),
            Subject::Intents => self.intents_unsent.is_some(),
        }
    }

    pub(crate) fn is_all_sent(&self) -> bool {
        self.unsent.is_empty() && self.intents_unsent.is_none() && self.audits == 0
    }
}

/// What a write is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Recovery(RecoveryId),
    Intents,
}

/// A write that was sent to the shared store. If it is dropped before [`Self::arrived`], its
/// subject counts as unsent.
pub(crate) struct Sending {
    mirror: Arc<Mutex<Mirror>>,
    work: Arc<Notify>,
    subject: Subject,
    arrived: bool,
}

impl Sending {
    pub(super) fn new(mirror: &Arc<Mutex<Mirror>>, work: &Arc<Notify>, subject: &Subject) -> Self {
        let mut counted = lock(mirror);
        let count = counted.count(subject);
        *count = count.saturating_add(1);
        drop(counted);
        Self {
            mirror: Arc::clone(mirror),
            work: Arc::clone(work),
            subject: subject.clone(),
            arrived: false,
        }
    }

    pub(crate) fn arrived(mut self) {
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads all of the disk, and the epochs of the leases. What an earlier process left there counts
/// as unsent.
pub(super) async fn load(
    store: &dyn LocalStore,
) -> Result<(Mirror, BTreeMap<String, LeaseEpoch>), StoreError> {
    let mut mirror = Mirror::default();
    for row in store.recoveries(None, 0, u32::MAX).await? {
        mirror.miss(&Subject::Recovery(row.id.clone()));
        mirror.recoveries.insert(row.id.clone(), row);
    }
    for row in store.clusters().await? {
        mirror.clusters.insert(row.id.clone(), row);
    }
    for route in store.routes().await? {
        mirror.routes.insert(route.key.clone(), route);
    }
    if !mirror.clusters.is_empty() || !mirror.routes.is_empty() {
        mirror.miss(&Subject::Intents);
    }
    mirror.audits = store.audit_count().await?;
    Ok((mirror, store.epochs().await?.into_iter().collect()))
}
