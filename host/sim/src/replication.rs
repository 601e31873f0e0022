//! Replication between simulated servers, a millisecond at a time.

use baton_core::ids::Address;

use crate::server::{Process, Txn};
use crate::world::State;

/// Moves replication on by one millisecond.
pub(crate) fn tick(state: &mut State) {
    let now_ms = state.now;
    let addresses: Vec<Address> = state.servers.keys().cloned().collect();
    for address in &addresses {
        receive(state, address, now_ms);
        if let Some(server) = state.servers.get_mut(address)
            && server.process == Process::Up
            && server
                .channel
                .as_ref()
                .is_some_and(|channel| channel.applier_on)
        {
            let rate = server.apply_rate;
            server.apply(rate);
        }
    }
}

fn receive(state: &mut State, replica: &Address, now_ms: u64) {
    let Some(server) = state.servers.get(replica) else {
        return;
    };
    let Some(channel) = server.channel.clone() else {
        return;
    };
    if server.process != Process::Up || !channel.receiver_on {
        return;
    }
    let source_process = state
        .servers
        .get(&channel.source)
        .map(|source| source.process);
    let passes = state
        .network
        .passes(&replica.to_string(), &channel.source.to_string());
    // A closed socket is noticed at once; silence is not noticed at all (the network timeout is a minute).
    let connected = match (source_process, passes) {
        (Some(Process::Up), true) => true,
        (Some(Process::Dead) | None, true) => false,
        (Some(Process::Frozen), true) | (_, false) => channel.connected,
    };
    let flows = connected && passes && source_process == Some(Process::Up);
    let cursor = if channel.connected { channel.cursor } else { 0 };
    let (new, end): (Vec<Txn>, usize) = match state.servers.get(&channel.source) {
        Some(source) if flows => (
            source.log.iter().skip(cursor).copied().collect(),
            source.log.len(),
        ),
        Some(_) | None => (Vec::new(), cursor),
    };
    let Some(server) = state.servers.get_mut(replica) else {
        return;
    };
    let fresh: Vec<Txn> = new
        .into_iter()
        .filter(|txn| !server.possesses(*txn))
        .collect();
    server.relay.extend(fresh);
    if let Some(channel) = &mut server.channel {
        channel.connected = connected;
        if flows {
            channel.cursor = end;
            if now_ms.is_multiple_of(channel.heartbeat_period) {
                channel.heartbeats += 1;
            }
        }
    }
}

/// Whether a receiver at work that is ended need not wait for its source: it hangs neither there nor in the network.
pub(crate) fn lets_go(state: &State, replica: &Address) -> bool {
    let channel = state
        .servers
        .get(replica)
        .and_then(|server| server.channel.as_ref());
    let Some(channel) = channel.filter(|channel| channel.receiver_on) else {
        return true;
    };
    let frozen = state
        .servers
        .get(&channel.source)
        .is_some_and(|source| source.process == Process::Frozen);
    !frozen
        && state
            .network
            .passes(&replica.to_string(), &channel.source.to_string())
}

/// Connects a receiver that was just started, if its source accepts connections.
pub(crate) fn connect(state: &mut State, replica: &Address) {
    let Some(source) = state
        .servers
        .get(replica)
        .and_then(|s| s.channel.as_ref())
        .map(|c| c.source.clone())
    else {
        return;
    };
    let up = state
        .servers
        .get(&source)
        .is_some_and(|server| server.process == Process::Up)
        && state
            .network
            .passes(&replica.to_string(), &source.to_string());
    if let Some(channel) = state
        .servers
        .get_mut(replica)
        .and_then(|server| server.channel.as_mut())
    {
        channel.connected = up && channel.receiver_on;
        channel.cursor = 0;
    }
}
