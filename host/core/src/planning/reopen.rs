//! Opening the recorded primary again, which came back read-only: read everybody, then open it.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::failover::{add_opening, add_record};
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, StepId};
use super::semi_sync::add_source_side;
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{Bounds, RecoveryKind, Snapshot, Topology};

/// Confirms the right to act and reads every member that answers, the primary last.
pub fn plan_reading(
    snapshot: &Snapshot,
    primary: &ServerId,
    epoch: LeaseEpoch,
    settings: &PlanSettings,
) -> Plan {
    let mut steps = Builder::new(snapshot, 1);
    let others = others(snapshot, primary);
    let limits = (OnFailure::Abort, settings.step_limit);
    let confirm = Action::Confirm {
        target: None,
        others: others.clone(),
    };
    let mut last = steps.step(Phase::Lock, confirm, &[], limits);
    for server in others.into_iter().chain([primary.clone()]) {
        last = steps.step(Phase::Choose, Action::Observe { server }, &[last], limits);
    }
    plan(snapshot, primary, epoch, steps)
}

/// Opens the primary. Whoever was read before has nothing that it lacks.
pub fn plan_reopen(
    snapshot: &Snapshot,
    primary: &ServerId,
    epoch: LeaseEpoch,
    settings: &PlanSettings,
    first_step: StepId,
) -> Plan {
    let mut steps = Builder::new(snapshot, first_step);
    let others = others(snapshot, primary);
    let place = (Phase::Promote, &[][..]);
    let target = (primary, primary);
    let sided = add_source_side(&mut steps, snapshot, target, place, settings.step_limit);
    let opened = add_opening(&mut steps, primary, others, sided.as_slice(), settings);
    let recorded = add_record(&mut steps, primary, &[opened], settings);
    let server = primary.clone();
    let limits = (OnFailure::Abort, settings.verify_limit);
    steps.step(
        Phase::Verify,
        Action::AwaitWritable { server },
        &[recorded],
        limits,
    );
    plan(snapshot, primary, epoch, steps)
}

/// The other members of the cluster that answer.
fn others(snapshot: &Snapshot, primary: &ServerId) -> BTreeSet<ServerId> {
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let members = snapshot.servers.values();
    let answering = members
        .filter(|server| server.id != *primary && server.answers() && !bounds.is_apart(&server.id));
    answering.map(|server| server.id.clone()).collect()
}

fn plan(snapshot: &Snapshot, primary: &ServerId, epoch: LeaseEpoch, steps: Builder) -> Plan {
    Plan {
        cluster: snapshot.cluster.id.clone(),
        purpose: Purpose::Recovery(RecoveryKind::Reopen),
        epoch,
        subject: primary.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    }
}
