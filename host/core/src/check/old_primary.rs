//! A switchover trusts no fence: the old primary is read again before its successor is opened, and
//! compared before it follows.

use super::{Objection, all_before};
use crate::command::ServerCommand;
use crate::model::RecoveryKind;
use crate::planning::{Action, Plan, Purpose};

/// Looks at what comes before the two steps that depend on where the old primary stands.
pub(super) fn check_old_primary(plan: &Plan, objections: &mut Vec<Objection>) {
    let Some(successor) = plan.successor.as_ref() else {
        return;
    };
    if plan.purpose != Purpose::Recovery(RecoveryKind::Switchover) {
        return;
    }
    let subject = &plan.subject;
    for step in &plan.steps {
        let before = all_before(plan, step);
        let opens = step.action.opens_writes() && step.action.server() == Some(successor);
        let reads = |action: &Action| matches!(action, Action::VerifyCovers { server, from } if server == successor && from == subject);
        if opens && !before.iter().any(|step| reads(&step.action)) {
            objections.push(Objection::NotReadAgain {
                step: step.id,
                subject: subject.clone(),
            });
        }
        let attaches = matches!(
            &step.action,
            Action::Command { server, command: ServerCommand::PointAt { .. } } if server == subject
        );
        let compares = |action: &Action| matches!(action, Action::Classify { returned, .. } if returned == subject);
        if attaches && !before.iter().any(|step| compares(&step.action)) {
            objections.push(Objection::NotCompared {
                step: step.id,
                subject: subject.clone(),
            });
        }
    }
}
