//! What changes do to a simulated server.

use baton_core::execution::ServerCommand;
use baton_core::ids::Address;

use crate::server::{SimChannel, SimServer};
use crate::world::State;

/// Executes a change.
pub(crate) fn execute(state: &mut State, address: &Address, command: &ServerCommand) {
    let Some(server) = state.servers.get_mut(address) else {
        return;
    };
    change(server, command);
    // A living source accepts a reconnecting receiver at once.
    let reconnects = matches!(
        command,
        ServerCommand::ReconnectReceiver { .. }
            | ServerCommand::StartReceivers { .. }
            | ServerCommand::StartReplication { .. }
            | ServerCommand::PointAt { .. }
    );
    if reconnects {
        crate::replication::connect(state, address);
    }
}

fn change(server: &mut SimServer, command: &ServerCommand) {
    let set = |server: &mut SimServer, receiver: Option<bool>, applier: Option<bool>| {
        if let Some(channel) = &mut server.channel {
            if let Some(on) = receiver {
                channel.receiver_on = on;
                channel.connected &= on;
            }
            channel.applier_on = applier.unwrap_or(channel.applier_on);
        }
    };
    match command {
        ServerCommand::Fence { kill_writers: _ } => server.read_only = true,
        ServerCommand::OpenWrites(_) => server.read_only = false,
        ServerCommand::StopReceivers { channel: _ }
        | ServerCommand::SeverReceivers { channel: _ } => set(server, Some(false), None),
        ServerCommand::StartReceivers { channel: _ } => set(server, Some(true), None),
        ServerCommand::ReconnectReceiver { channel: _ } => {
            set(server, Some(false), None);
            set(server, Some(true), None);
        }
        ServerCommand::StopReplication { channel: _ } => set(server, Some(false), Some(false)),
        ServerCommand::StartReplication { channel: _ } => set(server, Some(true), Some(true)),
        ServerCommand::StartAppliers => set(server, None, Some(true)),
        ServerCommand::ForgetReplication { channel: _ } => {
            server.channel = None;
            server.relay.clear();
        }
        ServerCommand::PointAt {
            source,
            start,
            channel: _,
            configured_account: _,
        } => {
            // The worst a real server does: relay logs that are not applied yet are dropped and fetched again.
            server.relay.clear();
            server.channel = Some(SimChannel {
                source: source.clone(),
                receiver_on: *start,
                connected: false,
                applier_on: *start,
                heartbeats: 0,
                cursor: 0,
            });
        }
        ServerCommand::WaitApplied { .. } | ServerCommand::SetSemiSync { .. } => {}
    }
}
