//! Replication between simulated servers, a millisecond at a time.

use baton_core::ids::Address;

use crate::server::{Process, SimChannel, SimServer, Txn};
use crate::world::State;

/// Moves replication on by one millisecond.
pub(crate) fn tick(state: &mut State) {
    let now_ms = state.now;
    let addresses: Vec<Address> = state.servers.keys().cloned().collect();
    for address in &addresses {
        receive(state, address, now_ms, |server| &mut server.channel);
        receive(state, address, now_ms, |server| &mut server.second);
        if let Some(server) = state.servers.get_mut(address)
            && server.process == Process::Up
            && server
                .channel
                .as_ref()
                .is_some_and(|channel| channel.applier_on)
        {
            let rate = server.apply_rate;
            server.apply(rate, now_ms);
        }
    }
}

/// One of a server's two channels.
type Which = fn(&mut SimServer) -> &mut Option<SimChannel>;

fn receive(state: &mut State, replica: &Address, now_ms: u64, which: Which) {
    let Some(server) = state.servers.get_mut(replica) else {
        return;
    };
    let Some(channel) = which(server).clone() else {
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
    // A closed socket is noticed at once; silence is not noticed at all (the network timeout is a
    // minute).
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
    for txn in fresh {
        server.receive(txn, now_ms);
    }
    if let Some(channel) = which(server) {
        channel.connected = connected;
        if flows {
            channel.cursor = end;
            if now_ms.is_multiple_of(channel.heartbeat_period) {
                channel.heartbeats += 1;
            }
        }
    }
}

/// Whether a receiver at work that is ended need not wait for its source: it hangs neither there
/// nor in the network.
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

/// Connects receivers that were just started, if their sources accept connections.
pub(crate) fn connect(state: &mut State, replica: &Address) {
    connect_one(state, replica, |server| &mut server.channel);
    connect_one(state, replica, |server| &mut server.second);
}

fn connect_one(state: &mut State, replica: &Address, which: Which) {
    let server = state.servers.get_mut(replica);
    let Some(source) = server.and_then(|server| Some(which(server).as_ref()?.source.clone()))
    else {
        return;
    };
    let passes = state
        .network
        .passes(&replica.to_string(), &source.to_string());
    let process = state.servers.get(&source).map(|server| server.process);
    let server = state.servers.get_mut(replica);
    if let Some(channel) = server.and_then(|server| which(server).as_mut()) {
        channel.connected = process == Some(Process::Up) && passes && channel.receiver_on;
        channel.cursor = 0;
    }
}
