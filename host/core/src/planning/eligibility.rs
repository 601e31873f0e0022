//! Who may become the primary: for each server, every reason why not. Nothing else in Baton decides
//! that.
//!
//! A failover, a switchover, `explain`, the list of candidates and the finding about
//! acknowledgers that may not be promoted all ask here. Policies order and veto who is left; they
//! never add anybody.

use std::collections::BTreeSet;
use std::time::Duration;

use super::explain::Reason;
use super::history::History;
use super::inherited::edges_below;
use crate::analysis::ConnectError;
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Bounds, Channel, Edge, PromotionRule, ReplicationError, Server, ServerFacts, Snapshot, Space,
    ThreadState, Topology, named,
};
use crate::time::Timestamp;
use crate::words::words_of_variants;

/// A reason why a server may not become the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// Its promotion rule is `must_not`.
    MustNot,
    /// It is set aside, with transactions that no other server has.
    Quarantined,
    /// An operator declared that it is worked on.
    Maintenance,
    /// It is in downtime.
    Downtimed,
    /// It is the primary already.
    AlreadyPrimary,
    /// It does not answer.
    NotAnswering,
    /// It was not read since receivers were stopped, so what it has received is not known.
    NotRead,
    /// It has transactions that did not come from the primary: all servers would get them.
    Errant(GtidSet),
    /// Its disk is full.
    WaitsForSpace,
    /// It has no data, and others have.
    Empty,
    /// It writes no binary log.
    NoBinaryLog,
    /// Its binary log lacks what it replicates, and others depend on that.
    NoReplicaUpdates,
    /// Its receiver could not be stopped, so what it has may still grow.
    StillReceiving,
    /// Its receiver stopped by itself, with an error of this number: it lacks what came since.
    ReceiverBroken(u32),
    /// Its applier stopped with an error of this number.
    ApplierBroken(u32),
    /// It replicates with filters, so it is no full copy.
    Filtered,
    /// It does not replicate by GTID.
    NoGtid,
    /// It does not replicate directly from the primary that is to be replaced.
    NotDirectReplica(ServerId),
    /// Replication from this primary does not run.
    NotReplicating(ServerId),
    /// It lags by more than the limit.
    Lagging {
        /// By how much.
        lag: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The primary has prepared XA transactions that it lacks.
    PreparedNotReplicated {
        /// The primary.
        primary: ServerId,
        /// The transactions, for people.
        names: String,
    },
}

words_of_variants!(Ineligible {
    MustNot = "must-not",
    Quarantined = "quarantined",
    Maintenance = "maintenance",
    Downtimed = "downtimed",
    AlreadyPrimary = "already-primary",
    NotAnswering = "not-answering",
    NotRead = "not-read",
    Errant = "errant",
    WaitsForSpace = "waits-for-space",
    Empty = "empty",
    NoBinaryLog = "no-binary-log",
    NoReplicaUpdates = "no-replica-updates",
    StillReceiving = "still-receiving",
    ReceiverBroken = "receiver-broken",
    ApplierBroken = "applier-broken",
    Filtered = "filtered",
    NoGtid = "no-gtid",
    NotDirectReplica = "not-a-direct-replica",
    NotReplicating = "not-replicating",
    Lagging = "lagging",
    PreparedNotReplicated = "prepared-not-replicated",
});

impl Ineligible {
    /// What a person lifts by naming the server in the order for a failover: a person who names a
    /// server that has errant transactions wants it with them.
    pub fn is_lifted_by_name(&self) -> bool {
        matches!(self, Self::Errant(_))
    }

    /// The reason as a sentence about `server`.
    fn text(&self, server: &ServerId) -> String {
        match self {
            Self::MustNot => format!("{server} has the promotion rule must_not"),
            Self::Quarantined => format!("{server} is set aside with errant transactions"),
            Self::Maintenance => format!("{server} is in maintenance"),
            Self::Downtimed => format!("{server} is downtimed"),
            Self::AlreadyPrimary => format!("{server} is the primary already"),
            Self::NotAnswering => format!("{server} does not answer"),
            Self::NotRead => {
                format!("{server} did not answer, so what it has received is not known")
            }
            Self::Errant(set) => format!(
                "{server} has errant transactions, which every server would get with its promotion: {set}"
            ),
            Self::WaitsForSpace => format!("{server} waits for disk space itself"),
            Self::Empty => format!("{server} has no data"),
            Self::NoBinaryLog => {
                format!("{server} writes no binary log, nobody could replicate from it")
            }
            Self::NoReplicaUpdates => format!(
                "{server} does not log replicated changes, other servers could not follow it"
            ),
            Self::StillReceiving => format!(
                "the receiver of {server} could not be stopped, so what it has may still grow"
            ),
            Self::ReceiverBroken(number) => format!(
                "the receiver of {server} stopped with error {number}: it lacks what came since"
            ),
            Self::ApplierBroken(number) => {
                format!("the applier of {server} stopped with error {number}")
            }
            Self::Filtered => {
                format!("{server} replicates with filters: it is not a full copy")
            }
            Self::NoGtid => format!("{server} does not replicate by GTID"),
            Self::NotDirectReplica(primary) => {
                format!("{server} does not replicate directly from {primary}")
            }
            Self::NotReplicating(primary) => {
                format!("replication from {primary} to {server} does not run")
            }
            Self::Lagging { lag, limit } => format!(
                "{server} lags by {} s, more than {} s",
                lag.as_secs(),
                limit.as_secs()
            ),
            Self::PreparedNotReplicated { primary, names } => format!(
                "{primary} has prepared XA transactions that {server} does not have: {names}; commit them or roll them back first"
            ),
        }
    }

    /// The reason why `server` may not be promoted, for people and the API.
    pub fn reason(&self, server: &ServerId) -> Reason {
        let about = if let Self::PreparedNotReplicated { primary, .. } = self {
            primary
        } else {
            server
        };
        Reason {
            code: self.word().to_owned(),
            text: self.text(server),
            about: vec![about.clone()],
        }
    }
}

/// What operators say against a server: it is set aside, or must not be promoted now.
pub(crate) fn declared(server: &Server) -> Vec<Ineligible> {
    let mut reasons = never(server);
    if server.maintenance {
        reasons.push(Ineligible::Maintenance);
    }
    if server.downtime.is_some() {
        reasons.push(Ineligible::Downtimed);
    }
    reasons
}

/// What also a person's order does not lift.
fn never(server: &Server) -> Vec<Ineligible> {
    let mut reasons = Vec::new();
    if server.promotion == PromotionRule::MustNot {
        reasons.push(Ineligible::MustNot);
    }
    if server.quarantined {
        reasons.push(Ineligible::Quarantined);
    }
    reasons
}

/// Whether other servers could replicate from a server with these facts.
pub(crate) fn logging(facts: &ServerFacts) -> Option<Ineligible> {
    if !facts.log_bin {
        Some(Ineligible::NoBinaryLog)
    } else if !facts.log_updates {
        Some(Ineligible::NoReplicaUpdates)
    } else {
        None
    }
}

/// A failover, as far as it decides who may become the primary.
pub(super) struct Failover<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) topology: &'a Topology,
    pub(super) bounds: &'a Bounds,
    /// The servers that are replaced: the lost one, and those it replaced itself.
    pub(super) replaced: &'a BTreeSet<ServerId>,
    pub(super) history: &'a History,
    /// All that was received from the replaced servers.
    pub(super) most: Option<&'a GtidSet>,
    /// Somebody could be promoted who has no errant transactions.
    pub(super) some_clean: bool,
    /// Somebody could be promoted who logs what it replicates.
    pub(super) some_log: bool,
    /// Only readings that began later count.
    pub(super) read_after: Option<Timestamp>,
}

impl Failover<'_> {
    /// Why `server`, of which this was read, may not replace a lost primary; empty if it may.
    pub(super) fn reasons(&self, server: &Server, facts: Option<&ServerFacts>) -> Vec<Ineligible> {
        let mut reasons = declared(server);
        let Some(facts) = facts else {
            reasons.push(Ineligible::NotRead);
            return reasons;
        };
        let errant = self.history.errant(server, facts);
        if !errant.is_empty() && self.some_clean {
            reasons.push(Ineligible::Errant(errant));
        }
        reasons.extend(space(facts));
        let others_have_data =
            self.most.is_some_and(|most| !most.is_empty()) || self.snapshot.highest.is_some();
        if facts.possessed().is_empty() && others_have_data {
            reasons.push(Ineligible::Empty);
        }
        let others_log = self.some_log && !self.is_alone(server);
        reasons.extend(
            logging(facts).filter(|why| others_log || *why != Ineligible::NoReplicaUpdates),
        );
        for edge in self.topology.channels_of(&server.id) {
            reasons.extend(self.of_channel(server, edge));
        }
        reasons
    }

    /// Nobody else is below the replaced servers.
    fn is_alone(&self, server: &Server) -> bool {
        edges_below(self.topology, self.replaced).all(|edge| edge.replica == server.id)
    }

    fn of_channel(&self, server: &Server, edge: &Edge) -> Vec<Ineligible> {
        let channel = &edge.channel;
        let source = edge.source.as_ref();
        let from_replaced = source.is_some_and(|source| self.replaced.contains(source));
        let mut reasons = Vec::new();
        if from_replaced && may_still_receive(server, channel, self.read_after) {
            reasons.push(Ineligible::StillReceiving);
        }
        if let Some(error) = gap(channel).filter(|_| from_replaced) {
            reasons.push(Ineligible::ReceiverBroken(error.number));
        }
        if from_replaced || !self.bounds.leads_outside(edge) {
            reasons.extend(copy(server, channel));
        }
        reasons
    }
}

/// A switchover, as far as it decides who may become the primary.
pub(super) struct Switchover<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) topology: &'a Topology,
    /// The present primary.
    pub(super) from: &'a ServerId,
    /// Largest lag of the successor with which it begins, beside its delay.
    pub(super) lag_limit: Duration,
}

impl Switchover<'_> {
    /// Why `server` may not replace the living primary; empty if it may.
    ///
    /// Maintenance and downtime of a server that a person names are that person's business; one
    /// that nobody named was never ranked then.
    pub(super) fn reasons(&self, server: &Server) -> Vec<Ineligible> {
        let mut reasons = Vec::new();
        if !server.answers() {
            reasons.push(Ineligible::NotAnswering);
        }
        if server.id == *self.from {
            reasons.push(Ineligible::AlreadyPrimary);
        }
        reasons.extend(never(server));
        if let Some(names) = self.prepared_missing(server) {
            reasons.push(Ineligible::PreparedNotReplicated {
                primary: self.from.clone(),
                names,
            });
        }
        let channels = self.topology.channels_of(&server.id);
        let mut direct = channels
            .iter()
            .filter(|edge| edge.source.as_ref() == Some(self.from));
        let Some(edge) = direct.next() else {
            reasons.push(Ineligible::NotDirectReplica(self.from.clone()));
            return reasons;
        };
        reasons.extend(self.of_channel(server, &edge.channel));
        let facts = server.last_facts();
        reasons.extend(facts.and_then(space));
        reasons.extend(facts.and_then(logging));
        if let Some(errant) = server.errant.as_ref().filter(|set| !set.is_empty()) {
            reasons.push(Ineligible::Errant(errant.clone()));
        }
        reasons
    }

    fn of_channel(&self, server: &Server, channel: &Channel) -> Vec<Ineligible> {
        let mut reasons = Vec::new();
        if !channel.is_replicating() {
            reasons.push(Ineligible::NotReplicating(self.from.clone()));
        }
        reasons.extend(copy(server, channel));
        let limit = self.lag_limit;
        let allowed = limit.saturating_add(channel.delay);
        if let Some(lag) = channel.lag.filter(|lag| *lag > allowed) {
            reasons.push(Ineligible::Lagging { lag, limit });
        }
        reasons
    }

    /// Transactions that were promised to somebody and did not go through the binary log.
    fn prepared_missing(&self, server: &Server) -> Option<String> {
        let known = server.last_facts()?.prepared.as_ref()?;
        let primary = self.snapshot.servers.get(self.from)?;
        let long = primary.long_prepared(self.snapshot.taken_at);
        let only: Vec<&String> = long.filter(|name| !known.contains(*name)).collect();
        (!only.is_empty()).then(|| named(only.iter().copied()))
    }
}

fn space(facts: &ServerFacts) -> Option<Ineligible> {
    matches!(facts.vitals.space, Space::Awaited { .. }).then_some(Ineligible::WaitsForSpace)
}

/// Whether a channel makes a full copy that can be positioned anywhere.
fn copy(server: &Server, channel: &Channel) -> Vec<Ineligible> {
    let mut reasons = Vec::new();
    if channel.filtered {
        reasons.push(Ineligible::Filtered);
    }
    // A lifted delay costs the channel its position by GTID, until it is set back.
    if !channel.auto_position && server.lifted_on(channel).is_none() {
        reasons.push(Ineligible::NoGtid);
    }
    if let Some(error) = &channel.applier_error
        && channel.applier == ThreadState::Stopped
    {
        reasons.push(Ineligible::ApplierBroken(error.number));
    }
    reasons
}

/// The error with which a receiver stopped by itself, for a reason other than the loss of its
/// source: what its source wrote since, it lacks. An error of the network is that loss; errors of
/// a login may be older, but such a receiver goes on trying.
fn gap(channel: &Channel) -> Option<&ReplicationError> {
    let error = channel.receiver_error.as_ref()?;
    let is_stopped = channel.receiver == ThreadState::Stopped;
    (is_stopped && ConnectError::of(error.number) == ConnectError::Other).then_some(error)
}

/// A receiver has ended if it shows as stopped, or if this recovery severed it before the reading:
/// its thread may wait for its source for a while, but it receives nothing.
fn may_still_receive(server: &Server, channel: &Channel, read_after: Option<Timestamp>) -> bool {
    let Some(read_after) = read_after else {
        return false;
    };
    let severed = server
        .severed_on(&channel.name)
        .is_some_and(|at| at > read_after && server.facts_after(at).is_some());
    channel.receiver != ThreadState::Stopped && !severed
}

#[cfg(test)]
mod tests;
