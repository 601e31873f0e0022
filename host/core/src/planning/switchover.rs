//! Replacing a living primary: all preparation first, then read-only → catch-up → writable. What is measured is the window
//! without a writer, so nothing stands in it that could stand before or after.

use std::collections::BTreeSet;
use std::time::Duration;

use super::channels::add_forgetting;
use super::failover::{add_record, add_repoints, answering_replicas};
use super::old_primary::{add_demoted, add_second_reading};
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, StepId};
use super::semi_sync::{
    add_release, has_source_role, is_held_up, waits_as_writer, was_acknowledged,
};
use super::{Blocked, PlanSettings};
use crate::execution::{Guard, ServerCommand};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{
    Bounds, Edge, PromotionRule, Reach, RecoveryKind, Server, Snapshot, Topology, named,
};

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
    // A successor without siblings has nobody to acknowledge its commits before the old primary follows it.
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
        failed: request.from.clone(),
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
) -> Vec<super::Reason> {
    let mut reasons = Vec::new();
    let mut no = |code: &str, text: String, about: &ServerId| {
        reasons.push(super::Reason {
            code: code.to_owned(),
            text,
            about: vec![about.clone()],
        });
    };
    let (from, to) = (&request.from, &request.to);
    for id in [from, to] {
        if snapshot
            .servers
            .get(id)
            .is_none_or(|s| s.probe.reach() != Reach::Answering)
        {
            no("not-answering", format!("{id} does not answer"), id);
        }
    }
    let Some(successor) = snapshot.servers.get(to) else {
        return reasons;
    };
    if from == to {
        no(
            "already-primary",
            format!("{to} is the primary already"),
            to,
        );
    }
    if successor.promotion == PromotionRule::MustNot {
        no(
            "must-not",
            format!("{to} has the promotion rule must_not"),
            to,
        );
    }
    if successor.quarantined {
        no(
            "quarantined",
            format!("{to} is set aside with errant transactions"),
            to,
        );
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
    if let Some(names) = prepared_only_on(snapshot, from, successor) {
        no(
            "prepared-not-replicated",
            format!(
                "{from} has prepared XA transactions that {to} does not have: {names}; commit them or roll them back first"
            ),
            from,
        );
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
    let channels = topology.channels_of(to);
    let Some(edge) = channels
        .iter()
        .find(|edge| edge.source.as_ref() == Some(from))
    else {
        no(
            "not-a-direct-replica",
            format!("{to} does not replicate directly from {from}"),
            to,
        );
        return reasons;
    };
    if !edge.channel.is_replicating() {
        no(
            "not-replicating",
            format!("replication from {from} to {to} does not run"),
            to,
        );
    }
    if edge.channel.filtered {
        no(
            "filtered",
            format!("{to} replicates with filters: it is not a full copy"),
            to,
        );
    }
    if !edge.channel.auto_position {
        no("no-gtid", format!("{to} does not replicate by GTID"), to);
    }
    if edge
        .channel
        .lag
        .is_some_and(|lag| lag > request.lag_limit.saturating_add(edge.channel.delay))
    {
        let lag = edge.channel.lag.unwrap_or_default().as_secs();
        no(
            "lagging",
            format!(
                "{to} lags by {lag} s, more than {} s",
                request.lag_limit.as_secs()
            ),
            to,
        );
    }
    if successor
        .last_facts()
        .is_some_and(|facts| !facts.log_bin || !facts.log_updates)
    {
        no(
            "no-replica-updates",
            format!("{to} does not log replicated changes, nobody could follow it"),
            to,
        );
    }
    if let Some(errant) = &successor.errant
        && !errant.is_empty()
    {
        no(
            "errant",
            format!("{to} has errant transactions: {errant}"),
            to,
        );
    }
    reasons
}

/// Transactions that were promised to somebody and did not go through the binary log.
fn prepared_only_on(snapshot: &Snapshot, from: &ServerId, to: &Server) -> Option<String> {
    let known = to.last_facts()?.prepared.as_ref()?;
    let primary = snapshot.servers.get(from)?;
    let long = primary.long_prepared(snapshot.taken_at);
    let only: Vec<&String> = long.filter(|name| !known.contains(*name)).collect();
    (!only.is_empty()).then(|| named(only.iter().copied()))
}

/// The channel by which a primary takes in another cluster's transactions, if it is in use. As a replica it would go on applying them.
fn fed_from_outside(snapshot: &Snapshot, topology: &Topology, primary: &ServerId) -> Option<Edge> {
    let bounds = Bounds::of(snapshot, topology);
    let mut outer = bounds.outer(topology, primary);
    outer.find(|edge| edge.is_in_use()).cloned()
}

/// Siblings are moved below the successor while the primary still takes writes. Each is stopped first and the successor
/// catches up with all of them, because a replica that is ahead of its new source would be refused by it (MariaDB).
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
    // Siblings follow the successor already, so that its first commit finds who acknowledges it. It goes on acknowledging to
    // the old primary: without that, commits there would hang, and the fence behind them.
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
