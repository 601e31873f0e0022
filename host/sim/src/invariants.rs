//! What must never happen, checked while it runs and at the end. One function per invariant.

use std::fmt;

use baton_core::ids::{Address, LeaseEpoch};

use crate::network::NodeId;
use crate::server::{Process, Txn};
use crate::world::State;

/// Milliseconds within which a server that just started is read.
const UNREAD: u64 = 1_000;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A change was executed for a session that did not hold the cluster's lock.
    ActedWithoutLock {
        /// Server.
        address: Address,
        /// Change.
        command: &'static str,
    },
    /// A server was opened for writes while another one that Baton reaches took writes.
    TwoWritable {
        /// The one that was opened.
        opened: Address,
        /// The other.
        other: Address,
    },
    /// A server was opened for writes although a server within Baton's reach has received more.
    PromotedBehind {
        /// The one that was opened.
        opened: Address,
        /// The one with more.
        ahead: Address,
    },
    /// A server was opened for writes by a node that had no majority of the votes when it executed, nor within the guard before.
    NoMajority {
        /// Server.
        address: Address,
        /// The node.
        node: NodeId,
        /// How long ago it last had one; `None` = never.
        since_ms: Option<u64>,
    },
    /// A second server was opened for writes under one epoch, while the first was open.
    TwoInEpoch {
        /// The one that was opened.
        opened: Address,
        /// The other.
        other: Address,
        /// The epoch.
        epoch: LeaseEpoch,
    },
    /// A node changed a server although another one had changed the cluster since this one last had a majority.
    StaleActor {
        /// Server.
        address: Address,
        /// Change.
        command: &'static str,
        /// The node.
        node: NodeId,
        /// The other.
        other: NodeId,
    },
    /// An acknowledged transaction is not on the final primary.
    LostAcknowledged {
        /// The transaction.
        txn: Txn,
    },
    /// Faults stopped long ago, and the cluster is not whole.
    NotHealed {
        /// What is missing.
        what: String,
    },
    /// A recovery stayed open.
    OpenRecovery {
        /// Which.
        what: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Invariants 1 and 7, at the moment a server is opened for writes.
pub(crate) fn note_promotion(state: &mut State, opened: &Address, node: NodeId) {
    let mut found = Vec::new();
    let Some(own) = state.servers.get(opened) else {
        return;
    };
    for other in state
        .servers
        .values()
        .filter(|other| other.address != *opened)
    {
        let reached = state.network.reaches(node, &other.address);
        // One that started a moment ago may not have been read yet by anybody.
        let known = state.now > other.started + UNREAD;
        if reached && known && other.takes_writes() && own.read_only {
            found.push(Violation::TwoWritable {
                opened: opened.clone(),
                other: other.address.clone(),
            });
        }
        let stopped = other
            .channel
            .as_ref()
            .is_some_and(|channel| !channel.receiver_on);
        let more = other
            .log
            .iter()
            .chain(&other.relay)
            .any(|txn| !own.possesses(*txn));
        if reached && other.process == Process::Up && stopped && more {
            found.push(Violation::PromotedBehind {
                opened: opened.clone(),
                ahead: other.address.clone(),
            });
        }
    }
    excuse(state, opened, node);
    state.violations.extend(found);
}

/// With two servers out of reach at a promotion, what only these two have is lost whatever anybody does: one acknowledgement
/// promises to survive one failure. That holds as well for what they acknowledge to each other until one of them is fenced.
fn excuse(state: &mut State, opened: &Address, node: NodeId) {
    let (within, away): (Vec<_>, Vec<_>) = state.servers.values().partition(|server| {
        let reached = state.network.reaches(node, &server.address)
            && !state.lately_away.contains(&(node, server.address.clone()));
        server.address == *opened || (server.process == Process::Up && reached)
    });
    if away.len() < 2 {
        return;
    }
    let origins = away.iter().map(|server| server.number);
    let kept: Vec<(u32, u64)> = origins
        .map(|origin| {
            let known = within
                .iter()
                .flat_map(|server| server.executed.iter().chain(&server.relay))
                .filter(|txn| txn.origin == origin)
                .map(|txn| txn.number);
            (origin, known.max().unwrap_or(0))
        })
        .collect();
    state.excused_after.extend(kept);
}

/// Invariant 9, at the end: nothing that a client was promised is missing on the primary.
pub(crate) fn check_acknowledged(state: &State) -> Vec<Violation> {
    let Some(primary) = state.servers.values().find(|server| server.takes_writes()) else {
        return Vec::new();
    };
    let excused = |txn: &Txn| {
        let kept = state.excused_after.get(&txn.origin);
        kept.is_some_and(|kept| txn.number > *kept)
    };
    let lost = state
        .acknowledged
        .iter()
        .filter(|txn| !primary.possesses(**txn) && !excused(txn));
    lost.map(|txn| Violation::LostAcknowledged { txn: *txn })
        .take(3)
        .collect()
}

/// Liveness: one writable server, and every living server replicates from it or was set aside with errant transactions.
pub(crate) fn check_healed(state: &State) -> Vec<Violation> {
    let not_healed = |what: String| vec![Violation::NotHealed { what }];
    let writable: Vec<&Address> = state
        .servers
        .values()
        .filter(|s| s.takes_writes())
        .map(|s| &s.address)
        .collect();
    let [primary] = writable.as_slice() else {
        let names: Vec<String> = writable.iter().map(ToString::to_string).collect();
        return not_healed(format!("writable servers: [{}]", names.join(", ")));
    };
    let Some(primary) = state.servers.get(*primary) else {
        return Vec::new();
    };
    if !primary.waits {
        return not_healed(format!("commits on {} wait for nobody", primary.address));
    }
    let whole = |server: &crate::server::SimServer| {
        let errant = server.log.iter().any(|txn| !primary.possesses(*txn));
        // Below the primary, directly or through an intermediate source.
        let mut at = server;
        for _ in 0..state.servers.len() {
            match &at.channel {
                Some(c) if c.connected && c.receiver_on && c.applier_on => {
                    match state.servers.get(&c.source) {
                        Some(source) if source.address == primary.address => return true,
                        Some(source) => at = source,
                        None => return errant,
                    }
                }
                Some(_) | None => return errant,
            }
        }
        errant
    };
    state
        .servers
        .values()
        .filter(|server| server.process == Process::Up && server.address != primary.address)
        .filter(|server| !whole(server))
        .flat_map(|server| not_healed(format!("{} does not replicate", server.address)))
        .collect()
}
