//! Finishing or unwinding what a process left when it ended in the middle of a recovery.

use std::collections::BTreeSet;
use std::sync::Arc;

use baton_core::ids::{RecoveryId, ServerId};
use baton_core::model::{
    Bounds, Reach, RecoveryKind, RecoveryOutcome, Server, Snapshot, ThreadState, Topology,
};
use baton_core::planning::{Phase, Plan, Step, finish_steps, plan_relocate, record_steps};
use baton_ports::RecoveryRow;

use super::failover::Judgement;
use super::run::Ended;
use super::{Means, NotBegun, Recovery};
use crate::lease::LEASE;

impl Means {
    /// Takes over an open recovery under the present epoch and brings it to an end.
    ///
    /// Every member must have been probed before, so that what the servers show now decides, not what was intended.
    pub(crate) async fn resume(
        self: &Arc<Self>,
        mut row: RecoveryRow,
    ) -> Result<RecoveryRow, NotBegun> {
        let _busy = self.lease.busy();
        let epoch = self
            .lease
            .epoch_for(std::time::Duration::from_millis(500))
            .ok_or(NotBegun::NoLease)?;
        let node = self.registry.settings.node.clone();
        let adopted = self.store.adopt_recovery(LEASE, &row.id, &node, epoch);
        adopted.await.map_err(|error| self.refused(&error))?;
        let steps = self.store.steps(&row.id).await;
        let steps = steps.map_err(|error| self.refused(&error))?;
        let next_step = steps
            .iter()
            .map(|step| step.entry.step)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        let touched: BTreeSet<ServerId> = steps
            .iter()
            .filter_map(|step| step.entry.server.clone())
            .collect();
        let superseded = self.superseded(&row).await;
        row.node = node;
        row.epoch = epoch;
        self.set_active(Some(&row));
        tracing::info!(recovery = %row.id, kind = row.kind.word(), committed = row.committed, "recovery resumed");
        let mut recovery = Recovery {
            means: self,
            requested: None,
            consent: None,
            trigger: self.clock.now(),
            deadline: None,
            row,
            next_step,
            unwritten: Vec::new(),
            // A committed recovery whose successor is not seen writable: the same doubt.
            maybe_open: false,
            silent: None,
            unrecorded: false,
            tried: BTreeSet::new(),
            undrained: None,
            touched,
        };
        let outcome = match superseded {
            Some(later) => {
                recovery.complain(format!(
                    "recovery {later} succeeded under a later epoch: nothing of this one is left to do"
                ));
                RecoveryOutcome::Failed
            }
            None => recovery.finish_or_unwind().await,
        };
        self.close_and_replace(recovery, outcome).await
    }

    /// The later recovery that replaced a primary of this cluster while a node left this one open that could not tell anybody: to go on
    /// with this one, or to undo it, would undo the later one.
    async fn superseded(&self, row: &RecoveryRow) -> Option<RecoveryId> {
        if !row.kind.replaces_primary() {
            return None;
        }
        let rows = self
            .store
            .recoveries(Some(&self.cluster), 0, LOOK_BACK)
            .await;
        let rows = rows.unwrap_or_default();
        let later = rows
            .into_iter()
            .find(|other| other.epoch > row.epoch && other.has_promoted());
        later.map(|later| later.id)
    }
}

/// Recoveries looked at for a later one.
const LOOK_BACK: u32 = 20;

impl Recovery<'_> {
    async fn finish_or_unwind(&mut self) -> RecoveryOutcome {
        let line = self.note(
            Phase::Lock,
            None,
            format!("resumed under epoch {}", self.epoch()),
        );
        if let Err(error) = self.write(&[line]).await {
            self.complain(error.with_causes());
        }
        match self.row.kind {
            RecoveryKind::Rejoin => self.rejoin().await,
            RecoveryKind::Reopen => {
                self.row.committed = false;
                self.reopen().await
            }
            RecoveryKind::IntermediateFailover => self.relocate_again().await,
            RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover => {
                self.resume_failover().await
            }
            RecoveryKind::Switchover => self.resume_switchover().await,
        }
    }

    /// Nothing left to move is a success: the process ended after the last step.
    async fn relocate_again(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let left = Topology::of(&snapshot).replicas_of(&self.row.failed).len();
        if left == 0 {
            RecoveryOutcome::Succeeded
        } else {
            self.relocate().await
        }
    }

    async fn resume_failover(&mut self) -> RecoveryOutcome {
        if let Some(outcome) = self.settle_by_successor().await {
            return outcome;
        }
        if self.is_old_primary_back() && !self.row.committed {
            // It came back before anybody was promoted: it is the primary still.
            let plan = None;
            return self.unwind(plan).await;
        }
        // Begun again from the top; every step is idempotent.
        self.row.committed = false;
        self.failover().await
    }

    async fn resume_switchover(&mut self) -> RecoveryOutcome {
        if let Some(outcome) = self.settle_by_successor().await {
            return outcome;
        }
        self.row.committed = false;
        self.row.successor = None;
        self.unwind(None).await
    }

    /// How the recovery ends if its successor takes writes, or nothing more may be done; `None` if it goes on from the beginning.
    async fn settle_by_successor(&mut self) -> Option<RecoveryOutcome> {
        if let Some(successor) = self.writable_successor() {
            self.finish_forward(&successor).await;
            return Some(RecoveryOutcome::Succeeded);
        }
        // Sent, and not seen: the successor may take writes where nobody sees it. Without one it was the old primary that was to be opened.
        let sent = self.row.successor.clone().filter(|_| self.row.committed)?;
        match self.judge_by_its_word(&sent).await {
            Judgement::Promoted => Some(RecoveryOutcome::Succeeded),
            Judgement::NotPromoted => None,
            Judgement::OutOfRight => Some(RecoveryOutcome::Failed),
        }
    }

    /// Who took over: the recorded successor, if it is writable now, or whoever is writable and replicates from nobody beside the server that
    /// was to be replaced. A backend that forgets commits may have forgotten the line before the step that opened it.
    fn writable_successor(&self) -> Option<ServerId> {
        let recorded = self.recorded_successor();
        recorded.or_else(|| self.opened_unrecorded())
    }

    fn opened_unrecorded(&self) -> Option<ServerId> {
        let snapshot = self.means.snapshot()?;
        let is_open = |server: &Server| {
            server.probe.reach() == Reach::Answering
                && server.last_facts().is_some_and(|facts| {
                    let mut receivers = facts.channels.iter().map(|channel| channel.receiver);
                    facts.is_writable() && receivers.all(|state| state == ThreadState::Stopped)
                })
        };
        let topology = Topology::of(&snapshot);
        let bounds = Bounds::of(&snapshot, &topology);
        let members = snapshot.servers.values();
        let mut open = members.filter(|server| is_open(server) && !bounds.is_apart(&server.id));
        let found = open.next()?;
        let alone = open.next().is_none() && found.id != self.row.failed;
        alone.then(|| found.id.clone())
    }

    fn recorded_successor(&self) -> Option<ServerId> {
        let successor = self.row.successor.clone().filter(|_| self.row.committed)?;
        let snapshot = self.means.snapshot()?;
        let server = snapshot.servers.get(&successor)?;
        let writable = server
            .last_facts()
            .is_some_and(baton_core::model::ServerFacts::is_writable);
        (server.probe.reach() == Reach::Answering && writable).then_some(successor)
    }

    pub(super) fn is_old_primary_back(&self) -> bool {
        let Some(snapshot) = self.means.snapshot() else {
            return false;
        };
        snapshot
            .servers
            .get(&self.row.failed)
            .is_some_and(|s| s.probe.reach() == Reach::Answering)
    }

    /// The successor may take writes where nobody sees it, and for whoever replicated from it before it may take them with acknowledgements:
    /// it is the primary from now on, and has failed in its turn. Whoever replaces it takes its replicas away, and closes it when it returns.
    pub(crate) async fn hand_to_silent(&mut self, successor: &ServerId) {
        self.complain(format!(
            "{successor} may take writes, and does not answer: it is the primary, and is replaced"
        ));
        self.note_successor(successor);
        self.silent = Some(successor.clone());
        let Some(snapshot) = self.means.snapshot() else {
            return;
        };
        let settings = self.means.registry.settings.plan.clone();
        let steps = record_steps(&snapshot, successor, self.next_step(), &settings);
        self.run(self.forward_plan(&snapshot, successor, steps))
            .await;
    }

    fn forward_plan(&self, snapshot: &Snapshot, successor: &ServerId, steps: Vec<Step>) -> Plan {
        Plan {
            cluster: snapshot.cluster.id.clone(),
            kind: self.row.kind,
            epoch: self.epoch(),
            failed: self.row.failed.clone(),
            successor: Some(successor.clone()),
            fence_waiver: Some("writes are open on the successor already".to_owned()),
            loss_consented: true,
            revoked_after: None,
            steps,
        }
    }

    /// Writes are open on the successor: record it, send clients there, bring the siblings along.
    pub(crate) async fn finish_forward(&mut self, successor: &ServerId) {
        self.note_successor(successor);
        let Some(snapshot) = self.means.snapshot() else {
            return;
        };
        let settings = self.means.registry.settings.plan.clone();
        let target = (&self.row.failed.clone(), successor);
        let moved = plan_relocate(&snapshot, self.row.kind, target, self.epoch(), &settings);
        let moved = moved.map(|plan| plan.steps).unwrap_or_default();
        let steps = finish_steps(&snapshot, target, moved, self.next_step(), &settings);
        match self
            .run(self.forward_plan(&snapshot, successor, steps))
            .await
        {
            Ended::Completed { tolerated: _ } => {}
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => {
                self.complain("siblings could not all be brought along");
            }
        }
    }
}
