//! What must never happen, checked while it runs and at the end. One function per invariant.

use std::fmt;

use baton_core::ids::{Address, LeaseEpoch};
use baton_core::model::{RecoveryKind, RecoveryOutcome};

use crate::hazards::OTHER;
use crate::network::NodeId;
use crate::server::{Process, SimServer, Txn};
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
    /// A server was opened for writes by a node that had no majority of the votes when it executed,
    /// nor within the guard before.
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
    /// A node changed a server although another one had changed the cluster since this one last had
    /// a majority.
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
    /// An empty server that took a member's place was opened.
    EmptyOpened {
        /// Which.
        opened: Address,
    },
    /// A server of another cluster was changed, or its rows came to servers that did not read from
    /// it.
    OtherCluster {
        /// What happened.
        what: String,
    },
    /// What a person did was undone.
    PersonOverruled {
        /// What.
        what: String,
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
        let counts = !other.foreign && !other.opened_by_hand;
        if reached && known && counts && other.takes_writes() && own.read_only {
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
            // Its own, and another cluster's, are nobody's loss.
            .filter(|txn| txn.origin != other.number && txn.origin != OTHER)
            .any(|txn| !own.possesses(*txn));
        if reached && other.process == Process::Up && stopped && more {
            found.push(Violation::PromotedBehind {
                opened: opened.clone(),
                ahead: other.address.clone(),
            });
        }
    }
    let old = state
        .first_primary
        .as_ref()
        .and_then(|first| state.servers.get(first));
    let moved_on = old.is_some_and(|old| {
        old.address != *opened
            && old.is_locked(state.now)
            && state.network.reaches(node, &old.address)
            && old.log.iter().any(|txn| !own.possesses(*txn))
    });
    if moved_on
        && switches_over(state)
        && let Some(first) = &state.first_primary
    {
        found.push(Violation::PromotedBehind {
            opened: opened.clone(),
            ahead: first.clone(),
        });
    }
    if own.replaced_at.is_some() && own.executed.is_empty() {
        found.push(Violation::EmptyOpened {
            opened: opened.clone(),
        });
    }
    excuse(state, opened, node);
    state.violations.extend(found);
}

/// A planned change runs: the successor has all that the old primary has.
fn switches_over(state: &State) -> bool {
    let recoveries = &state.backend.present().recoveries;
    recoveries
        .iter()
        .any(|row| row.kind == RecoveryKind::Switchover && row.outcome == RecoveryOutcome::Running)
}

/// With two servers out of reach at a promotion, what only these two have is lost whatever anybody
/// does: one acknowledgement promises to survive one failure. That holds as well for what they
/// acknowledge to each other until one of them is fenced.
fn excuse(state: &mut State, opened: &Address, node: NodeId) {
    let (within, away): (Vec<_>, Vec<_>) = state.servers.values().partition(|server| {
        let reached = state.network.reaches(node, &server.address)
            && !state.lately_away.contains(&(node, server.address.clone()));
        server.address == *opened || (server.process == Process::Up && reached)
    });
    if away.len() < 2 || state.strict {
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
    let mut servers = state.servers.values();
    let Some(primary) = servers.find(|server| server.serves()) else {
        return Vec::new();
    };
    // What was acknowledged since the last reading of a server that lost it is not known to
    // anybody.
    let forgotten = |at: u64| {
        let lost = state.servers.values().filter_map(SimServer::lost_at);
        lost.into_iter()
            .any(|lost| at <= lost && at + UNREAD + 500 > lost)
    };
    let excused = |txn: &Txn, at: u64| {
        let kept = state.excused_after.get(&txn.origin);
        kept.is_some_and(|kept| txn.number > *kept) || forgotten(at)
    };
    let lost = state
        .acknowledged
        .iter()
        .filter(|(txn, at)| !primary.possesses(*txn) && !excused(txn, *at));
    lost.map(|(txn, _)| Violation::LostAcknowledged { txn: *txn })
        .take(3)
        .collect()
}

/// The other cluster is as it was, and what people did was not undone.
pub(crate) fn check_untouched(state: &State) -> Vec<Violation> {
    let mut found = Vec::new();
    for server in state.servers.values() {
        let address = &server.address;
        if server.foreign && (server.read_only || server.channel.is_some()) {
            let what = format!("{address} was changed");
            found.push(Violation::OtherCluster { what });
        }
        let has_theirs = server.executed.iter().any(|txn| txn.origin == OTHER);
        if has_theirs && !server.foreign && !reads_from_them(state, server) {
            let what = format!("{address} has rows of the other cluster");
            found.push(Violation::OtherCluster { what });
        }
        let runs = server
            .channel
            .as_ref()
            .is_some_and(|channel| channel.receiver_on);
        if server.stopped_by_hand && runs && !has_promoted(state) {
            let what = format!("{address} was stopped by a person, and replicates");
            found.push(Violation::PersonOverruled { what });
        }
        if server.opened_by_hand && server.read_only && !has_promoted(state) {
            let what = format!("{address} was opened by a person, and is closed");
            found.push(Violation::PersonOverruled { what });
        }
    }
    found
}

/// A server reads from the other cluster, or from a server that does.
fn reads_from_them(state: &State, server: &SimServer) -> bool {
    let mut at = server;
    for _ in 0..state.servers.len() {
        if at.second.is_some()
            || state
                .servers
                .values()
                .any(|other| other.second.is_some() && other.takes_writes())
        {
            return true;
        }
        let source = at
            .channel
            .as_ref()
            .and_then(|channel| state.servers.get(&channel.source));
        match source {
            Some(source) => at = source,
            None => return false,
        }
    }
    false
}

/// Somebody else became the primary: what a person had done to replicas may have to give way.
fn has_promoted(state: &State) -> bool {
    let recoveries = &state.backend.present().recoveries;
    recoveries.iter().any(|row| row.kind.replaces_primary())
}

/// Liveness: one writable server, and every living server replicates from it or was set aside with
/// errant transactions.
pub(crate) fn check_healed(state: &State) -> Vec<Violation> {
    let not_healed = |what: String| vec![Violation::NotHealed { what }];
    let mut writable: Vec<&Address> = state
        .servers
        .values()
        .filter(|s| s.serves())
        .map(|s| &s.address)
        .collect();
    let by_hand = |address: &&Address| {
        let server = state.servers.get(*address);
        server.is_some_and(|server| server.opened_by_hand)
    };
    if writable.len() > 1 {
        writable.retain(|address| !by_hand(address));
    }
    let [primary] = writable.as_slice() else {
        let names: Vec<String> = writable.iter().map(ToString::to_string).collect();
        return not_healed(format!("writable servers: [{}]", names.join(", ")));
    };
    let Some(primary) = state.servers.get(*primary) else {
        return Vec::new();
    };
    if primary.opened_by_hand {
        // Whoever opened it says what becomes of it and of the others.
        return Vec::new();
    }
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
                        Some(source) if source.is_a_persons() => return true,
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
        .filter(|server| !server.foreign && !server.is_a_persons())
        .filter(|server| !whole(server))
        .flat_map(|server| not_healed(format!("{} does not replicate", server.address)))
        .collect()
}
