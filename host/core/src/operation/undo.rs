//! Undoing what was begun.

use std::time::Duration;

use super::Context;
use super::turn::{Next, Note, PlanEnd};
use crate::model::{RecoveryKind, RecoveryOutcome};
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
    pub(super) fn new(cx: &Context<'_>, undone: Option<Plan>) -> Self {
        Self {
            plan: undone.unwrap_or_else(|| bare_plan(cx)),
            until: cx.view.now().plus(PATIENCE),
            began: cx.view.now(),
        }
    }

    /// One try.
    pub(super) fn attempt(&mut self, cx: &Context<'_>) -> Next {
        self.began = cx.view.now();
        let (settings, first) = (cx.view.settings, cx.view.next_step);
        let plan = plan_unwind(
            cx.view.snapshot,
            &self.plan,
            cx.view.touched,
            settings,
            first,
        );
        if plan.steps.is_empty() {
            return self.failed(cx, false);
        }
        Next::Run(plan)
    }

    /// After one try.
    pub(super) fn after(&self, cx: &Context<'_>, end: &PlanEnd) -> Next {
        match end {
            PlanEnd::Completed { .. } => Next::end(RecoveryOutcome::Unwound),
            PlanEnd::Stopped { unrecorded, .. } => self.failed(cx, *unrecorded),
            PlanEnd::PerhapsOpen => self.failed(cx, false),
        }
    }

    /// Nothing that passes must leave the cluster without a writer: a store or a majority that is
    /// away for a moment, a session that another node ended. A dead primary is not waited for: what
    /// is missing for it is missing for the next attempt, too.
    fn failed(&self, cx: &Context<'_>, unrecorded: bool) -> Next {
        if !cx.view.has_lease {
            return Next::failed();
        }
        let planned = cx.order.kind == RecoveryKind::Switchover;
        let refused = cx.view.refused_at.is_some_and(|at| at >= self.began);
        let unmet = refused || cx.view.snapshot.answers(&cx.order.subject);
        if !(unrecorded || planned && unmet) {
            return Next::failed();
        }
        if cx.view.now() <= self.until {
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
    cx: &mut Context<'_>,
    (undone, maybe_open): (Option<Plan>, bool),
) -> Option<Undo> {
    if !cx.view.has_lease {
        return None;
    }
    if maybe_open {
        cx.problem(format!(
            "{} stays as it is: a successor that does not answer may take writes; a person has to look",
            cx.order.subject
        ));
        return None;
    }
    cx.notes.push(Note::NoDeadline);
    Some(Undo::new(cx, undone))
}

fn bare_plan(cx: &Context<'_>) -> Plan {
    Plan {
        cluster: cx.view.snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(cx.order.kind),
        epoch: cx.order.epoch,
        subject: cx.order.subject.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: Vec::new(),
    }
}
