//! Scheduled events follow the role: they run on the primary and on no replica.
//!
//! On a replica every event is disabled, whatever it is on its source, so only what the old primary
//! showed last tells which are to run. Never before writes are open and never in their way: steps
//! come after those that other servers wait for, and what cannot be done is recorded and found
//! later (`events-disabled`).

use std::collections::BTreeMap;

use super::PlanSettings;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Step, StepId};
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{EventName, EventState, Events, Snapshot};

/// The new primary gives its events the state that they had on the old one when that was last read.
pub(super) fn add_restoring(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (old, successor): (&ServerId, &ServerId),
    after: &[StepId],
    settings: &PlanSettings,
) {
    let states = known_states(snapshot, old);
    if states.is_empty() {
        return;
    }
    let command = ServerCommand::RestoreEvents {
        states,
        keep_decided: false,
    };
    let limits = (OnFailure::Continue, settings.step_limit);
    steps.command(Phase::Verify, (successor, command), after, limits);
}

/// A server that is the primary no more runs no event. Gives the step to wait for before it is
/// compared, or attaches.
pub(super) fn add_disabling(
    steps: &mut Builder,
    snapshot: &Snapshot,
    server: &ServerId,
    after: StepId,
    settings: &PlanSettings,
) -> StepId {
    let runs = last_known(snapshot, server).is_some_and(|events| events.enabled().next().is_some());
    if !runs {
        return after;
    }
    let limits = (OnFailure::Continue, settings.step_limit);
    let target = (server, ServerCommand::DisableEvents);
    steps.command(Phase::Rejoin, target, &[after], limits)
}

/// Adds to the plan that attaches a returned server what its successor could not do before, for
/// lack of a replica that acknowledges, or because Baton ended: the primary's events that nobody
/// has decided on since get the state that they had on the returned server `before` its own were
/// disabled.
pub fn with_events_restored(mut plan: Plan, before: &Snapshot, settings: &PlanSettings) -> Plan {
    let primary = before.cluster.primary.clone();
    let states = known_states(before, &plan.subject);
    let last = plan.steps.iter().map(|step| step.id).max();
    let (Some(primary), Some(last)) = (primary.filter(|id| *id != plan.subject), last) else {
        return plan;
    };
    if states.is_empty() {
        return plan;
    }
    plan.steps.push(Step {
        id: last.saturating_add(1),
        phase: Phase::Verify,
        action: Action::Command {
            server: primary,
            command: ServerCommand::RestoreEvents {
                states,
                keep_decided: true,
            },
        },
        after: plan.steps.iter().map(|step| step.id).collect(),
        on_failure: OnFailure::Continue,
        limit: settings.step_limit,
    });
    plan
}

/// The events of a former primary, but for those that nobody had decided on there either.
fn known_states(snapshot: &Snapshot, old: &ServerId) -> BTreeMap<EventName, EventState> {
    let undecided = EventState::ReplicaDisabled { set_here: false };
    let events = last_known(snapshot, old).into_iter();
    events
        .flat_map(|events| &events.states)
        .filter(|(_, state)| **state != undecided)
        .map(|(name, state)| (name.clone(), *state))
        .collect()
}

fn last_known<'a>(snapshot: &'a Snapshot, server: &ServerId) -> Option<&'a Events> {
    let facts = snapshot.servers.get(server)?.last_facts()?;
    facts.events.as_ref()
}

#[cfg(test)]
mod tests;
