//! Replacing a living primary: all preparation first, then read-only → catch-up → writable. What is
//! measured is the window without a writer, so nothing stands in it that could stand before or
//! after.

use std::collections::BTreeSet;
use std::time::Duration;

use super::channels::add_forgetting;
use super::eligibility::{Ineligible, Switchover as Eligibility};
use super::failover::{add_record, add_repoints, answering_replicas};
use super::old_primary::{add_demoted, add_second_reading};
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, StepId};
use super::semi_sync::{
    add_release, has_source_role, is_held_up, waits_as_writer, was_acknowledged,
};
use super::{Blocked, PlanSettings, Reason};
use crate::command::{Guard, ServerCommand};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{Bounds, Edge, RecoveryKind, Snapshot, Topology};

/// What a switchover is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchoverRequest {
    /// The present primary.
    pub from: ServerId,
    /// Its successor.
    pub to: ServerId,
    /// Epoch of the lease.
    pub epoch: LeaseEpoch,
    /// Largest lag of the successor with which it begins.
    pub lag_limit: Duration,
}

/// Plans a switchover.
///
/// # Errors
/// Blocked, with every reason, if the primary or the successor are not fit for it.
pub fn plan_switchover(
    snapshot: &Snapshot,
    request: &SwitchoverRequest,
    settings: &PlanSettings,
) -> Result<Plan, Blocked> {
    let topology = Topology::of(snapshot);
    let reasons = objections(snapshot, &topology, request);
    if !reasons.is_empty() {
        return Err(Blocked {
            kind: RecoveryKind::Switchover,
            reasons,
        });
    }
    let siblings: Vec<Edge> = answering_replicas(snapshot, &topology, &request.from)
        .into_iter()
        .filter(|edge| edge.replica != request.to)
        .collect();
    let mut steps = Builder::new(snapshot, 1);
    let prepared = add_preparation(&mut steps, snapshot, request, &siblings, settings);
    // A successor without siblings has nobody to acknowledge its commits before the old primary
    // follows it.
    let semi_sync = wants_semi_sync(snapshot, request) && !siblings.is_empty();
    let opened = add_window(
        &mut steps,
        snapshot,
        request,
        (&siblings, &prepared),
        settings,
        semi_sync,
    );
    let routed = add_record(&mut steps, &request.to, &[opened], settings);
    let sided = wants_semi_sync(snapshot, request);
    let target = (&request.from, &request.to);
    add_demoted(&mut steps, snapshot, target, (opened, sided), settings);
    steps.step(
        Phase::Verify,
        Action::AwaitWritable {
            server: request.to.clone(),
        },
        &[routed],
        (OnFailure::Abort, settings.verify_limit),
    );
    Ok(Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(RecoveryKind::Switchover),
        epoch: request.epoch,
        subject: request.from.clone(),
        successor: Some(request.to.clone()),
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    })
}

/// The old primary waits for acknowledgements, or was to, and the successor does not.
fn wants_semi_sync(snapshot: &Snapshot, request: &SwitchoverRequest) -> bool {
    let to = &request.to;
    // One that is released, so that it catches up, waits again afterwards.
    was_acknowledged(snapshot, &request.from)
        && (has_source_role(snapshot, to) == Some(false) || is_held_up(snapshot, to))
}

fn objections(
    snapshot: &Snapshot,
    topology: &Topology,
    request: &SwitchoverRequest,
) -> Vec<Reason> {
    let (from, to) = (&request.from, &request.to);
    let mut reasons = of_the_primary(snapshot, topology, request);
    let Some(successor) = snapshot.servers.get(to) else {
        reasons.push(Ineligible::NotAnswering.reason(to));
        return reasons;
    };
    let rules = Eligibility {
        snapshot,
        topology,
        from,
        lag_limit: request.lag_limit,
    };
    let unfit = rules.reasons(successor);
    reasons.extend(unfit.iter().map(|why| why.reason(to)));
    reasons
}

/// What speaks against replacing this primary now, whoever succeeds it.
fn of_the_primary(
    snapshot: &Snapshot,
    topology: &Topology,
    request: &SwitchoverRequest,
) -> Vec<Reason> {
    let (from, to) = (&request.from, &request.to);
    let mut reasons = Vec::new();
    let mut no = |code: &str, text: String, about: &ServerId| {
        reasons.push(Reason {
            code: code.to_owned(),
            text,
            about: vec![about.clone()],
        });
    };
    let primary = snapshot.servers.get(from);
    if primary.is_none_or(|server| !server.answers()) {
        no("not-answering", format!("{from} does not answer"), from);
    }
    let replicas = topology.replicas_of(from).iter();
    for replica in replicas.map(|edge| &edge.replica) {
        if waits_as_writer(snapshot, replica) {
            no(
                "applier-would-hang",
                format!(
                    "{replica} takes writes and waits for acknowledgements that nobody sends: its applier cannot be stopped; make it read-only, or switch the source's side of semi-sync off there"
                ),
                replica,
            );
        }
    }
    if let Some(edge) = fed_from_outside(snapshot, topology, from) {
        no(
            "reads-from-elsewhere",
            format!(
                "{from} reads from another cluster on channel '{}': stop that channel, or set it up on {to} first and remove it from {from}",
                edge.channel.name
            ),
            from,
        );
    }
    reasons
}

/// The channel by which a primary takes in another cluster's transactions, if it is in use. As a
/// replica it would go on applying them.
fn fed_from_outside(snapshot: &Snapshot, topology: &Topology, primary: &ServerId) -> Option<Edge> {
    let bounds = Bounds::of(snapshot, topology);
    let mut outer = bounds.outer(topology, primary);
    outer.find(|edge| edge.is_in_use()).cloned()
}

/// Siblings are moved below the successor while the primary still takes writes. Each is stopped
/// first and the successor catches up with all of them, because a replica that is ahead of its new
/// source would be refused by it (MariaDB).
fn add_preparation(
    steps: &mut Builder,
    snapshot: &Snapshot,
    request: &SwitchoverRequest,
    siblings: &[Edge],
    settings: &PlanSettings,
) -> Vec<StepId> {
    let mut others: BTreeSet<ServerId> = siblings.iter().map(|edge| edge.replica.clone()).collect();
    others.extend([request.from.clone(), request.to.clone()]);
    let limits = (OnFailure::Abort, settings.step_limit);
    let confirm = steps.step(
        Phase::Lock,
        Action::Confirm {
            target: None,
            others,
        },
        &[],
        limits,
    );
    let released = add_release(steps, snapshot, &request.to, &[confirm], settings);
    let confirm = released.unwrap_or(confirm);
    if siblings.is_empty() {
        return vec![confirm];
    }
    let stopped: Vec<StepId> = siblings
        .iter()
        .map(|edge| {
            let stop = ServerCommand::StopReplication {
                channel: Some(edge.channel.name.clone()),
            };
            steps.command(Phase::Repoint, (&edge.replica, stop), &[confirm], limits)
        })
        .collect();
    let from = siblings.iter().map(|edge| edge.replica.clone()).collect();
    let caught_up = steps.step(
        Phase::Drain,
        Action::CatchUp {
            server: request.to.clone(),
            from,
        },
        &stopped,
        limits,
    );
    add_repoints(
        steps,
        snapshot,
        (&request.to, siblings),
        &[caught_up],
        settings,
    )
}

fn add_window(
    steps: &mut Builder,
    snapshot: &Snapshot,
    request: &SwitchoverRequest,
    (siblings, prepared): (&[Edge], &[StepId]),
    settings: &PlanSettings,
    semi_sync: bool,
) -> StepId {
    let limits = (OnFailure::Abort, settings.step_limit);
    let mut others: BTreeSet<ServerId> = siblings.iter().map(|edge| edge.replica.clone()).collect();
    others.insert(request.from.clone());
    let (from, to) = (&request.from, &request.to);
    // Siblings follow the successor already, so that its first commit finds who acknowledges it. It
    // goes on acknowledging to the old primary: without that, commits there would hang, and the
    // fence behind them.
    let sided = semi_sync.then(|| {
        let limits = (OnFailure::Continue, settings.step_limit);
        let source_too = ServerCommand::SetSemiSync {
            source: Some(true),
            replica: None,
        };
        steps.command(Phase::Promote, (to, source_too), prepared, limits)
    });
    let prepared = sided.as_ref().map_or(prepared, std::slice::from_ref);
    let fence = ServerCommand::Fence { kill_writers: true };
    let fenced = steps.command(Phase::Fence, (from, fence), prepared, limits);
    let caught_up = steps.step(
        Phase::Drain,
        Action::CatchUp {
            server: to.clone(),
            from: BTreeSet::from([from.clone()]),
        },
        &[fenced],
        limits,
    );
    let target = (Phase::Promote, to);
    let forgotten = add_forgetting(steps, snapshot, target, &[caught_up], limits);
    let covered = add_second_reading(steps, (from, to), &forgotten, settings);
    let confirmed = steps.step(
        Phase::Promote,
        Action::Confirm {
            target: Some(to.clone()),
            others,
        },
        &[covered],
        limits,
    );
    let guard = Guard {
        within: settings.guard,
    };
    steps.command(
        Phase::Promote,
        (to, ServerCommand::OpenWrites(guard)),
        &[confirmed],
        limits,
    )
}
