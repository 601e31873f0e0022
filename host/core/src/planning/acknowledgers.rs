//! Who can still acknowledge to the primary that is replaced, and who may hold acknowledged
//! transactions that nobody else has.
//!
//! Two questions, kept apart. *From now on*: a receiver that was neither severed nor read as
//! stopped after the loss may go on acknowledging, also one that is only retrying. *Until now*: an
//! acknowledger that was not read since may hold what its primary told clients is safe. A process
//! that is gone counts for the second question only. Who was no acknowledger at the last readings
//! before the loss counts for neither.

mod remaining;

use std::collections::BTreeSet;
use std::time::Duration;

use super::explain::Reason;
use super::inherited::{edges_below, replaced_with};
use super::semi_sync::was_acknowledged;
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Channel, Probe, Reach, Risk, SemiSync, Server, ServerFacts, Snapshot, ThreadState, Topology,
};
use crate::time::Timestamp;

pub use remaining::too_few_acknowledgers;

/// Code of an objection: clients of the old primary may still be told OK.
pub(super) const COULD_ACKNOWLEDGE: &str = "could-acknowledge";

/// Code of an objection: somebody who was not read may have what nobody else has.
pub(super) const MAY_HOLD: &str = "may-hold";

/// Added to the pause between two readings: one that hangs ends with its limit, and the loss is
/// noticed late.
const READ_BEFORE_LOSS: Duration = Duration::from_secs(5);

/// A source that falls back to asynchronous replication only after so long counts as one that does
/// not.
const FALLS_BACK_LATE: Duration = Duration::from_secs(60);

/// Whether commits on a primary wait for acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// They do not.
    No,
    /// They do, for less than a minute.
    FallsBack,
    /// They do, whatever it takes.
    Always,
}

/// Who acknowledges to a primary that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgers {
    /// Whether its commits wait.
    pub waiting: Waiting,
    /// For how many acknowledgements; at least one, also where it is not known.
    pub wait_for: usize,
    /// Members that may acknowledge to it from now on.
    pub could: BTreeSet<ServerId>,
    /// Members that may hold what was acknowledged and nobody else has.
    pub may_hold: BTreeSet<ServerId>,
}

impl Acknowledgers {
    /// Counts for `subject`. With `revoked_after`, only what was done or read after that instant
    /// cut a receiver off; without it, whoever answers counts as cut off, as it will be.
    pub fn of(snapshot: &Snapshot, subject: &ServerId, revoked_after: Option<Timestamp>) -> Self {
        let topology = Topology::of(snapshot);
        let replaced = replaced_with(snapshot, subject);
        let source = Source::of(snapshot, subject, revoked_after);
        let mut found = Self {
            waiting: source.waiting,
            wait_for: source.wait_for,
            could: BTreeSet::new(),
            may_hold: BTreeSet::new(),
        };
        if source.waiting == Waiting::No || source.is_closed {
            return found;
        }
        let unaccounted = source.unaccounted(snapshot, &topology);
        let reached = reached(snapshot, subject, revoked_after);
        for edge in edges_below(&topology, &replaced) {
            let Some(server) = snapshot.servers.get(&edge.replica) else {
                continue;
            };
            if source.counted_on(server, &edge.channel, unaccounted) {
                let is_cut_off = is_cut_off(server, &edge.channel, revoked_after);
                let stands_still = stands_still_since(server);
                let is_covered = is_covered(&source, stands_still, reached.as_ref());
                let cut = (is_cut_off || source.is_gone, is_covered);
                found.count(server, cut, revoked_after);
            }
        }
        // Of a member that was never read nobody knows whom it follows.
        let unread = snapshot
            .servers
            .values()
            .filter(|server| server.facts.is_none() && !replaced.contains(&server.id));
        for server in unread.filter(|_| source.has_unseen(unaccounted)) {
            found.count(server, (source.is_gone, false), revoked_after);
        }
        found
    }

    /// `is_covered`: the primary was read after the server had ceased to receive, and others have
    /// all that it had committed by then.
    fn count(
        &mut self,
        server: &Server,
        (is_cut_off, is_covered): (bool, bool),
        revoked_after: Option<Timestamp>,
    ) {
        let gone = server.probe.is_refused();
        if !gone && !is_cut_off {
            self.could.insert(server.id.clone());
        }
        // Read after the revocation, what it holds is known, although its receiver may go on.
        let is_known = was_read(server, revoked_after) || is_covered;
        if !is_known {
            self.may_hold.insert(server.id.clone());
        }
    }

    /// Why a failover without a person's consent must not go on; empty if nothing speaks against
    /// it.
    pub fn objections(&self, risk: Risk) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if risk == Risk::Acknowledged {
            return reasons;
        }
        let mut no = |code: &str, who: &BTreeSet<ServerId>, text: &str| {
            let names: Vec<&str> = who.iter().map(ServerId::as_str).collect();
            reasons.push(Reason {
                code: code.to_owned(),
                text: format!(
                    "{} {text}, and the primary waits for {}",
                    names.join(", "),
                    self.wait_for
                ),
                about: who.iter().cloned().collect(),
            });
        };
        if self.could.len() >= self.wait_for {
            let text =
                "may still acknowledge to the old primary, for their receivers were not reached";
            no(COULD_ACKNOWLEDGE, &self.could, text);
        }
        let all_counts = self.waiting == Waiting::Always || risk == Risk::Nothing;
        if all_counts && self.may_hold.len() >= self.wait_for {
            let text = "may hold acknowledged transactions that no server has which answers";
            no(MAY_HOLD, &self.may_hold, text);
        }
        reasons
    }
}

/// What is known of the primary itself.
struct Source<'a> {
    server: Option<&'a Server>,
    waiting: Waiting,
    wait_for: usize,
    /// Its process has ended.
    is_gone: bool,
    /// It answers and is read-only, or will be fenced: nothing is acknowledged behind Baton's back.
    is_closed: bool,
    lost_at: Timestamp,
    /// A replica's last reading before the loss is at most so much older.
    reading: Duration,
}

impl<'a> Source<'a> {
    fn of(snapshot: &'a Snapshot, subject: &ServerId, revoked_after: Option<Timestamp>) -> Self {
        let server = snapshot.servers.get(subject);
        let facts = server.and_then(Server::last_facts);
        let semi = facts.and_then(|facts| facts.semi_sync.as_ref());
        let probe = server.map(|server| &server.probe);
        let answers = probe.is_some_and(|probe| probe.reach() == Reach::Answering);
        let is_closed = answers
            && match revoked_after {
                Some(at) => server
                    .and_then(|server| server.facts_after(at))
                    .is_some_and(|facts| facts.read_only),
                None => true,
            };
        Self {
            server,
            waiting: waiting(snapshot, subject, semi),
            wait_for: semi.map_or(1, |semi| usize::try_from(semi.wait_for.max(1)).unwrap_or(1)),
            is_gone: probe.is_some_and(Probe::is_refused),
            is_closed,
            lost_at: probe
                .and_then(|probe| probe.failing_since)
                .unwrap_or(snapshot.taken_at),
            reading: READ_BEFORE_LOSS.saturating_add(snapshot.fleet.poll_interval),
        }
    }

    /// Whether it may have had acknowledgers that this node did not see acknowledge.
    fn has_unseen(&self, unaccounted: usize) -> bool {
        unaccounted > 0 || self.server.is_none_or(|server| server.facts.is_none())
    }

    /// How many replicas acknowledged at the primary's last reading that no reading of a replica
    /// explains.
    fn unaccounted(&self, snapshot: &Snapshot, topology: &Topology) -> usize {
        let Some(server) = self.server else { return 0 };
        let semi = server
            .last_facts()
            .and_then(|facts| facts.semi_sync.as_ref());
        let clients = semi.map_or(0, |semi| usize::try_from(semi.clients).unwrap_or(0));
        let edges = topology.replicas_of(&server.id).iter();
        let seen = edges.filter(|edge| {
            let replica = snapshot.servers.get(&edge.replica);
            replica.is_some_and(|replica| self.saw_acknowledge(replica, &edge.channel))
        });
        clients.saturating_sub(seen.count())
    }

    fn saw_acknowledge(&self, replica: &Server, channel: &Channel) -> bool {
        let seen = replica.acknowledged_on(&channel.name);
        seen.is_some_and(|seen| seen.plus(self.reading) >= self.lost_at)
    }

    /// Whether a replica was an acknowledger when the primary was lost, as far as can be told. One
    /// that had fallen silent to us before that was one if the primary had more acknowledgers than
    /// those we saw.
    fn counted_on(&self, replica: &Server, channel: &Channel, unaccounted: usize) -> bool {
        if self.saw_acknowledge(replica, channel) {
            return true;
        }
        let semi = replica
            .last_facts()
            .and_then(|facts| facts.semi_sync.as_ref());
        let is_meant_to = semi.is_none_or(|semi| semi.replica_enabled);
        let was_silent = !replica.answers()
            && replica
                .probe
                .failing_since
                .is_none_or(|since| since < self.lost_at);
        is_meant_to && was_silent && self.has_unseen(unaccounted)
    }
}

fn waiting(snapshot: &Snapshot, subject: &ServerId, semi: Option<&SemiSync>) -> Waiting {
    if !was_acknowledged(snapshot, subject) {
        return Waiting::No;
    }
    match semi.filter(|semi| semi.source_enabled) {
        Some(semi) if !semi.source_active => Waiting::No,
        Some(semi)
            if semi
                .timeout
                .is_some_and(|timeout| timeout < FALLS_BACK_LATE) =>
        {
            Waiting::FallsBack
        }
        Some(_) | None => Waiting::Always,
    }
}

/// Whether nothing comes to the replica on this channel any more.
fn is_cut_off(replica: &Server, channel: &Channel, revoked_after: Option<Timestamp>) -> bool {
    let Some(revoked_after) = revoked_after else {
        return replica.answers();
    };
    let severed = replica
        .severed_on(&channel.name)
        .is_some_and(|at| at > revoked_after);
    let stopped = |facts: &ServerFacts| {
        let mut channels = facts.channels.iter();
        channels
            .find(|other| other.name == channel.name)
            .is_none_or(|other| other.receiver == ThreadState::Stopped)
    };
    severed || replica.facts_after(revoked_after).is_some_and(stopped)
}

/// All that the servers other than `subject` have that were read since.
fn reached(
    snapshot: &Snapshot,
    subject: &ServerId,
    revoked_after: Option<Timestamp>,
) -> Option<GtidSet> {
    let others = snapshot
        .servers
        .values()
        .filter(|other| other.id != *subject);
    let read = others.filter(|other| was_read(other, revoked_after));
    let sets = read.filter_map(|other| Some(other.last_facts()?.possessed()));
    sets.reduce(|all, one| all.union(&one))
}

/// Since when a server that cannot be read has received nothing more: its process is gone, or its
/// receiver waits for space. Once there is some it goes on, so it may still acknowledge *from now
/// on*.
fn stands_still_since(replica: &Server) -> Option<Timestamp> {
    if replica.probe.is_refused() {
        replica.probe.failing_since
    } else {
        replica.probe.receiver_stuck_since
    }
}

/// Whether all that the primary had committed when a replica stood still already is on a server
/// that was read since.
fn is_covered(
    source: &Source<'_>,
    stands_still: Option<Timestamp>,
    reached: Option<&GtidSet>,
) -> bool {
    let primary = source.server.zip(stands_still);
    let committed = primary.and_then(|(primary, since)| primary.facts_after(since));
    committed
        .zip(reached)
        .is_some_and(|(committed, reached)| reached.contains(&committed.executed))
}

fn was_read(replica: &Server, revoked_after: Option<Timestamp>) -> bool {
    match revoked_after {
        Some(at) => replica.facts_after(at).is_some(),
        None => replica.answers(),
    }
}

#[cfg(test)]
mod tests;
