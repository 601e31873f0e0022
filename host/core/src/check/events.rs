//! Events run on the primary only, and not before it takes writes.

use super::{Objection, all_before};
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::Snapshot;
use crate::planning::{Action, Plan, Step};

/// Looks at what comes before a step that lets events run. A plan that opens nobody does that only
/// on a server that was opened before: its own successor, or the recorded primary.
pub(super) fn check_events(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    let opens_somebody = plan.steps.iter().any(|step| step.action.opens_writes());
    for step in &plan.steps {
        let Some(server) = restored(step) else {
            continue;
        };
        let is_opened = if opens_somebody {
            let opens = |before: &Step| {
                before.action.opens_writes() && before.action.server() == Some(server)
            };
            all_before(plan, step).into_iter().any(opens)
        } else {
            [&plan.successor, &snapshot.cluster.primary]
                .into_iter()
                .any(|opened| opened.as_ref() == Some(server))
        };
        if !is_opened {
            objections.push(Objection::EventsBeforeWrites {
                step: step.id,
                server: server.clone(),
            });
        }
    }
}

/// Whose events a step lets run.
fn restored(step: &Step) -> Option<&ServerId> {
    let Action::Command {
        server,
        command: ServerCommand::RestoreEvents { .. },
    } = &step.action
    else {
        return None;
    };
    Some(server)
}
