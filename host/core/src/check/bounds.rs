//! A plan stays within its cluster: no step touches a server of another cluster, or a channel that
//! reads from one.

use super::Objection;
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{Bounds, Edge, Snapshot, Topology};
use crate::planning::{Action, Plan, Step};

pub(super) fn check_bounds(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    for step in &plan.steps {
        if let Action::Command { server, command } = &step.action {
            if bounds.is_apart(server) {
                objections.push(Objection::OtherCluster {
                    step: step.id,
                    server: server.clone(),
                });
            }
            check_channel(step, (server, command), (&topology, &bounds), objections);
        }
    }
}

fn check_channel(
    step: &Step,
    (server, command): (&ServerId, &ServerCommand),
    (topology, bounds): (&Topology, &Bounds),
    objections: &mut Vec<Objection>,
) {
    let named = match target_of(command) {
        Target::NoChannel => return,
        Target::All => None,
        Target::Named(name) => Some(name),
    };
    let channels = topology.channels_of(server);
    let is_meant = |edge: &Edge| named.is_none_or(|name| edge.channel.name == name);
    // A single channel whose source is not known may lead to the cluster under a name that nobody
    // knows.
    let is_foreign = |edge: &&Edge| {
        is_meant(edge)
            && bounds.leads_outside(edge)
            && (channels.len() > 1 || edge.source.is_some() || named.is_none())
    };
    if channels.iter().any(|edge| is_foreign(&edge)) {
        objections.push(Objection::OtherChannel {
            step: step.id,
            server: server.clone(),
            channel: named.map(str::to_owned),
        });
    }
}

/// Which channels a command changes.
enum Target<'a> {
    NoChannel,
    All,
    Named(&'a str),
}

fn target_of(command: &ServerCommand) -> Target<'_> {
    match command {
        ServerCommand::StopReceivers { channel }
        | ServerCommand::SeverReceivers { channel }
        | ServerCommand::StartReceivers { channel }
        | ServerCommand::StopReplication { channel }
        | ServerCommand::StartReplication { channel }
        | ServerCommand::StartAppliers { channel }
        | ServerCommand::ForgetReplication { channel } => {
            channel.as_deref().map_or(Target::All, Target::Named)
        }
        ServerCommand::ReconnectReceiver { channel }
        | ServerCommand::SetDelay { channel, .. }
        | ServerCommand::PointAt { channel, .. } => Target::Named(channel),
        ServerCommand::Fence { .. }
        | ServerCommand::OpenWrites(_)
        | ServerCommand::WaitApplied { .. }
        | ServerCommand::SetSemiSync { .. }
        | ServerCommand::RestoreEvents { .. }
        | ServerCommand::DisableEvents => Target::NoChannel,
    }
}
