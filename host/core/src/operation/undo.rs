//! Undoing what was begun.

use std::time::Duration;

use super::turn::{Next, Note, PlanEnd};
use super::{Order, View};
use crate::ids::ServerId;
use crate::model::{Reach, RecoveryKind, RecoveryOutcome, Snapshot};
use crate::planning::{Plan, Purpose, plan_unwind};
use crate::time::Timestamp;

/// How long it is tried in one go, while the store does not take the journal or the right to act is
/// missing.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Puts replicas back under the old primary if it lives, and says how it ended. What was secured
/// stays secured if the old primary is dead: the next attempt begins with it.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    plan: Plan,
    /// When trying ends.
    until: Timestamp,
    /// When the try under way began.
    began: Timestamp,
}

impl Undo {
    /// `undone`: the plan whose effects are to go, if one was carried out.
    pub(super) fn new(order: &Order, view: &View<'_>, undone: Option<Plan>) -> Self {
        Self {
            plan: undone.unwrap_or_else(|| bare_plan(order, view.snapshot)),
            until: view.now().plus(PATIENCE),
            began: view.now(),
        }
    }

    /// One try.
    pub(super) fn attempt(&mut self, order: &Order, view: &View<'_>) -> Next {
        self.began = view.now();
        let (settings, first) = (view.settings, view.next_step);
        let plan = plan_unwind(view.snapshot, &self.plan, view.touched, settings, first);
        if plan.steps.is_empty() {
            return self.failed(order, view, false);
        }
        Next::Run(plan)
    }

    /// After one try.
    pub(super) fn after(&self, order: &Order, view: &View<'_>, end: &PlanEnd) -> Next {
        match end {
            PlanEnd::Completed { .. } => Next::end(RecoveryOutcome::Unwound),
            PlanEnd::Stopped { unrecorded, .. } => self.failed(order, view, *unrecorded),
            PlanEnd::PerhapsOpen => self.failed(order, view, false),
        }
    }

    /// Nothing that passes must leave the cluster without a writer: a store or a majority that is
    /// away for a moment, a session that another node ended. A dead primary is not waited for: what
    /// is missing for it is missing for the next attempt, too.
    fn failed(&self, order: &Order, view: &View<'_>, unrecorded: bool) -> Next {
        if !view.has_lease {
            return Next::failed();
        }
        let planned = order.kind == RecoveryKind::Switchover;
        let refused = view.refused_at.is_some_and(|at| at >= self.began);
        let unmet = refused || answers(view.snapshot, &order.subject);
        if !(unrecorded || planned && unmet) {
            return Next::failed();
        }
        if view.now() <= self.until {
            Next::Wait(PAUSE)
        } else if planned {
            Next::end(RecoveryOutcome::Running)
        } else {
            Next::failed()
        }
    }
}

/// Begins to undo; `None` if that is not allowed.
pub(super) fn begin(
    order: &Order,
    view: &View<'_>,
    (undone, maybe_open): (Option<Plan>, bool),
    notes: &mut Vec<Note>,
) -> Option<Undo> {
    if !view.has_lease {
        return None;
    }
    if maybe_open {
        notes.push(Note::Problem(format!(
            "{} stays as it is: a successor that does not answer may take writes; a person has to look",
            order.subject
        )));
        return None;
    }
    notes.push(Note::NoDeadline);
    Some(Undo::new(order, view, undone))
}

fn bare_plan(order: &Order, snapshot: &Snapshot) -> Plan {
    Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(order.kind),
        epoch: order.epoch,
        failed: order.subject.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: Vec::new(),
    }
}

/// Whether a server answers.
pub(super) fn answers(snapshot: &Snapshot, server: &ServerId) -> bool {
    let server = snapshot.servers.get(server);
    server.is_some_and(|server| server.probe.reach() == Reach::Answering)
}
