//! What the replicas of a source that does not answer us say about it.
//!
//! A reading from before the loss says nothing, and a connection that exists says little: a hung or
//! vanished source leaves its connections half-open. Only what happened after the loss is a sign of
//! life.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use crate::ids::ServerId;
use crate::model::{Channel, Edge, Reach, Server, ServerFacts, Snapshot, ThreadState};
use crate::time::Timestamp;

/// What one replica shows of its source, strongest sign of life first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ReplicaEvidence {
    /// Something came from the source after the loss.
    Alive(Sign),
    /// The receiver is connected, and nothing came since.
    Attached,
    /// Baton made it reconnect, and it has not had the time to, or was not read since.
    Settling,
    /// Not read since the loss.
    Unread,
    /// The receiver is not connected and cannot connect.
    Lost {
        /// Baton made it reconnect after the loss.
        tested: bool,
    },
    /// The receiver, and nothing but it, stopped when the source was lost: a Baton node that ended
    /// had it connect anew and did not come to start it. It shows neither life nor death, and is to
    /// be started, which shows one of them.
    Halted,
    /// The receiver was stopped by a person or by an error of its own: it would not notice.
    Mute,
    /// The replica lives but does not let us read it.
    Refusing,
    /// The replica does not answer.
    Silent,
}

/// How a source showed that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// A heartbeat or an event arrived.
    Heard,
    /// It accepted a new connection.
    Accepted,
    /// It answered a new connection with an error of its own.
    Denied,
}

/// The evidence of all replicas of one source.
pub(super) struct CollectedEvidence<'s> {
    /// By replica.
    pub(super) said: BTreeMap<&'s ServerId, ReplicaEvidence>,
    /// The channel that each replica's evidence is about.
    pub(super) edges: BTreeMap<&'s ServerId, &'s Edge>,
    /// When the last of the replicas that look connected came back, which had not answered us since
    /// the loss either: the network between us and them was cut. What was tried before that says
    /// nothing about them.
    pub(super) back_at: Option<Timestamp>,
}

impl<'s> CollectedEvidence<'s> {
    /// Hears all replicas of `source`, which was lost at `lost_at`.
    pub(super) fn of(cx: &'s Context<'_>, source: &'s Server, lost_at: Timestamp) -> Self {
        let mut collected = Self {
            said: BTreeMap::new(),
            edges: BTreeMap::new(),
            back_at: None,
        };
        for edge in cx.edges_below(&source.id) {
            let Some(replica) = cx.server(&edge.replica) else {
                continue;
            };
            let mut evidence = replica_evidence(cx, replica, &edge.channel, lost_at);
            if evidence == ReplicaEvidence::Attached
                && starved_before(cx.snapshot, replica, &edge.channel, lost_at)
            {
                evidence = ReplicaEvidence::Mute;
            }
            let known = collected.said.get(&edge.replica);
            if known.is_none_or(|known| evidence < *known) {
                collected.said.insert(&edge.replica, evidence);
                collected.edges.insert(&edge.replica, edge);
            }
        }
        collected.add_registered(cx, source);
        collected.discount_earlier_tests(cx, lost_at);
        collected
    }

    fn discount_earlier_tests(&mut self, cx: &Context<'_>, lost_at: Timestamp) {
        let attached = self
            .who(|said| said == ReplicaEvidence::Attached)
            .into_iter();
        let back = attached.filter_map(|id| cx.server(id)?.probe.back_at);
        self.back_at = back.filter(|at| *at > lost_at).max();
        let Some(back_at) = self.back_at else {
            return;
        };
        for (id, said) in &mut self.said {
            let tested_at = || {
                let (server, edge) = (cx.server(id)?, self.edges.get(id)?);
                let name = &edge.channel.name;
                server
                    .reconnected_on(name)
                    .max(server.reconnect_failed_on(name))
            };
            if *said == (ReplicaEvidence::Lost { tested: true }) && tested_at() <= Some(back_at) {
                *said = ReplicaEvidence::Lost { tested: false };
            }
        }
    }

    /// Replicas that the source had registered but nobody has read yet: unknown, not absent.
    fn add_registered(&mut self, cx: &'s Context<'_>, source: &Server) {
        for attached in source.last_facts().map_or(&[][..], |facts| &facts.replicas) {
            let address = attached
                .port
                .and_then(|port| crate::ids::Address::new(&attached.host, port).ok());
            let member = address.and_then(|address| cx.snapshot.server_at(&address));
            let Some(member) = member.filter(|m| m.facts.is_none() && m.id != source.id) else {
                continue;
            };
            let replica_evidence = match member.probe.reach() {
                Reach::NotProbed | Reach::Answering => ReplicaEvidence::Unread,
                Reach::Partial => ReplicaEvidence::Refusing,
                Reach::Silent => ReplicaEvidence::Silent,
            };
            self.said.entry(&member.id).or_insert(replica_evidence);
        }
    }

    /// The replicas that said something for which `is` holds.
    pub(super) fn who(&self, is: impl Fn(ReplicaEvidence) -> bool) -> Vec<&'s ServerId> {
        self.said
            .iter()
            .filter(|(_, said)| is(**said))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn any(&self, is: impl Fn(ReplicaEvidence) -> bool) -> bool {
        self.said.values().any(|said| is(*said))
    }

    pub(super) fn all(&self, is: impl Fn(ReplicaEvidence) -> bool) -> bool {
        self.said.values().all(|said| is(*said))
    }
}

impl ReplicaEvidence {
    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Alive(_))
    }

    pub(super) fn is_lost(self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Unread | Self::Settling)
    }
}

fn replica_evidence(
    cx: &Context<'_>,
    replica: &Server,
    channel: &Channel,
    lost_at: Timestamp,
) -> ReplicaEvidence {
    match replica.probe.reach() {
        Reach::NotProbed => ReplicaEvidence::Unread,
        Reach::Partial => ReplicaEvidence::Refusing,
        Reach::Silent => ReplicaEvidence::Silent,
        Reach::Answering => {
            let reconnected = replica
                .reconnected_on(&channel.name)
                .filter(|at| *at > lost_at);
            let Some(facts) = &replica.facts else {
                return ReplicaEvidence::Unread;
            };
            if reconnected.is_some_and(|reconnected| facts.at <= reconnected) {
                return ReplicaEvidence::Settling;
            }
            if facts.at <= lost_at {
                return ReplicaEvidence::Unread;
            }
            let heard = replica.heard_on(&channel.name).filter(|at| *at > lost_at);
            let in_vain = replica.reconnect_failed_on(&channel.name).filter(|at| {
                let mut signs = [reconnected, heard].into_iter().flatten();
                *at > lost_at && signs.all(|sign| sign < *at)
            });
            if in_vain.is_some_and(|at| cx.is_recent(at)) {
                // The receiver may still look connected: its thread waits for its source to let it
                // go.
                return ReplicaEvidence::Lost { tested: true };
            }
            if replica.was_halted_on(channel, lost_at) {
                return ReplicaEvidence::Halted;
            }
            let at = Instants {
                lost: lost_at,
                read: facts.at,
                reconnected,
                heard,
            };
            receiver(cx, channel, &at)
        }
    }
}

/// The loss, and instants after it.
struct Instants {
    lost: Timestamp,
    read: Timestamp,
    reconnected: Option<Timestamp>,
    heard: Option<Timestamp>,
}

fn receiver(cx: &Context<'_>, channel: &Channel, at: &Instants) -> ReplicaEvidence {
    let settings = cx.settings;
    let is_believed = |sign: Timestamp| {
        cx.is_recent(sign) && at.read.since(sign) <= belief(channel, sign.since(at.lost))
    };
    let accepted = at.reconnected.is_some_and(is_believed);
    let answered = at.reconnected.is_some_and(|sign| cx.is_recent(sign));
    let tested = at.reconnected.is_some();
    let error = channel.receiver_error.as_ref().map(|error| error.number);
    match (channel.receiver, error.map(ConnectError::of)) {
        (ThreadState::Running, _) if accepted => ReplicaEvidence::Alive(Sign::Accepted),
        (ThreadState::Running, _) if at.heard.is_some_and(is_believed) => {
            ReplicaEvidence::Alive(Sign::Heard)
        }
        (ThreadState::Running, _) => ReplicaEvidence::Attached,
        // Starting a receiver clears its error, so after a reconnect the error is new. Otherwise it
        // may be older than the loss: it shows neither life nor death.
        (ThreadState::Connecting, Some(ConnectError::Denied)) if answered => {
            ReplicaEvidence::Alive(Sign::Denied)
        }
        (ThreadState::Connecting, None) if is_settling(at, settings.reconnect_patience) => {
            ReplicaEvidence::Settling
        }
        (ThreadState::Connecting, None | Some(ConnectError::Network | ConnectError::Other))
        | (ThreadState::Stopped, Some(ConnectError::Network)) => ReplicaEvidence::Lost { tested },
        (ThreadState::Connecting, Some(ConnectError::Denied))
        | (ThreadState::Stopped, None | Some(ConnectError::Denied | ConnectError::Other))
        | (ThreadState::Unknown, _) => ReplicaEvidence::Mute,
    }
}

/// For how long a sign proves that its source lives, which came so much `later` than the source was
/// lost. At first not long: a source may have died just after the sign, and a new connection tells.
/// The longer it has lived after all, the longer: a source that only Baton does not reach is not
/// made to accept new connections all the time. Where it is known to send heartbeats, a few of them
/// are enough to miss.
fn belief(channel: &Channel, later: Duration) -> Duration {
    const AT_FIRST: Duration = Duration::from_secs(3);
    const BETWEEN_READINGS: Duration = Duration::from_secs(2);
    let period = channel.heartbeat_period.filter(|p| !p.is_zero());
    let missed = period.map(|p| p.saturating_mul(2).saturating_add(BETWEEN_READINGS));
    let grown = later.max(AT_FIRST);
    missed.map_or(grown, |missed| grown.min(missed))
}

fn is_settling(at: &Instants, patience: Duration) -> bool {
    at.reconnected
        .is_some_and(|reconnected| at.read < reconnected.plus(patience))
}

/// What an error of a receiver says about its source. Numbers: MySQL's server and client error
/// references; MariaDB uses the same for these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The source answered, and refused the receiver.
    Denied,
    /// The source could not be reached, or the connection broke.
    Network,
    /// Not about connecting.
    Other,
}

impl ConnectError {
    pub(crate) fn of(number: u32) -> Self {
        match number {
            // Too many connections, access denied (also by plugin), host blocked or not allowed,
            // user limit, account locked, password expired, TLS required; client side:
            // authentication plugin, TLS.
            1040 | 1044 | 1045 | 1129 | 1130 | 1203 | 1226 | 1227 | 1698 | 1820 | 1862 | 3118
            | 3159 | 4151 | 2026 | 2049 | 2058 | 2059 | 2061 => Self::Denied,
            // Server shutting down; errors of the network layer; all other client errors.
            1053 | 1158..=1161 | 2000..=2999 => Self::Network,
            _ => Self::Other,
        }
    }
}

/// The receiver does not reach its source: it tries in vain, or has given up.
pub fn is_cut_off(channel: &Channel) -> bool {
    let error = channel.receiver_error.as_ref();
    let denied = error.is_some_and(|error| ConnectError::of(error.number) == ConnectError::Denied);
    match channel.receiver {
        ThreadState::Connecting => !denied,
        ThreadState::Stopped => gave_up_connecting(channel),
        ThreadState::Running | ThreadState::Unknown => false,
    }
}

/// The receiver has stopped because it could not reach its source: nobody stopped it, and nobody
/// starts it again.
pub fn gave_up_connecting(channel: &Channel) -> bool {
    let error = channel.receiver_error.as_ref();
    channel.receiver == ThreadState::Stopped
        && error.is_some_and(|error| ConnectError::of(error.number) == ConnectError::Network)
}

/// A receiver that shows as running and had received nothing for so long when its source was lost
/// would not notice the loss.
const STARVED_BEFORE: Duration = Duration::from_secs(2);

/// Whether the channel's receiver, which shows as running, had stood still before its source was
/// lost, while another replica of that source received more: it waits for its disk, or for a
/// connection that is gone, and says nothing about its source.
pub(crate) fn starved_before(
    snapshot: &Snapshot,
    replica: &Server,
    channel: &Channel,
    lost_at: Timestamp,
) -> bool {
    let since = replica.starving_since(&channel.name);
    if since.is_none_or(|since| lost_at.since(since) < STARVED_BEFORE) {
        return false;
    }
    let Some(own) = replica.last_facts().map(ServerFacts::possessed) else {
        return false;
    };
    let follows = |facts: &ServerFacts| {
        let mut channels = facts.channels.iter();
        channels.any(|other| other.source == channel.source)
    };
    snapshot.servers.values().any(|other| {
        let facts = other.last_facts().filter(|facts| follows(facts));
        other.id != replica.id
            && other.answers()
            && facts.is_some_and(|facts| own.missing_count(&facts.possessed()) > Some(0))
    })
}
