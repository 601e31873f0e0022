//! Recoveries: operations on record, driven to their end, journaled before and after each step.

mod compare;
mod drive;
mod events;
mod journal;
mod perform;
mod repair;
mod resume;
mod run;

pub(crate) use perform::{observe, routes};
pub(crate) use repair::Journaled;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, RecoveryId, ServerId};
use baton_core::model::{ActiveRecovery, Reach, RecoveryKind, RecoveryOutcome, Snapshot, Topology};
use baton_core::operation::End;
use baton_core::planning::{Consent, StepId, inherited_replicas, too_few_acknowledgers};
use baton_core::time::Timestamp;
use baton_ports::{Clock, JournalEntry, Policies, RecoveryRow, Store, StoreError};
use futures::future::join_all;

use crate::counters::Counters;
use crate::lease::{Keeper, LEASE};
use crate::peers::PeerTable;
use crate::registry::Registry;
use crate::right::Right;
use crate::sessions::Sessions;

/// How often the end of a recovery is tried to be recorded, and the pause between two tries.
const END_TRIES: u32 = 20;
const END_RETRY: Duration = Duration::from_millis(250);

/// What recoveries of one cluster need.
pub(crate) struct Means {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Arc<Keeper>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) right: Right,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) cluster: ClusterId,
    pub(crate) repairs: Journaled,
}

/// What a recovery is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) kind: RecoveryKind,
    pub(crate) failed: ServerId,
    /// Whom a person wants to be promoted.
    pub(crate) requested: Option<ServerId>,
    /// What a person accepted to lose by that.
    pub(crate) consent: Option<Consent>,
    pub(crate) automatic: bool,
    /// Code word of the finding, or empty.
    pub(crate) finding: String,
    /// The recorded decision, as JSON text.
    pub(crate) decision: String,
    /// When the loss was noticed, or the request came.
    pub(crate) trigger: Timestamp,
    /// Give up before anything irreversible after this.
    pub(crate) deadline: Option<Timestamp>,
}

/// Why a recovery did not even begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBegun {
    #[error("this node does not hold the lease")]
    NoLease,
    #[error("the cluster is not known any more")]
    Gone,
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Store(String),
    /// It began, and can be neither finished nor undone now.
    #[error("{text}")]
    LeftOpen {
        /// Which.
        recovery: RecoveryId,
        /// What is wrong, and what follows.
        text: String,
    },
}

/// A recovery under way.
pub(crate) struct Recovery<'a> {
    pub(crate) means: &'a Arc<Means>,
    pub(crate) row: RecoveryRow,
    pub(crate) trigger: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) requested: Option<ServerId>,
    pub(crate) consent: Option<Consent>,
    next_step: StepId,
    /// Lines of the journal for the next write.
    unwritten: Vec<JournalEntry>,
    /// Servers that steps changed, for undoing.
    touched: BTreeSet<ServerId>,
}

impl Means {
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.registry
            .snapshot(&self.cluster, self.clock.now(), self.clock.wall())
    }

    /// Runs an order to its end and gives the recorded row.
    ///
    /// Dropping the future midway leaves the recovery open in the store; whoever takes the lease next resumes it.
    pub(crate) async fn carry_out(self: &Arc<Self>, order: Order) -> Result<RecoveryRow, NotBegun> {
        let _busy = self.lease.busy();
        let mut recovery = self.begin(order).await?;
        let end = recovery.operate().await;
        self.close_and_replace(recovery, end).await
    }

    /// Records how a recovery ended; if its successor is silent, that one is replaced at once. Until then nobody would be known to take
    /// writes, and what follows the silent one would not say that it is gone.
    async fn close_and_replace(
        self: &Arc<Self>,
        recovery: Recovery<'_>,
        end: End,
    ) -> Result<RecoveryRow, NotBegun> {
        let row = recovery.close(end.outcome).await?;
        let Some(failed) = end.replace else {
            return Ok(row);
        };
        let order = Order {
            kind: row.kind,
            failed,
            requested: None,
            consent: None,
            automatic: row.automatic,
            finding: row.finding,
            decision: row.decision,
            trigger: self.clock.now(),
            deadline: None,
        };
        Box::pin(self.carry_out(order)).await
    }

    async fn begin(self: &Arc<Self>, order: Order) -> Result<Recovery<'_>, NotBegun> {
        self.lease.settle().await;
        let epoch = self
            .lease
            .epoch_for(Duration::from_millis(500))
            .ok_or(NotBegun::NoLease)?;
        let snapshot = self.snapshot().ok_or(NotBegun::Gone)?;
        let mut row = self.row(&order, &snapshot, epoch).ok_or(NotBegun::Gone)?;
        let begun = self.store.begin_recovery(LEASE, &row).await;
        row.number = begun.map_err(|error| self.refused(&error))?;
        tracing::info!(
            cluster = %row.cluster_name, recovery = %row.id, kind = row.kind.word(), server = %row.failed,
            finding = row.finding, lease_epoch = epoch.0, "recovery begun"
        );
        self.counters.recoveries_begun.add();
        self.set_active(Some(&row));
        Ok(Recovery {
            means: self,
            row,
            trigger: order.trigger,
            deadline: order.deadline,
            requested: order.requested,
            consent: order.consent,
            next_step: 1,
            unwritten: Vec::new(),
            touched: BTreeSet::new(),
        })
    }

    /// Why the store did not take the beginning of a recovery, or of its resumption.
    fn refused(&self, error: &StoreError) -> NotBegun {
        match error {
            StoreError::Conflict { .. } => NotBegun::Refused(error.with_causes()),
            StoreError::Fenced { .. } => {
                self.lease.ask_again();
                NotBegun::NoLease
            }
            StoreError::Retry { .. }
            | StoreError::OutcomeUnknown { .. }
            | StoreError::Unavailable { .. } => NotBegun::Store(error.with_causes()),
        }
    }

    fn row(&self, order: &Order, snapshot: &Snapshot, epoch: LeaseEpoch) -> Option<RecoveryRow> {
        let failed = snapshot.servers.get(&order.failed)?;
        let id = format!(
            "{:x}-{:x}-{}",
            self.clock.wall().millis(),
            self.clock.now().micros(),
            epoch
        );
        Some(RecoveryRow {
            id: RecoveryId::new(id),
            number: 0,
            cluster: self.cluster.clone(),
            cluster_name: snapshot.cluster.name.clone(),
            kind: order.kind,
            finding: order.finding.clone(),
            failed: order.failed.clone(),
            failed_address: failed.address.clone(),
            successor: None,
            successor_address: None,
            outcome: RecoveryOutcome::Running,
            automatic: order.automatic,
            node: self.registry.settings.node.clone(),
            epoch,
            started: self.clock.wall(),
            ended: None,
            lost: Vec::new(),
            errors: Vec::new(),
            decision: order.decision.clone(),
            acknowledged: None,
            committed: false,
        })
    }

    /// Sets a server aside with its transactions, in memory first.
    async fn quarantine(&self, server: &ServerId, transactions: &str) -> Result<(), StoreError> {
        if let Some(entry) = self.registry.lock().servers.get_mut(server) {
            entry.quarantined = true;
        }
        self.store.set_quarantine(server, Some(transactions)).await
    }

    fn set_active(&self, row: Option<&RecoveryRow>) {
        let mut inner = self.registry.lock();
        if let Some(entry) = inner.clusters.get_mut(&self.cluster) {
            entry.active = row.map(|row| ActiveRecovery {
                id: row.id.clone(),
                kind: row.kind,
                failed: row.failed.clone(),
            });
        }
    }
}

impl Recovery<'_> {
    /// Records how it ended, or that it has not ended yet.
    pub(crate) async fn close(self, outcome: RecoveryOutcome) -> Result<RecoveryRow, NotBegun> {
        if outcome == RecoveryOutcome::Running {
            Err(self.leave_open().await)
        } else {
            Ok(self.end(outcome).await)
        }
    }

    /// Keeps the row open, for the next round or the next leader.
    async fn leave_open(mut self) -> NotBegun {
        let lines = self.write(&[]).await;
        let row = self.means.store.update_recovery(LEASE, &self.row).await;
        if let Err(error) = lines.and(row) {
            self.note_problem(error.with_causes());
        }
        let reasons = self.row.errors.join("; ");
        NotBegun::LeftOpen {
            text: format!(
                "the {} of {} is neither done nor undone yet; that goes on as soon as this node may act: {reasons}",
                self.row.kind.word(),
                self.row.failed
            ),
            recovery: self.row.id,
        }
    }

    /// Records the end. A store that does not answer leaves the row open: it is closed when the recovery is resumed.
    pub(crate) async fn end(mut self, mut outcome: RecoveryOutcome) -> RecoveryRow {
        // Also after an undoing: a step whose reply was lost may have taken effect.
        self.look_again().await;
        self.note_left_behind(outcome);
        if outcome == RecoveryOutcome::Succeeded {
            outcome = self.state_the_end();
        }
        self.row.outcome = outcome;
        self.row.ended = Some(self.means.clock.wall());
        if let Err(error) = self.write(&[]).await {
            self.note_problem(error.with_causes());
        }
        self.record_end().await;
        // A server that was found a moment ago may not be in the store yet, and the seed may be the one that died.
        let (registry, store) = (&self.means.registry, &*self.means.store);
        crate::operators::write_changes(registry, store, &self.means.counters).await;
        let counter = match outcome {
            RecoveryOutcome::Succeeded => &self.means.counters.recoveries_succeeded,
            RecoveryOutcome::Failed | RecoveryOutcome::Unwound | RecoveryOutcome::Running => {
                &self.means.counters.recoveries_failed
            }
        };
        counter.add();
        self.remember();
        tracing::info!(
            cluster = %self.row.cluster_name, recovery = %self.row.id, kind = self.row.kind.word(),
            outcome = outcome.word(), successor = self.row.successor.as_ref().map(ToString::to_string),
            elapsed_ms = self.means.clock.now().since(self.trigger).as_millis() as u64, "recovery ended"
        );
        self.row
    }

    /// Reads whom the steps changed: the next round must not judge a picture in which the successor still follows the server it
    /// replaced. Who does not answer is noted as such.
    async fn look_again(&self) {
        let limit = self.means.registry.settings.read_limit;
        let snapshot = self.means.snapshot();
        let primary = snapshot.as_ref().and_then(Snapshot::primary);
        // The primary, too: what it had committed when another server was gone already, that one does not hold alone.
        let primary = primary.filter(|server| server.probe.reach() == Reach::Answering);
        let mut ids = self.touched.clone();
        ids.extend(primary.map(|server| server.id.clone()));
        // In a switchover it lives, and is to follow.
        if self.row.kind != RecoveryKind::Switchover {
            ids.remove(&self.row.failed);
        }
        join_all(ids.iter().map(|id| observe(self.means, id, limit))).await;
    }

    /// Whoever was touched, or replicated from the server that failed, and does not follow the primary now.
    fn note_left_behind(&mut self, outcome: RecoveryOutcome) {
        if matches!(self.row.kind, RecoveryKind::Rejoin | RecoveryKind::Reopen) {
            return;
        }
        let Some(snapshot) = self.means.snapshot() else {
            return;
        };
        // What came to nothing left behind whom it touched, and nobody else: what a person stopped stays stopped.
        let mut of = self.touched.clone();
        if outcome == RecoveryOutcome::Succeeded {
            let topology = Topology::of(&snapshot);
            let orphans = inherited_replicas(&snapshot, &topology, &self.row.failed).into_iter();
            of.extend(orphans.map(|edge| edge.replica));
            of.extend(self.row.lost.iter().cloned());
        }
        // In a switchover the old primary is to follow, too.
        if self.row.kind != RecoveryKind::Switchover || outcome != RecoveryOutcome::Succeeded {
            of.remove(&self.row.failed);
        } else {
            of.insert(self.row.failed.clone());
        }
        // Of a recovery that stopped midway, readings may be older than its last steps: whoever it touched counts.
        self.row.lost = if outcome == RecoveryOutcome::Succeeded {
            crate::decide::astray(&snapshot, &of)
        } else {
            of.into_iter().collect()
        };
    }

    /// What is not as it should be at the end of a recovery that came to its last step: who does not follow, and why. Without a primary that
    /// serves it has not succeeded.
    fn state_the_end(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Succeeded;
        };
        let mut outcome = RecoveryOutcome::Succeeded;
        let mut texts = Vec::new();
        if self.row.kind.replaces_primary()
            && let Some(successor) = &self.row.successor
            && let Some(why) = not_serving(&snapshot, successor)
        {
            texts.push(format!("{successor} took over, and {why} at the end"));
            outcome = RecoveryOutcome::Failed;
            // The old primary was replaced, although the recovery has failed.
            self.row.committed = true;
        }
        for id in &self.row.lost {
            let why = crate::decide::why_astray(&snapshot, id);
            texts.push(format!("{id} does not follow: {why}"));
        }
        let waiting = snapshot.primary().and_then(|primary| {
            let facts = primary.last_facts()?;
            let waits = facts.semi_sync.as_ref()?.source_enabled;
            waits.then(|| too_few_acknowledgers(&snapshot, &primary.id, &[]))?
        });
        texts.extend(waiting.filter(|_| self.row.kind.replaces_primary()));
        for text in texts {
            self.note_problem(text);
        }
        outcome
    }

    /// A store that is away for a moment is waited for; after that the loop finds the open row again and closes it.
    async fn record_end(&self) {
        for _ in 0..END_TRIES {
            match self.means.store.update_recovery(LEASE, &self.row).await {
                Ok(()) => return,
                Err(error) => {
                    self.means.counters.store_failures.add();
                    tracing::error!(recovery = %self.row.id, error = error.with_causes(), "end of recovery not recorded");
                    if matches!(error, StoreError::Fenced { .. }) {
                        return;
                    }
                }
            }
            tokio::time::sleep(END_RETRY).await;
        }
    }

    /// Puts the ended recovery into memory at once: the cooldown must not wait for the next reading of the store.
    fn remember(&self) {
        // Nor must it be forgotten by one that began before the end was recorded.
        let _outdating = self.means.registry.readings.outdate();
        self.means.set_active(None);
        let mut inner = self.means.registry.lock();
        if let Some(entry) = inner.clusters.get_mut(&self.means.cluster) {
            entry.past.retain(|known| known.id != self.row.id);
            entry.past.insert(0, crate::operators::past(&self.row));
            entry.past.truncate(crate::operators::PAST_MAX);
            entry.left.extend(self.row.lost.iter().cloned());
            if self.row.kind == RecoveryKind::Rejoin {
                entry.left.remove(&self.row.failed);
            }
            entry.wake.notify_one();
        }
    }

    /// Notes something that went wrong.
    pub(crate) fn note_problem(&mut self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!(cluster = %self.row.cluster_name, recovery = %self.row.id, error = text, "recovery step failed");
        if !self.row.errors.contains(&text) {
            self.row.errors.push(text);
        }
    }

    pub(crate) fn epoch(&self) -> LeaseEpoch {
        self.row.epoch
    }
}

/// Why a server that took over cannot be used; `None` if it answers and takes writes.
fn not_serving(snapshot: &Snapshot, server: &ServerId) -> Option<&'static str> {
    let server = snapshot.servers.get(server)?;
    let writable = server
        .last_facts()
        .is_some_and(baton_core::model::ServerFacts::is_writable);
    match (server.probe.reach() == Reach::Answering, writable) {
        (true, true) => None,
        (true, false) => Some("is read-only"),
        (false, _) => Some("does not answer"),
    }
}
