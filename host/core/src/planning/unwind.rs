//! Undoing what was begun before anything irreversible happened.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::channels::channel_of;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, StepId};
use crate::execution::{Guard, ServerCommand};
use crate::ids::ServerId;
use crate::model::{Reach, RecoveryKind, Snapshot, Topology};

/// Plans to put a cluster back under its old primary: the primary writable again if it was fenced for a switchover, and
/// each touched replica replicating from it.
///
/// `touched` are the servers that steps of the recovery named.
pub fn plan_unwind(
    snapshot: &Snapshot,
    undone: &Plan,
    touched: &BTreeSet<ServerId>,
    settings: &PlanSettings,
    first_step: StepId,
) -> Plan {
    let mut steps = Builder::new(first_step);
    let old = &undone.failed;
    let answering = |id: &ServerId| {
        snapshot
            .servers
            .get(id)
            .is_some_and(|server| server.probe.reach() == Reach::Answering)
    };
    // It was fenced, or perhaps was: it takes writes again. Nobody else does, or this plan would not be asked for.
    let fenced =
        undone.kind == RecoveryKind::Switchover || (answering(old) && touched.contains(old));
    if fenced {
        let others: BTreeSet<ServerId> = touched
            .iter()
            .filter(|id| *id != old && answering(id))
            .cloned()
            .collect();
        let confirm = steps.step(
            Phase::Unwind,
            Action::Confirm {
                target: Some(old.clone()),
                others,
            },
            &[],
            (OnFailure::Abort, settings.step_limit),
        );
        let guard = Guard {
            within: settings.guard,
        };
        let open = steps.command(
            Phase::Unwind,
            (old, ServerCommand::OpenWrites(guard)),
            &[confirm],
            (OnFailure::Abort, settings.step_limit),
        );
        add_returns(&mut steps, snapshot, (old, touched), &[open], settings);
    } else if answering(old) {
        add_returns(&mut steps, snapshot, (old, touched), &[], settings);
    }
    Plan {
        successor: None,
        steps: steps.finish(),
        ..undone.clone()
    }
}

fn add_returns(
    steps: &mut Builder,
    snapshot: &Snapshot,
    target: (&ServerId, &BTreeSet<ServerId>),
    after: &[StepId],
    settings: &PlanSettings,
) {
    let (old, touched) = target;
    let Some(address) = snapshot
        .servers
        .get(old)
        .map(|server| server.address.clone())
    else {
        return;
    };
    let topology = Topology::of(snapshot);
    for replica in touched.iter().filter(|id| *id != old) {
        let mut channels = topology.channels_of(replica).iter();
        let command = match channels.find(|edge| edge.source.as_ref() == Some(old)) {
            Some(edge) => ServerCommand::StartReplication {
                channel: Some(edge.channel.name.clone()),
            },
            None => ServerCommand::PointAt {
                channel: channel_of(snapshot, replica),
                source: address.clone(),
                start: true,
                configured_account: topology.channels_of(replica).is_empty(),
            },
        };
        steps.command(
            Phase::Unwind,
            (replica, command),
            after,
            (OnFailure::Continue, settings.step_limit),
        );
    }
}
