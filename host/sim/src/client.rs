//! A client that writes to whatever takes writes, and remembers what it was promised.

use baton_core::ids::Address;

use crate::server::{Process, SimServer, Txn};
use crate::world::State;

/// Pause between two writes, milliseconds.
const PAUSE: u64 = 8;
/// A client gives up waiting for an acknowledgement after this and does not count the write as
/// promised.
const PATIENCE: u64 = 2_000;

/// Where the client stands.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// It has gone home.
    pub(crate) stopped: bool,
    home: Option<Address>,
    pub(crate) waits: Option<Waiting>,
    next: u64,
    /// Until then somebody writes on the first primary whatever `read_only` says.
    pub(crate) privileged_until: u64,
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
    others_write(state);
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
        server.is_some_and(SimServer::serves)
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

/// Clients of the other cluster, and who writes on the first primary whatever `read_only` says.
/// They are promised nothing.
fn others_write(state: &mut State) {
    let now = state.now;
    if state.client.stopped || !now.is_multiple_of(PAUSE) {
        return;
    }
    let by_privilege = state.first_primary.clone();
    let by_privilege = by_privilege.filter(|_| now < state.client.privileged_until);
    for server in state.servers.values_mut() {
        let is_privileged =
            by_privilege.as_ref() == Some(&server.address) && !server.is_locked(now);
        if server.process == Process::Up && (server.foreign || is_privileged) {
            server.commit();
        }
    }
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
        state.acknowledged.push((waiting.txn, state.now));
        return true;
    }
    state.now > waiting.since + PATIENCE
}

/// True if so many connected replicas of `target` have the transaction as it waits for: they sent
/// acknowledgements, which it received.
fn is_received(state: &State, target: &Address, txn: Txn) -> bool {
    let wanted = state
        .servers
        .get(target)
        .map_or(1, |server| server.wait_for);
    let acknowledging = state.servers.values().filter(|server| {
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
    });
    acknowledging.count() >= usize::try_from(wanted).unwrap_or(usize::MAX)
}
