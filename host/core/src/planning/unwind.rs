//! Undoing what was begun before anything irreversible happened.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::channels::channel_of;
use super::delay::add_setting_back_drained;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, Step, StepId};
use super::semi_sync::{is_held_up, silenced};
use crate::command::{Guard, ServerCommand};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, Snapshot, Topology};

/// Plans to put a cluster back under its old primary: the primary writable again if it was fenced
/// for a switchover, and each touched replica replicating from it.
///
/// `touched` are the servers that steps of the recovery named.
pub fn plan_unwind(
    snapshot: &Snapshot,
    undone: &Plan,
    touched: &BTreeSet<ServerId>,
    settings: &PlanSettings,
    first_step: StepId,
) -> Plan {
    let mut steps = Builder::new(snapshot, first_step);
    let old = &undone.subject;
    let answering = |id: &ServerId| snapshot.answers(id);
    // It was fenced, or perhaps was: it takes writes again. Nobody else does, or this plan would
    // not be asked for.
    let fenced = undone.purpose == Purpose::Recovery(RecoveryKind::Switchover)
        || (answering(old) && touched.contains(old));
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
        let target = ((old, touched), undone);
        add_returns(&mut steps, snapshot, target, &[open], settings);
    } else if answering(old) {
        let target = ((old, touched), undone);
        add_returns(&mut steps, snapshot, target, &[], settings);
    }
    Plan {
        successor: None,
        steps: steps.finish(),
        ..undone.clone()
    }
}

/// The plan switched the source's side of `replica` on, or whoever began it did and ended.
fn waits(snapshot: &Snapshot, undone: &Plan, replica: &ServerId) -> bool {
    let on = |step: &Step| matches!(&step.action, Action::Command { server, command: ServerCommand::SetSemiSync { source: Some(true), .. } } if server == replica);
    undone.steps.iter().any(on) || is_held_up(snapshot, replica)
}

fn add_returns(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (target, undone): ((&ServerId, &BTreeSet<ServerId>), &Plan),
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
        // A replica that waits for acknowledgements applies nothing: it was to be the primary.
        let silenced = waits(snapshot, undone, replica).then(|| {
            let limits = (OnFailure::Continue, settings.step_limit);
            steps.command(Phase::Unwind, (replica, silenced()), after, limits)
        });
        let mut after = silenced.map_or_else(|| after.to_vec(), |silenced| vec![silenced]);
        for edge in topology.channels_of(replica) {
            let place = (Phase::Unwind, after.as_slice());
            if let Some(set_back) = add_setting_back_drained(steps, snapshot, edge, place, settings)
            {
                after = vec![set_back];
            }
        }
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
            &after,
            (OnFailure::Continue, settings.step_limit),
        );
    }
}
