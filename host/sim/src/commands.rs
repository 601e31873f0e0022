//! What changes do to a simulated server.

use std::time::Duration;

use baton_core::command::ServerCommand;
use baton_core::ids::Address;
use baton_ports::StatementError;

use crate::server::{SECOND, SimChannel, SimServer};
use crate::world::State;

/// How long a server waits until a source lets a receiver go, as statements say it.
const FAREWELL: Duration = Duration::from_millis(450);

/// How long a fence keeps the global read lock, milliseconds.
const LOCKED: u64 = 10_000;

/// Executes a change.
pub(crate) fn execute(
    state: &mut State,
    address: &Address,
    command: &ServerCommand,
) -> Result<(), StatementError> {
    let reconnects = matches!(command, ServerCommand::ReconnectReceiver { .. });
    let in_vain = reconnects && !crate::replication::lets_go(state, address);
    let now = state.now;
    let Some(server) = state.servers.get_mut(address) else {
        return Ok(());
    };
    if in_vain {
        // As MariaDB does: the receiver ends, and is not started.
        change(server, &ServerCommand::StopReceivers { channel: None }, now);
        return Err(StatementError::NotReached {
            command: command.word(),
            limit: FAREWELL,
        });
    }
    change(server, command, now);
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

/// A command's channels: the named one, or all.
fn channels<'a>(
    server: &'a mut SimServer,
    name: Option<&str>,
) -> impl Iterator<Item = &'a mut SimChannel> {
    let is_first = name.is_none_or(|name| name != SECOND);
    let is_second = name.is_none_or(|name| name == SECOND);
    let first = server.channel.iter_mut().filter(move |_| is_first);
    first.chain(server.second.iter_mut().filter(move |_| is_second))
}

fn set(
    server: &mut SimServer,
    name: Option<&str>,
    (receiver, applier): (Option<bool>, Option<bool>),
) {
    for channel in channels(server, name) {
        if let Some(on) = receiver {
            channel.receiver_on = on;
            channel.connected &= on;
        }
        channel.applier_on = applier.unwrap_or(channel.applier_on);
    }
}

fn change(server: &mut SimServer, command: &ServerCommand, now: u64) {
    match command {
        ServerCommand::Fence { kill_writers: _ } => {
            server.read_only = true;
            server.locked_until = now + LOCKED;
        }
        ServerCommand::OpenWrites(_) => server.read_only = false,
        ServerCommand::StopReceivers { channel } | ServerCommand::SeverReceivers { channel } => {
            set(server, channel.as_deref(), (Some(false), None));
        }
        ServerCommand::StartReceivers { channel } => {
            set(server, channel.as_deref(), (Some(true), None));
        }
        ServerCommand::ReconnectReceiver { channel } => {
            set(server, Some(channel), (Some(false), None));
            set(server, Some(channel), (Some(true), None));
        }
        ServerCommand::StopReplication { channel } => {
            set(server, channel.as_deref(), (Some(false), Some(false)));
        }
        ServerCommand::StartReplication { channel } => {
            set(server, channel.as_deref(), (Some(true), Some(true)));
        }
        ServerCommand::StartAppliers { channel } => {
            set(server, channel.as_deref(), (None, Some(true)));
        }
        ServerCommand::SetDelay { channel, delay } => {
            server.delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let receiver = (!delay.is_zero()).then_some(false);
            set(server, Some(channel), (receiver, Some(delay.is_zero())));
        }
        ServerCommand::ForgetReplication { channel } => {
            if channel.as_deref() == Some(SECOND) {
                server.second = None;
            } else {
                server.channel = None;
                server.relay.clear();
            }
        }
        ServerCommand::PointAt {
            source,
            start,
            channel,
            configured_account: _,
        } => point_at(server, source, (channel, *start)),
        ServerCommand::SetSemiSync { source, replica } => {
            server.waits = source.unwrap_or(server.waits);
            server.acknowledges = replica.unwrap_or(server.acknowledges);
        }
        ServerCommand::WaitApplied { .. }
        | ServerCommand::RestoreEvents { .. }
        | ServerCommand::DisableEvents => {}
    }
}

fn point_at(server: &mut SimServer, source: &Address, (name, start): (&str, bool)) {
    // The worst a real server does: relay logs that are not applied yet are dropped and fetched
    // again.
    server.relay.clear();
    let present = if name == SECOND {
        &mut server.second
    } else {
        &mut server.channel
    };
    // A channel keeps what it had; Baton gives a new one a second.
    let heartbeat_period = present
        .as_ref()
        .map_or(1_000, |channel| channel.heartbeat_period);
    *present = Some(SimChannel {
        source: source.clone(),
        receiver_on: start,
        connected: false,
        applier_on: start,
        heartbeats: 0,
        heartbeat_period,
        cursor: 0,
    });
}
