//! A client that writes to whatever takes writes, and remembers what it was promised.

use baton_core::ids::Address;

use crate::server::{Process, SimServer, Txn};
use crate::world::State;

/// Pause between two writes, milliseconds.
const PAUSE: u64 = 8;
/// A client gives up waiting for an acknowledgement after this and does not count the write as promised.
const PATIENCE: u64 = 2_000;

/// Where the client stands.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// It has gone home.
    pub(crate) stopped: bool,
    home: Option<Address>,
    pub(crate) waits: Option<Waiting>,
    next: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) target: Address,
    incarnation: u64,
    txn: Txn,
    since: u64,
}

/// Lets the client go on.
pub(crate) fn tick(state: &mut State) {
    if let Some(waiting) = state.client.waits.clone() {
        if !is_over(state, &waiting) {
            return;
        }
        state.client.waits = None;
        state.client.next = state.now + PAUSE;
    }
    if state.client.stopped || state.now < state.client.next {
        return;
    }
    let usable = |address: &Address| {
        let server = state.servers.get(address);
        server.is_some_and(SimServer::takes_writes)
    };
    let home = state.client.home.clone().filter(usable);
    let target = home.or_else(|| state.servers.keys().find(|a| usable(a)).cloned());
    state.client.home.clone_from(&target);
    state.client.next = state.now + PAUSE;
    let Some(target) = target else { return };
    let now = state.now;
    state.client.waits = state.servers.get_mut(&target).map(|server| Waiting {
        txn: server.commit(),
        incarnation: server.incarnation,
        target,
        since: now,
    });
}

/// True once the client knows, or gave up.
fn is_over(state: &mut State, waiting: &Waiting) -> bool {
    let target = state.servers.get(&waiting.target);
    let lives = target
        .is_some_and(|server| server.takes_writes() && server.incarnation == waiting.incarnation);
    let waits = target.is_some_and(|server| server.waits);
    if !lives {
        return true;
    }
    if !waits {
        // Answered, and nothing promised.
        return true;
    }
    if is_received(state, &waiting.target, waiting.txn) {
        state.acknowledged.push(waiting.txn);
        return true;
    }
    state.now > waiting.since + PATIENCE
}

/// True if a connected replica of `target` has the transaction: it sent an acknowledgement, which the target received.
fn is_received(state: &State, target: &Address, txn: Txn) -> bool {
    state.servers.values().any(|server| {
        server
            .channel
            .as_ref()
            .is_some_and(|c| c.connected && c.receiver_on && c.source == *target)
            && state
                .network
                .passes(&server.address.to_string(), &target.to_string())
            && server.process == Process::Up
            && server.acknowledges
            && server.possesses(txn)
    })
}
