//! What changes do to a simulated server.

use std::time::Duration;

use baton_core::execution::ServerCommand;
use baton_core::ids::Address;
use baton_ports::StatementError;

use crate::server::{SimChannel, SimServer};
use crate::world::State;

/// How long a server waits until a source lets a receiver go, as statements say it.
const FAREWELL: Duration = Duration::from_millis(450);

/// Executes a change.
pub(crate) fn execute(
    state: &mut State,
    address: &Address,
    command: &ServerCommand,
) -> Result<(), StatementError> {
    let reconnects = matches!(command, ServerCommand::ReconnectReceiver { .. });
    let in_vain = reconnects && !crate::replication::lets_go(state, address);
    let Some(server) = state.servers.get_mut(address) else {
        return Ok(());
    };
    if in_vain {
        // As MariaDB does: the receiver ends, and is not started.
        change(server, &ServerCommand::StopReceivers { channel: None });
        return Err(StatementError::NotReached {
            command: command.word(),
            limit: FAREWELL,
        });
    }
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
    Ok(())
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
        ServerCommand::StartAppliers { channel: _ } => set(server, None, Some(true)),
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
            let present = server.channel.as_ref();
            server.channel = Some(SimChannel {
                source: source.clone(),
                receiver_on: *start,
                connected: false,
                applier_on: *start,
                heartbeats: 0,
                // A channel keeps what it had; Baton gives a new one a second.
                heartbeat_period: present.map_or(1_000, |channel| channel.heartbeat_period),
                cursor: 0,
            });
        }
        ServerCommand::SetSemiSync { source, replica } => {
            server.waits = source.unwrap_or(server.waits);
            server.acknowledges = replica.unwrap_or(server.acknowledges);
        }
        ServerCommand::WaitApplied { .. }
        | ServerCommand::RestoreEvents { .. }
        | ServerCommand::DisableEvents => {}
    }
}
