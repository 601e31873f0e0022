//! Who replicates from whom, derived from a snapshot. The edge is a channel, not a pair of servers.

use std::collections::{BTreeMap, BTreeSet};

use super::channel::Channel;
use super::snapshot::Snapshot;
use crate::ids::ServerId;

/// One channel between two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The replica.
    pub replica: ServerId,
    /// Its channel.
    pub channel: Channel,
    /// The source, if it is a member; `None` if the channel points outside.
    pub source: Option<ServerId>,
}

/// Edges of a cluster in both directions, from the last readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Channels of each replica, in channel-name order.
    pub sources: BTreeMap<ServerId, Vec<Edge>>,
    /// Direct replicas of each source, in identity order.
    pub replicas: BTreeMap<ServerId, Vec<Edge>>,
}

impl Topology {
    /// Derives the edges from the last reading of each server.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut topology = Self::default();
        for server in snapshot.servers.values() {
            let Some(facts) = server.last_facts() else {
                continue;
            };
            for channel in &facts.channels {
                let source = channel
                    .source
                    .as_ref()
                    .and_then(|a| snapshot.addresses.get(a))
                    .cloned();
                let edge = Edge {
                    replica: server.id.clone(),
                    channel: channel.clone(),
                    source,
                };
                if let Some(source) = &edge.source {
                    topology
                        .replicas
                        .entry(source.clone())
                        .or_default()
                        .push(edge.clone());
                }
                topology
                    .sources
                    .entry(server.id.clone())
                    .or_default()
                    .push(edge);
            }
        }
        topology
    }

    /// Direct replicas of `source`; empty if there are none.
    pub fn replicas_of(&self, source: &ServerId) -> &[Edge] {
        self.replicas.get(source).map_or(&[], Vec::as_slice)
    }

    /// Channels of `replica`; empty if there are none.
    pub fn channels_of(&self, replica: &ServerId) -> &[Edge] {
        self.sources.get(replica).map_or(&[], Vec::as_slice)
    }

    /// The member from which `replica` reads on its first channel that has one.
    pub fn source_of(&self, replica: &ServerId) -> Option<&ServerId> {
        self.channels_of(replica)
            .iter()
            .find_map(|edge| edge.source.as_ref())
    }

    /// True if each of the two replicates from the other.
    pub fn are_co_primaries(&self, a: &ServerId, b: &ServerId) -> bool {
        let reads = |replica: &ServerId, source: &ServerId| {
            self.channels_of(replica)
                .iter()
                .any(|edge| edge.source.as_ref() == Some(source))
        };
        a != b && reads(a, b) && reads(b, a)
    }

    /// The co-primary of `server`, if it is part of such a pair.
    pub fn co_primary_of(&self, server: &ServerId) -> Option<&ServerId> {
        self.channels_of(server)
            .iter()
            .filter_map(|edge| edge.source.as_ref())
            .find(|source| self.are_co_primaries(server, source))
    }

    /// `server` and everything below it, following replicas; safe with loops.
    pub fn subtree(&self, server: &ServerId) -> BTreeSet<ServerId> {
        let mut seen = BTreeSet::from([server.clone()]);
        let mut queue = vec![server.clone()];
        while let Some(next) = queue.pop() {
            for edge in self.replicas_of(&next) {
                if seen.insert(edge.replica.clone()) {
                    queue.push(edge.replica.clone());
                }
            }
        }
        seen
    }
}
