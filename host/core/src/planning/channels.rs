//! Which channels a plan may change: those that lead to the cluster.

use std::time::Duration;

use super::PlanSettings;
use super::plan::{Builder, OnFailure, Phase, StepId};
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{Bounds, Snapshot, Topology};

/// The channel by which a server follows its cluster, or is to.
pub(crate) fn channel_of(snapshot: &Snapshot, server: &ServerId) -> String {
    let topology = Topology::of(snapshot);
    Bounds::of(snapshot, &topology).channel_for(&topology, server)
}

/// Forgets the channels of a successor that lead to members of its cluster, and no others: what it
/// reads from another cluster goes on. Gives the last step.
pub(crate) fn add_forgetting(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (phase, successor): (Phase, &ServerId),
    after: &[StepId],
    limits: (OnFailure, Duration),
) -> Vec<StepId> {
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let named = bounds.inner(&topology, successor);
    let mut channels: Vec<Option<String>> =
        named.map(|edge| Some(edge.channel.name.clone())).collect();
    if topology.channels_of(successor).is_empty() {
        // What was read may be older than a channel that an earlier step made.
        channels.push(None);
    }
    let mut last = after.to_vec();
    for channel in channels {
        let forget = ServerCommand::ForgetReplication { channel };
        last = vec![steps.command(phase, (successor, forget), &last, limits)];
    }
    last
}

/// Forgets replication after writes are open: the receiver was stopped or severed and everything it
/// received is applied, so the channel is dead, but taking it down may have to wait for its thread
/// (a second or two if the source hangs).
pub(super) fn forget_afterwards(
    steps: &mut Builder,
    snapshot: &Snapshot,
    successor: &ServerId,
    after: &[StepId],
    settings: &PlanSettings,
) -> Vec<StepId> {
    let limits = (OnFailure::Continue, settings.step_limit);
    add_forgetting(steps, snapshot, (Phase::Verify, successor), after, limits)
}
