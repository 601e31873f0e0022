//! Delayed replicas: the delay of a server that has to apply at once is lifted. It is set back
//! unless that server becomes the primary.

use std::time::Duration;

use super::PlanSettings;
use super::candidate::{Candidate, DELAYED};
use super::plan::{Action, Builder, OnFailure, Phase, StepId};
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{Bounds, Edge, Snapshot, Topology};

/// Lifts the delay of a server that has something to apply, or `fetches` some: it would keep the
/// cluster without a primary for as long. Gives the steps that have to end before it can drain.
pub(super) fn add_lift(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (server, fetches): (&ServerId, bool),
    after: &[StepId],
    settings: &PlanSettings,
) -> Vec<StepId> {
    let mut last = after.to_vec();
    let Some(facts) = snapshot.facts(server) else {
        return last;
    };
    if !fetches && facts.executed.missing_count(&facts.possessed()) == Some(0) {
        return last;
    }
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    // In vain, the server drains too late: the next one is tried at once.
    let limits = (OnFailure::Abort, settings.step_limit);
    for edge in bounds.inner(&topology, server) {
        if !edge.channel.delay.is_zero() {
            let lift = set_delay(edge, Duration::ZERO);
            last = vec![steps.command(Phase::Drain, (server, lift), &last, limits)];
        }
    }
    last
}

/// Sets a delay back that this plan or an earlier one has lifted, if there is one. Replication is
/// stopped then.
pub(super) fn add_setting_back(
    steps: &mut Builder,
    snapshot: &Snapshot,
    edge: &Edge,
    (phase, after): (Phase, &[StepId]),
    limits: (OnFailure, Duration),
) -> Option<StepId> {
    let lift = set_delay(edge, Duration::ZERO);
    let lifts = |action: &Action| matches!(action, Action::Command { server, command } if *server == edge.replica && *command == lift);
    let delay = if steps.steps().iter().any(|step| lifts(&step.action)) {
        Some(edge.channel.delay)
    } else {
        let server = snapshot.servers.get(&edge.replica);
        server.and_then(|server| server.lifted_on(&edge.channel))
    };
    let command = set_delay(edge, delay?);
    Some(steps.command(phase, (&edge.replica, command), after, limits))
}

/// As [`add_setting_back`], for a replica that goes on with the source it has. What it has not
/// applied yet may be nowhere else, and is dropped: if it is not applied in time, the replica stays
/// as it is.
pub(super) fn add_setting_back_drained(
    steps: &mut Builder,
    snapshot: &Snapshot,
    edge: &Edge,
    (phase, after): (Phase, &[StepId]),
    settings: &PlanSettings,
) -> Option<StepId> {
    let server = snapshot.servers.get(&edge.replica);
    server.and_then(|server| server.lifted_on(&edge.channel))?;
    let drain = Action::Drain {
        server: edge.replica.clone(),
    };
    let limits = (OnFailure::SkipDependants, settings.drain_limit);
    let drained = steps.step(phase, drain, after, limits);
    let limits = (OnFailure::SkipDependants, settings.step_limit);
    add_setting_back(steps, snapshot, edge, (phase, &[drained]), limits)
}

fn set_delay(edge: &Edge, delay: Duration) -> ServerCommand {
    ServerCommand::SetDelay {
        channel: edge.channel.name.clone(),
        delay,
    }
}

/// The policy's order, with each delayed candidate behind all others if one of them has as much and
/// is not delayed.
pub fn delayed_last(order: &[ServerId], list: &[Candidate]) -> Vec<ServerId> {
    let find = |id: &ServerId| list.iter().find(|candidate| candidate.server == *id);
    let is_delayed =
        |candidate: &Candidate| candidate.warnings.iter().any(|why| why.code == DELAYED);
    let least = order
        .iter()
        .filter_map(find)
        .filter(|other| !is_delayed(other));
    let least = least.filter_map(|other| other.missing).min();
    let comes_last = |id: &&ServerId| {
        find(id).is_some_and(|own| {
            let as_much = least.is_some_and(|least| own.missing.is_none_or(|own| least <= own));
            is_delayed(own) && as_much
        })
    };
    let (last, first): (Vec<&ServerId>, Vec<&ServerId>) = order.iter().partition(comes_last);
    first.into_iter().chain(last).cloned().collect()
}

#[cfg(test)]
mod tests;
