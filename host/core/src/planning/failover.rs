//! Replacing a dead, hung or useless primary: first *secure* (fence, revoke, read), then, on what
//! was read, *promote*.

use std::collections::BTreeSet;

use super::channels::{add_forgetting, channel_of, forget_afterwards};
use super::delay::{add_lift, add_setting_back};
use super::election::Choice;
use super::events;
use super::fence::{add_fence, waits_in_vain};
use super::history::History;
use super::inherited::inherited_replicas;
use super::inherited::replaced_with;
use super::old_primary::add_left_fence;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, StepId};
use super::semi_sync::{add_end_of_acknowledging, add_release, add_source_side};
use super::{Blocked, PlanSettings};
use crate::analysis::is_cut_off;
use crate::command::{Guard, ServerCommand};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{
    Edge, Flavor, ProbeFailure, Reach, RecoveryKind, Snapshot, ThreadState, Topology,
};

/// What a failover is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureRequest {
    /// Kind: failover or co-primary failover.
    pub kind: RecoveryKind,
    /// The server to be replaced.
    pub subject: ServerId,
    /// Epoch of the lease.
    pub epoch: LeaseEpoch,
    /// Number of the first step.
    pub first_step: StepId,
}

/// Plans the first half: confirm the right, fence the failed server if it answers at all, stop the
/// receivers of its replicas so that nothing more can be acknowledged, and read them again.
///
/// # Errors
/// Blocked if no replica answers.
pub fn plan_secure(
    snapshot: &Snapshot,
    request: &SecureRequest,
    settings: &PlanSettings,
) -> Result<Plan, Blocked> {
    let topology = Topology::of(snapshot);
    let replicas = answering(
        snapshot,
        inherited_replicas(snapshot, &topology, &request.subject),
    );
    if replicas.is_empty() {
        return Err(Blocked::because(
            request.kind,
            "no-replica-answers",
            format!("no replica of {} answers", request.subject),
            vec![request.subject.clone()],
        ));
    }
    let mut steps = Builder::new(snapshot, request.first_step);
    let others: BTreeSet<ServerId> = replicas.iter().map(|edge| edge.replica.clone()).collect();
    let confirm = steps.step(
        Phase::Lock,
        Action::Confirm {
            target: None,
            others,
        },
        &[],
        (OnFailure::Abort, settings.revoke_limit),
    );
    let waits_in_vain = waits_in_vain(snapshot, &topology, &request.subject);
    let fence_waiver = add_fence(
        &mut steps,
        snapshot,
        (request, waits_in_vain),
        confirm,
        settings,
    );
    let revoke = if waits_in_vain {
        // Nothing but this keeps the old primary from acknowledging.
        OnFailure::Abort
    } else {
        OnFailure::SkipDependants
    };
    let lingers = does_not_let_go(snapshot, &request.subject)
        || is_cut_off_alive(snapshot, &request.subject, &replicas);
    for edge in &replicas {
        let channel = Some(edge.channel.name.clone());
        let before = add_applier(&mut steps, snapshot, edge, confirm, settings);
        let stuck = || {
            let replica = snapshot.servers.get(&edge.replica);
            replica.is_some_and(|replica| replica.starving_since(&edge.channel.name).is_some())
        };
        let stop = if lingers || waits_in_vain || stuck() {
            ServerCommand::SeverReceivers { channel }
        } else {
            ServerCommand::StopReceivers { channel }
        };
        let stopped = steps.command(
            Phase::Revoke,
            (&edge.replica, stop),
            &[before],
            (revoke, settings.revoke_limit),
        );
        steps.step(
            Phase::Revoke,
            Action::Observe {
                server: edge.replica.clone(),
            },
            &[stopped],
            (OnFailure::Continue, settings.revoke_limit),
        );
    }
    Ok(Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(request.kind),
        epoch: request.epoch,
        subject: request.subject.clone(),
        successor: None,
        fence_waiver,
        loss_consented: false,
        revoked_after: Some(snapshot.taken_at),
        steps: steps.finish(),
    })
}

/// MariaDB throws a relay log away when its receiver is started while neither thread runs, whatever
/// `relay_log_recovery` says (tried on 10.11, GTID mode). So an applier that does not run is
/// started before the receiver is stopped, and what was received stays.
fn add_applier(
    steps: &mut Builder,
    snapshot: &Snapshot,
    edge: &Edge,
    confirm: StepId,
    settings: &PlanSettings,
) -> StepId {
    let is_mariadb = snapshot
        .facts(&edge.replica)
        .is_some_and(|facts| facts.flavor == Flavor::Mariadb);
    if !is_mariadb || edge.channel.applier == ThreadState::Running {
        return confirm;
    }
    let limits = (OnFailure::Continue, settings.revoke_limit);
    let start = ServerCommand::StartAppliers {
        channel: Some(edge.channel.name.clone()),
    };
    steps.command(Phase::Revoke, (&edge.replica, start), &[confirm], limits)
}

/// True for a server that is silent without being gone: stopping a receiver then waits for it (one
/// second on MariaDB with semi-synchronous replication, two on MySQL while it connects).
pub(super) fn does_not_let_go(snapshot: &Snapshot, server: &ServerId) -> bool {
    let probe = snapshot.servers.get(server).map(|server| &server.probe);
    probe.is_some_and(|probe| {
        let gone = matches!(
            probe.failure,
            Some(ProbeFailure::Refused | ProbeFailure::Reset)
        );
        probe.reach() == Reach::Silent && !gone
    })
}

/// The network between a server that answers us and its replicas is cut: stopping a receiver waits
/// for it as well.
fn is_cut_off_alive(snapshot: &Snapshot, server: &ServerId, replicas: &[Edge]) -> bool {
    snapshot.answers(server) && replicas.iter().any(|edge| is_cut_off(&edge.channel))
}

/// Replicas of `source` that answer, in identity order.
pub(crate) fn answering_replicas(
    snapshot: &Snapshot,
    topology: &Topology,
    source: &ServerId,
) -> Vec<Edge> {
    answering(snapshot, topology.replicas_of(source).to_vec())
}

fn answering(snapshot: &Snapshot, mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.retain(|edge| snapshot.answers(&edge.replica));
    edges
}

/// Plans the second half: drain, catch up if needed, promote, record, route, repoint, verify.
pub fn plan_promote(
    snapshot: &Snapshot,
    secured: &Plan,
    choice: &Choice,
    settings: &PlanSettings,
    first_step: StepId,
) -> Plan {
    let mut steps = Builder::new(snapshot, first_step);
    let topology = Topology::of(snapshot);
    let siblings = siblings(snapshot, &topology, secured, choice);
    let prepared = add_drain(&mut steps, snapshot, choice, settings);
    let others = siblings.iter().map(|edge| edge.replica.clone()).collect();
    let catches_up = choice.catch_up_from.is_some();
    let target = (&secured.subject, &choice.successor);
    let place = (Phase::Promote, prepared.as_slice());
    let sided = add_source_side(&mut steps, snapshot, target, place, settings.step_limit);
    let prepared = sided.map_or(prepared, |sided| vec![sided]);
    let opened = if catches_up {
        // Its receiver runs: it must not read from a sibling when it takes writes.
        let target = (Phase::Promote, &choice.successor);
        let limits = (OnFailure::Abort, settings.step_limit);
        let forgotten = add_forgetting(&mut steps, snapshot, target, &prepared, limits);
        add_opening(&mut steps, &choice.successor, others, &forgotten, settings)
    } else {
        add_opening(&mut steps, &choice.successor, others, &prepared, settings)
    };
    add_left_fence(&mut steps, snapshot, &secured.subject, opened, settings);
    let recorded = add_record(&mut steps, &choice.successor, &[opened], settings);
    let forgotten = if catches_up {
        vec![opened]
    } else {
        forget_afterwards(&mut steps, snapshot, &choice.successor, &[opened], settings)
    };
    if sided.is_some() {
        add_end_of_acknowledging(&mut steps, &choice.successor, &forgotten, settings);
    }
    let moved = add_repoints(
        &mut steps,
        snapshot,
        (&choice.successor, &siblings),
        &[opened],
        settings,
    );
    // Without a sibling nobody would acknowledge it: then it is done when the old primary is back.
    if sided.is_none() || !moved.is_empty() {
        // With it, a sibling that is lost does not keep the step from being taken.
        let after: Vec<StepId> = moved.into_iter().chain([opened]).collect();
        events::add_restoring(&mut steps, snapshot, target, &after, settings);
    }
    steps.step(
        Phase::Verify,
        Action::AwaitWritable {
            server: choice.successor.clone(),
        },
        &[recorded],
        (OnFailure::Abort, settings.verify_limit),
    );
    // A fence that had to succeed did, or there would be no second half.
    let fenced = secured.steps.iter().any(|step| {
        matches!(&step.action, Action::Command { server, command: ServerCommand::Fence { .. } } if *server == secured.subject)
    });
    let waiver = secured.fence_waiver.clone();
    let fence_waiver = waiver.or_else(|| {
        fenced.then(|| {
            format!(
                "{} was fenced by the first half of this recovery",
                secured.subject
            )
        })
    });
    Plan {
        successor: Some(choice.successor.clone()),
        loss_consented: choice.given_up > 0 || !choice.risked.is_empty(),
        fence_waiver,
        steps: steps.finish(),
        ..secured.clone()
    }
}

/// Replicas that answer and can follow the successor.
///
/// One that has transactions which the successor will lack is pointed nowhere: its relay log may be
/// the only copy there is, and MariaDB would drop it.
fn siblings(
    snapshot: &Snapshot,
    topology: &Topology,
    secured: &Plan,
    choice: &Choice,
) -> Vec<Edge> {
    let mut siblings = answering(
        snapshot,
        inherited_replicas(snapshot, topology, &secured.subject),
    );
    siblings.retain(|edge| edge.replica != choice.successor);
    if choice.given_up == 0 {
        return siblings;
    }
    let replaced = replaced_with(snapshot, &secured.subject);
    let history = History::of(snapshot, topology, &replaced);
    let part = |id: &ServerId| {
        let server = snapshot.servers.get(id)?;
        Some(history.part(server, server.last_facts()?))
    };
    let own = part(&choice.successor);
    siblings.retain(|edge| {
        let both = own.as_ref().zip(part(&edge.replica));
        both.is_some_and(|(own, other)| own.missing_count(&other) == Some(0))
    });
    siblings
}

fn add_drain(
    steps: &mut Builder,
    snapshot: &Snapshot,
    choice: &Choice,
    settings: &PlanSettings,
) -> Vec<StepId> {
    let limits = (OnFailure::Abort, settings.drain_limit);
    let successor = choice.successor.clone();
    let released = add_release(steps, snapshot, &successor, &[], settings);
    // What it fetches would be delayed as well.
    let fetches = choice.catch_up_from.is_some();
    let target = (&successor, fetches);
    let released = add_lift(steps, snapshot, target, released.as_slice(), settings);
    let Some(source) = &choice.catch_up_from else {
        let drained = steps.step(
            Phase::Drain,
            Action::Drain { server: successor },
            &released,
            limits,
        );
        return vec![drained];
    };
    // Both first apply what they have: on MariaDB, changing the source drops relay logs that are
    // not applied yet.
    let supplier_released = add_release(steps, snapshot, source, &[], settings);
    let target = (source, false);
    let supplier_released = add_lift(
        steps,
        snapshot,
        target,
        supplier_released.as_slice(),
        settings,
    );
    let supplier = steps.step(
        Phase::Drain,
        Action::Drain {
            server: source.clone(),
        },
        &supplier_released,
        limits,
    );
    let own = steps.step(
        Phase::Drain,
        Action::Drain {
            server: successor.clone(),
        },
        &released,
        limits,
    );
    let Some(address) = snapshot
        .servers
        .get(source)
        .map(|server| server.address.clone())
    else {
        return vec![supplier, own];
    };
    let channel = channel_of(snapshot, &successor);
    let point = ServerCommand::PointAt {
        channel,
        source: address,
        start: true,
        configured_account: false,
    };
    let pointed = steps.command(
        Phase::Drain,
        (&successor, point),
        &[supplier, own],
        (OnFailure::Abort, settings.step_limit),
    );
    let from = BTreeSet::from([source.clone()]);
    vec![steps.step(
        Phase::Drain,
        Action::CatchUp {
            server: successor,
            from,
        },
        &[pointed],
        limits,
    )]
}

pub(super) fn add_opening(
    steps: &mut Builder,
    successor: &ServerId,
    others: BTreeSet<ServerId>,
    after: &[StepId],
    settings: &PlanSettings,
) -> StepId {
    let confirmed = steps.step(
        Phase::Promote,
        Action::Confirm {
            target: Some(successor.clone()),
            others,
        },
        after,
        (OnFailure::Abort, settings.revoke_limit),
    );
    let guard = Guard {
        within: settings.guard,
    };
    steps.command(
        Phase::Promote,
        (successor, ServerCommand::OpenWrites(guard)),
        &[confirmed],
        (OnFailure::Abort, settings.step_limit),
    )
}

/// Record the primary, then send clients there: gives the step that routes.
pub(crate) fn add_record(
    steps: &mut Builder,
    successor: &ServerId,
    after: &[StepId],
    settings: &PlanSettings,
) -> StepId {
    let recorded = steps.step(
        Phase::Route,
        Action::RecordPrimary {
            server: successor.clone(),
        },
        after,
        (OnFailure::Continue, settings.step_limit),
    );
    steps.step(
        Phase::Route,
        Action::Route {
            server: successor.clone(),
        },
        &[recorded],
        (OnFailure::Continue, settings.step_limit),
    )
}

/// Point replicas at a source and read back that they replicate; a replica that cannot is lost, the
/// rest goes on.
pub(crate) fn add_repoints(
    steps: &mut Builder,
    snapshot: &Snapshot,
    target: (&ServerId, &[Edge]),
    after: &[StepId],
    settings: &PlanSettings,
) -> Vec<StepId> {
    let (source, replicas) = target;
    let Some(address) = snapshot
        .servers
        .get(source)
        .map(|server| server.address.clone())
    else {
        return Vec::new();
    };
    replicas
        .iter()
        .map(|edge| {
            let point = ServerCommand::PointAt {
                channel: edge.channel.name.clone(),
                source: address.clone(),
                start: true,
                configured_account: false,
            };
            // A replica without its delay is better than one that does not follow.
            let limits = (OnFailure::Continue, settings.step_limit);
            let place = (Phase::Repoint, after);
            let delayed = add_setting_back(steps, snapshot, edge, place, limits);
            let pointed = steps.command(
                Phase::Repoint,
                (&edge.replica, point),
                delayed.as_ref().map_or(after, std::slice::from_ref),
                (OnFailure::SkipDependants, settings.step_limit),
            );
            steps.step(
                Phase::Verify,
                Action::AwaitReplicating {
                    server: edge.replica.clone(),
                    source: source.clone(),
                },
                &[pointed],
                (OnFailure::Continue, settings.verify_limit),
            )
        })
        .collect()
}

/// What is done about a successor that may be writable and does not answer: it is recorded.
pub fn record_steps(
    snapshot: &Snapshot,
    successor: &ServerId,
    first_step: StepId,
    settings: &PlanSettings,
) -> Vec<super::Step> {
    let mut steps = Builder::new(snapshot, first_step);
    add_record(&mut steps, successor, &[], settings);
    steps.finish()
}

/// What is left to do for a successor that is writable already: record it, have it wait for
/// acknowledgements if the server it replaces did, take down its channels, and bring along who is
/// to be `moved`. Whoever opened writes may have ended before any of that, and a channel that is
/// kept would follow the old primary again when the successor restarts.
pub fn finish_steps(
    snapshot: &Snapshot,
    target: (&ServerId, &ServerId),
    moved: Vec<super::Step>,
    first_step: StepId,
    settings: &PlanSettings,
) -> Vec<super::Step> {
    let (_, successor) = target;
    let mut steps = Builder::new(snapshot, first_step);
    // Before a replica connects, as in a failover that nobody disturbed.
    let place = (Phase::Verify, &[][..]);
    let ready = add_source_side(&mut steps, snapshot, target, place, settings.step_limit);
    let routed = add_record(&mut steps, successor, ready.as_slice(), settings);
    let forgotten = forget_afterwards(&mut steps, snapshot, successor, &[routed], settings);
    if ready.is_some() {
        add_end_of_acknowledging(&mut steps, successor, &forgotten, settings);
    }
    let mut steps = steps.finish();
    let next = |steps: &[super::Step]| {
        let last = steps.iter().map(|step| step.id).max().unwrap_or(0);
        last.saturating_add(1)
    };
    let moved = renumber(moved, next(&steps)).into_iter();
    steps.extend(moved.map(|mut step| {
        if step.after.is_empty() {
            step.after.extend(ready);
        }
        step
    }));
    let mut last = Builder::new(snapshot, next(&steps));
    let after: Vec<StepId> = steps.iter().map(|step| step.id).collect();
    events::add_restoring(&mut last, snapshot, target, &after, settings);
    steps.extend(last.finish());
    steps
}

/// The same steps with numbers from `first` on.
fn renumber(steps: Vec<super::Step>, first: StepId) -> Vec<super::Step> {
    let lowest = steps.iter().map(|step| step.id).min().unwrap_or(0);
    let moved = |id: StepId| id.saturating_sub(lowest).saturating_add(first);
    steps
        .into_iter()
        .map(|step| super::Step {
            id: moved(step.id),
            after: step.after.iter().map(|id| moved(*id)).collect(),
            ..step
        })
        .collect()
}

#[cfg(test)]
mod tests;
