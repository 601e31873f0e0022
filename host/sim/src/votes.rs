//! Who has the right to act, as the servers and the backend see it, whatever the nodes believe.
//! Checked whenever a change executes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_control::vote_term;
use baton_core::ids::{Address, LeaseEpoch, ServerId};
use baton_core::leadership::quorum::{Voters, Votes as Held};

use crate::invariants::Violation;
use crate::network::NodeId;
use crate::world::State;

/// The slowest clock counts a lease for so much longer, in percent.
const SLOWEST: u64 = 112;
/// Resolution of the simulation, milliseconds.
const RESOLUTION: u64 = 6;

/// What is known of rights.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    /// Several nodes share the right; a single one with a store of its own needs no votes.
    pub(crate) several: bool,
    /// Leases given that their holder's clock may still count as half a vote, in the order of their
    /// first grant. Only the first is one.
    grants: Vec<(NodeId, u64)>,
    /// When each node last had a majority.
    majority_at: BTreeMap<NodeId, u64>,
    /// When each node last changed a server.
    changed_at: BTreeMap<NodeId, u64>,
    openings: Vec<Opening>,
}

#[derive(Debug)]
struct Opening {
    address: Address,
    incarnation: u64,
    epoch: LeaseEpoch,
}

impl Votes {
    fn lease(&self, now: u64) -> Option<NodeId> {
        let counted = self.grants.iter().find(|(_, until)| *until > now);
        counted.map(|(node, _)| *node)
    }
}

/// The backend granted or renewed the lease.
pub(crate) fn note_grant(state: &mut State, node: NodeId, ttl: Duration) {
    let term = u64::try_from(vote_term(ttl).as_millis()).unwrap_or(u64::MAX);
    let until = state.now + term.saturating_mul(SLOWEST) / 100;
    let grants = &mut state.votes.grants;
    if let Some((_, old)) = grants.iter_mut().find(|(holder, _)| *holder == node) {
        *old = until;
    } else {
        grants.push((node, until));
        state.tell(|| format!("{node} is given the lease"));
    }
}

/// The lease was given back.
pub(crate) fn note_release(state: &mut State, node: NodeId) {
    state.votes.grants.retain(|(holder, _)| *holder != node);
}

/// The members as recorded; before anything is recorded, everybody.
fn voters(state: &State) -> Voters {
    let recorded = state.backend.present().voters.values().next();
    recorded.cloned().unwrap_or_else(|| Voters {
        version: 0,
        current: state.servers.keys().map(id).collect(),
        previous: None,
    })
}

fn id(address: &Address) -> ServerId {
    ServerId::new(address.to_string())
}

/// Notes every now and then who has a majority.
pub(crate) fn tick(state: &mut State) {
    if state.votes.several && state.now.is_multiple_of(RESOLUTION - 1) {
        count(state);
    }
}

/// Notes who has a majority now.
fn count(state: &mut State) {
    let now = state.now;
    state.votes.grants.retain(|(_, until)| *until > now);
    let mut locks: BTreeMap<NodeId, BTreeSet<ServerId>> = BTreeMap::new();
    for server in state.servers.values() {
        let owner = server.lock.and_then(|lock| state.connections.owner(lock));
        if let Some(owner) = owner {
            locks.entry(owner).or_default().insert(id(&server.address));
        }
    }
    let lease = state.votes.lease(now);
    let voters = voters(state);
    for (node, locks) in locks {
        let held = Held {
            locks,
            lease: lease == Some(node),
        };
        if voters.count(&held).granted {
            state.votes.majority_at.insert(node, now);
        }
    }
}

/// A server is opened for writes: its sender had a majority no longer ago than the guard lasts, and
/// under this epoch no other server is open.
pub(crate) fn note_opening(state: &mut State, address: &Address, node: NodeId, guard: Duration) {
    if !state.votes.several {
        return;
    }
    count(state);
    let guard = u64::try_from(guard.as_millis()).unwrap_or(u64::MAX) + RESOLUTION;
    let last = state.votes.majority_at.get(&node).copied();
    if last.is_none_or(|last| state.now > last + guard) {
        state.violations.push(Violation::NoMajority {
            address: address.clone(),
            node,
            since_ms: last.map(|last| state.now - last),
        });
    }
    note_epoch(state, address, node);
}

fn note_epoch(state: &mut State, address: &Address, node: NodeId) {
    let Some(epoch) = state.mirrors.get(&node).map(|mirror| mirror.epoch) else {
        return;
    };
    let is_open = |opening: &&Opening| {
        let server = state.servers.get(&opening.address);
        server.is_some_and(|s| s.incarnation == opening.incarnation && s.takes_writes())
    };
    let same = state.votes.openings.iter().filter(is_open);
    let other = same
        .filter(|opening| opening.epoch == epoch && opening.address != *address)
        .map(|opening| opening.address.clone())
        .next();
    if let Some(other) = other {
        state.violations.push(Violation::TwoInEpoch {
            opened: address.clone(),
            other,
            epoch,
        });
    }
    let incarnation = state.servers.get(address).map_or(0, |s| s.incarnation);
    state.votes.openings.push(Opening {
        address: address.clone(),
        incarnation,
        epoch,
    });
}

/// Who changed the cluster since a node last had a majority. What such a node sends now must not
/// take effect; what it sent before may, on a server whose lock nobody else has yet.
pub(crate) fn replaced_by(state: &mut State, node: NodeId) -> Option<NodeId> {
    if !state.votes.several {
        return None;
    }
    count(state);
    let own = state.votes.majority_at.get(&node).copied().unwrap_or(0);
    let mut others = state.votes.changed_at.iter();
    let later = others.find(|(other, at)| **other != node && **at > own);
    later.map(|(other, _)| *other)
}

/// A change took effect.
pub(crate) fn note_change(
    state: &mut State,
    (address, command): (&Address, &'static str),
    node: NodeId,
    replaced_by: Option<NodeId>,
) {
    if let Some(other) = replaced_by {
        state.violations.push(Violation::StaleActor {
            address: address.clone(),
            command,
            node,
            other,
        });
    }
    state.votes.changed_at.insert(node, state.now);
}
