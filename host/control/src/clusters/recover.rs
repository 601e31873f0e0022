//! Recoveries: operations on record, driven to their end, journaled before and after each step.

mod compare;
mod drive;
mod events;
mod journal;
mod perform;
mod repair;
mod resume;
mod run;

pub(crate) use perform::Performer;
pub(crate) use repair::Repairs;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome, Snapshot, Topology};
use baton_core::operation::End;
use baton_core::planning::{Consent, StepId, inherited_replicas, too_few_acknowledgers};
use baton_core::time::Timestamp;
use baton_ports::{JournalEntry, RecoveryRecord, StoreError};
use futures::future::join_all;

use super::left_behind::{not_following, why_not_following};
use super::members::Members;
use super::policy::PolicyClient;
use super::records::Records;
use crate::clusters::quorum::ClusterQuorum;

/// How often the end of a recovery is tried to be recorded, and the pause between two tries.
const END_TRIES: u32 = 20;
const END_RETRY: Duration = Duration::from_millis(250);

/// Drives the recoveries of one cluster.
pub(crate) struct Driver {
    pub(crate) members: Arc<Members>,
    pub(crate) quorum: Arc<ClusterQuorum>,
    pub(crate) records: Arc<Records>,
    pub(crate) policy: Arc<PolicyClient>,
    pub(crate) performer: Arc<Performer>,
}

/// What a recovery is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) kind: RecoveryKind,
    /// The server that is replaced, rejoined or reopened. It may be alive.
    pub(crate) subject: ServerId,
    /// The server that an operator wants to be promoted.
    pub(crate) requested: Option<ServerId>,
    /// The loss that an operator accepted with it.
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
        /// What is wrong, and what happens next.
        text: String,
    },
}

/// A recovery under way.
pub(crate) struct Recovery<'a> {
    driver: &'a Driver,
    pub(crate) row: RecoveryRecord,
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

impl Driver {
    /// Runs an order to its end and gives the recorded row.
    ///
    /// If dropped midway, the recovery stays open in the store; the next holder of the lease
    /// resumes it.
    pub(crate) async fn carry_out(&self, order: Order) -> Result<RecoveryRecord, NotBegun> {
        let _busy = self.quorum.lease.busy();
        let mut recovery = self.begin(order).await?;
        let end = recovery.operate().await;
        self.close_and_replace(recovery, end).await
    }

    /// Records how a recovery ended. If its successor is silent, a recovery that replaces the
    /// successor begins at once: until then no server is known to take writes.
    async fn close_and_replace(
        &self,
        recovery: Recovery<'_>,
        end: End,
    ) -> Result<RecoveryRecord, NotBegun> {
        let row = recovery.close(end.outcome).await?;
        let Some(subject) = end.replace else {
            return Ok(row);
        };
        let order = Order {
            kind: row.kind,
            subject,
            requested: None,
            consent: None,
            automatic: row.automatic,
            finding: row.finding,
            decision: row.decision,
            trigger: self.members.clock.now(),
            deadline: None,
        };
        Box::pin(self.carry_out(order)).await
    }

    async fn begin(&self, order: Order) -> Result<Recovery<'_>, NotBegun> {
        self.quorum.lease.settle().await;
        let epoch = self
            .quorum
            .lease
            .epoch_for(Duration::from_millis(500))
            .ok_or(NotBegun::NoLease)?;
        let snapshot = self.members.snapshot().ok_or(NotBegun::Gone)?;
        let mut row = self.row(&order, &snapshot, epoch).ok_or(NotBegun::Gone)?;
        let begun = self.records.begin(&row).await;
        row.number = begun.map_err(|error| self.refused(&error))?;
        tracing::info!(
            cluster = %row.cluster_name, recovery = %row.id, kind = row.kind.word(), server = %row.subject,
            finding = row.finding, lease_epoch = epoch.0, "recovery begun"
        );
        self.records.counters.recoveries_begun.add();
        self.members
            .registry
            .begin_recovery(&self.members.cluster, &row);
        Ok(Recovery {
            driver: self,
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

    /// Why the store did not accept that a recovery begins or is resumed.
    fn refused(&self, error: &StoreError) -> NotBegun {
        match error {
            StoreError::Conflict { .. } => NotBegun::Refused(error.with_causes()),
            StoreError::Fenced { .. } => {
                self.quorum.lease.ask_again();
                NotBegun::NoLease
            }
            StoreError::Retry { .. }
            | StoreError::OutcomeUnknown { .. }
            | StoreError::Unavailable { .. } => NotBegun::Store(error.with_causes()),
        }
    }

    fn row(&self, order: &Order, snapshot: &Snapshot, epoch: LeaseEpoch) -> Option<RecoveryRecord> {
        let subject = snapshot.servers.get(&order.subject)?;
        let id = format!(
            "{:x}-{:x}-{}",
            self.members.clock.wall().millis(),
            self.members.clock.now().micros(),
            epoch
        );
        Some(RecoveryRecord {
            id: RecoveryId::new(id),
            number: 0,
            cluster: self.members.cluster.clone(),
            cluster_name: snapshot.cluster.name.clone(),
            kind: order.kind,
            finding: order.finding.clone(),
            subject: order.subject.clone(),
            subject_address: subject.address.clone(),
            successor: None,
            successor_address: None,
            outcome: RecoveryOutcome::Running,
            automatic: order.automatic,
            node: self.members.registry.settings.node.clone(),
            epoch,
            started: self.members.clock.wall(),
            ended: None,
            lost: Vec::new(),
            errors: Vec::new(),
            decision: order.decision.clone(),
            acknowledged: None,
            committed: false,
        })
    }
}

impl Recovery<'_> {
    /// Records how it ended, or that it has not ended yet.
    pub(crate) async fn close(self, outcome: RecoveryOutcome) -> Result<RecoveryRecord, NotBegun> {
        if outcome == RecoveryOutcome::Running {
            Err(self.leave_open().await)
        } else {
            Ok(self.end(outcome).await)
        }
    }

    /// Keeps the row open, for the next round or the next leader.
    async fn leave_open(mut self) -> NotBegun {
        let lines = self.write(&[]).await;
        let row = self.driver.records.update(&self.row).await;
        if let Err(error) = lines.and(row) {
            self.note_problem(error.with_causes());
        }
        let reasons = self.row.errors.join("; ");
        NotBegun::LeftOpen {
            text: format!(
                "the {} of {} is neither done nor undone yet; that goes on as soon as this node may act: {reasons}",
                self.row.kind.word(),
                self.row.subject
            ),
            recovery: self.row.id,
        }
    }

    /// Records the end. A store that does not answer leaves the row open: it is closed when the
    /// recovery is resumed.
    pub(crate) async fn end(mut self, mut outcome: RecoveryOutcome) -> RecoveryRecord {
        // Also after an undo: a step whose reply was lost may have taken effect.
        self.read_changed_servers().await;
        self.note_left_behind(outcome);
        if outcome == RecoveryOutcome::Succeeded {
            outcome = self.check_outcome();
        }
        self.row.outcome = outcome;
        self.row.ended = Some(self.driver.members.clock.wall());
        if let Err(error) = self.write(&[]).await {
            self.note_problem(error.with_causes());
        }
        self.record_end().await;
        // A server that was found a moment ago may not be in the store yet, and the seed may be the
        // one that died.
        self.driver.records.write_inventory().await;
        let counters = &self.driver.records.counters;
        let counter = match outcome {
            RecoveryOutcome::Succeeded => &counters.recoveries_succeeded,
            RecoveryOutcome::Failed | RecoveryOutcome::Unwound | RecoveryOutcome::Running => {
                &counters.recoveries_failed
            }
        };
        counter.add();
        let members = &self.driver.members;
        members.registry.end_recovery(&members.cluster, &self.row);
        tracing::info!(
            cluster = %self.row.cluster_name, recovery = %self.row.id, kind = self.row.kind.word(),
            outcome = outcome.word(), successor = self.row.successor.as_ref().map(ToString::to_string),
            elapsed_ms = self.driver.members.clock.now().since(self.trigger).as_millis() as u64, "recovery ended"
        );
        self.row
    }

    /// Reads the servers that the steps changed. Otherwise the next round sees a successor that
    /// still follows the server it replaced. A server that does not answer is noted as silent.
    async fn read_changed_servers(&self) {
        let members = &self.driver.members;
        let limit = members.registry.settings.read_limit;
        let snapshot = members.snapshot();
        let primary = snapshot.as_ref().and_then(Snapshot::primary);
        // The primary, too: its own reading shows what it committed after another server was lost.
        let primary = primary.filter(|server| server.answers());
        let mut ids = self.touched.clone();
        ids.extend(primary.map(|server| server.id.clone()));
        // In a switchover the old primary is alive and has to follow.
        if self.row.kind != RecoveryKind::Switchover {
            ids.remove(&self.row.subject);
        }
        join_all(ids.iter().map(|id| members.observe(id, limit))).await;
    }

    /// Notes the servers that were changed, or replicated from the subject, and do not follow the
    /// primary now.
    fn note_left_behind(&mut self, outcome: RecoveryOutcome) {
        if matches!(self.row.kind, RecoveryKind::Rejoin | RecoveryKind::Reopen) {
            return;
        }
        let Some(snapshot) = self.driver.members.snapshot() else {
            return;
        };
        // A recovery that did not succeed left behind only the servers it changed: what an operator
        // stopped stays stopped.
        let mut of = self.touched.clone();
        if outcome == RecoveryOutcome::Succeeded {
            let topology = Topology::of(&snapshot);
            let orphans = inherited_replicas(&snapshot, &topology, &self.row.subject).into_iter();
            of.extend(orphans.map(|edge| edge.replica));
            of.extend(self.row.lost.iter().cloned());
        }
        // In a switchover the old primary is to follow, too.
        if self.row.kind != RecoveryKind::Switchover || outcome != RecoveryOutcome::Succeeded {
            of.remove(&self.row.subject);
        } else {
            of.insert(self.row.subject.clone());
        }
        // If a recovery stopped midway, readings may be older than its last steps: all changed
        // servers count.
        self.row.lost = if outcome == RecoveryOutcome::Succeeded {
            not_following(&snapshot, &of)
        } else {
            of.into_iter().collect()
        };
    }

    /// Notes what is wrong after the last step: which servers do not follow, and why. A recovery
    /// without a primary that serves has failed.
    fn check_outcome(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.driver.members.snapshot() else {
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
            let why = why_not_following(&snapshot, id);
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

    /// Retries while the store is unavailable. After the last try the loop finds the open row and
    /// closes it.
    async fn record_end(&self) {
        for _ in 0..END_TRIES {
            match self.driver.records.update(&self.row).await {
                Ok(()) => return,
                Err(error) => {
                    self.driver.records.counters.store_failures.add();
                    tracing::error!(recovery = %self.row.id, error = error.with_causes(), "end of recovery not recorded");
                    if matches!(error, StoreError::Fenced { .. }) {
                        return;
                    }
                }
            }
            tokio::time::sleep(END_RETRY).await;
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
    match (server.answers(), writable) {
        (true, true) => None,
        (true, false) => Some("is read-only"),
        (false, _) => Some("does not answer"),
    }
}
