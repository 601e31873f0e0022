//! Where a cluster ends: members that are clusters of their own, and channels that bring another
//! cluster's transactions.
//!
//! A replica may read from several sources. Only the channels that lead to the primary, directly or
//! through others, make it a member. The other sources have clients and clusters of their own,
//! whatever the state of the channel is: nothing of theirs is touched.

use std::collections::BTreeSet;

use super::cluster::PastRecovery;
use super::server::ServerFacts;
use super::snapshot::Snapshot;
use super::topology::{Edge, Topology};
use super::{Flavor, RecoveryOutcome, ThreadState};
use crate::gtid::{GtidSet, Origin, Uuid};
use crate::ids::ServerId;

/// The name of a new channel on a server whose channels all lead outside, one of them the unnamed
/// one.
const NEW_CHANNEL: &str = "baton";

/// Which members and channels belong to the cluster of a primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    primary: Option<ServerId>,
    apart: BTreeSet<ServerId>,
}

impl Bounds {
    /// The bounds around the recorded primary.
    pub fn of(snapshot: &Snapshot, topology: &Topology) -> Self {
        Self::around(snapshot, topology, snapshot.cluster.primary.as_ref())
    }

    /// The bounds around `primary`.
    pub fn around(snapshot: &Snapshot, topology: &Topology, primary: Option<&ServerId>) -> Self {
        let Some(primary) = primary else {
            return Self::default();
        };
        let inside = topology.subtree(primary);
        let mut apart = BTreeSet::new();
        let mut queue: Vec<&ServerId> = inside
            .iter()
            .flat_map(|replica| other_sources(snapshot, topology, (primary, replica), &inside))
            .collect();
        while let Some(next) = queue.pop() {
            if inside.contains(next) || !apart.insert(next.clone()) {
                continue;
            }
            let above = topology.channels_of(next).iter();
            let below = topology.replicas_of(next).iter();
            queue.extend(above.filter_map(|edge| edge.source.as_ref()));
            queue.extend(below.map(|edge| &edge.replica));
        }
        apart.retain(|id| snapshot.replacement_of(id).is_none());
        Self {
            primary: Some(primary.clone()),
            apart,
        }
    }

    /// Whether a member is part of another cluster, which shares a replica with this one or feeds
    /// its primary.
    pub fn is_apart(&self, server: &ServerId) -> bool {
        self.apart.contains(server)
    }

    /// Whether a channel reads from another cluster, or from a server that is not known.
    pub fn leads_outside(&self, edge: &Edge) -> bool {
        let is_outside = |source: &ServerId| self.apart.contains(source);
        edge.source.as_ref().is_none_or(is_outside)
    }

    /// Channels of `server` that lead to members of the cluster.
    pub fn inner<'t>(
        &'t self,
        topology: &'t Topology,
        server: &ServerId,
    ) -> impl Iterator<Item = &'t Edge> {
        let channels = topology.channels_of(server).iter();
        channels.filter(|edge| !self.leads_outside(edge))
    }

    /// Channels of `server` that lead elsewhere.
    pub fn outer<'t>(
        &'t self,
        topology: &'t Topology,
        server: &ServerId,
    ) -> impl Iterator<Item = &'t Edge> {
        let channels = topology.channels_of(server).iter();
        channels.filter(|edge| self.leads_outside(edge))
    }

    /// The channel by which `server` follows the cluster, or is to follow it: never one that leads
    /// elsewhere.
    ///
    /// A server with a single channel whose source is not known may follow the cluster under a name
    /// that nobody knows.
    pub fn channel_for(&self, topology: &Topology, server: &ServerId) -> String {
        if let Some(edge) = self.inner(topology, server).next() {
            return edge.channel.name.clone();
        }
        match topology.channels_of(server) {
            [] => String::new(),
            [only] if only.source.is_none() && self.primary.as_ref() != Some(server) => {
                only.channel.name.clone()
            }
            several => {
                let has = |name: &str| several.iter().any(|edge| edge.channel.name == name);
                let name = if has("") { NEW_CHANNEL } else { "" };
                name.to_owned()
            }
        }
    }

    /// What of `set`, which `server` has, is of this cluster. What channels from outside brought is
    /// nobody's loss here, and no other member is to fetch it.
    pub fn own(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        server: &ServerId,
        set: GtidSet,
    ) -> GtidSet {
        let reference = self.primary.as_ref().and_then(|id| snapshot.facts(id));
        let is_shared = self.outer(topology, server).next().is_some();
        match reference {
            Some(reference) if is_shared && self.primary.as_ref() != Some(server) => {
                let members = snapshot.servers.values();
                let own = members.filter(|member| !self.is_apart(&member.id));
                let origins: BTreeSet<Origin> = own
                    .filter_map(|member| member.last_facts()?.origin())
                    .collect();
                set.of_origins(&reference.executed, &origins)
            }
            Some(_) | None => set,
        }
    }

    /// Members of the cluster that answer and have transactions of it that `server` lacks, and how
    /// many. Those that are set aside or were replaced do not count: what they have beyond the
    /// others was given up, and is listed when they are taken back. Nor does what a replica wrote
    /// itself and was known to be errant before.
    pub fn ahead_of(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        server: &ServerId,
    ) -> Vec<(ServerId, u64)> {
        let Some(own) = snapshot.facts(server).map(ServerFacts::possessed) else {
            return Vec::new();
        };
        let others = snapshot.servers.values().filter(|other| {
            other.id != *server
                && other.answers()
                && !other.quarantined
                && snapshot.replacement_of(&other.id).is_none()
                && !self.is_apart(&other.id)
        });
        let mut ahead = Vec::new();
        for other in others {
            let Some(facts) = other.last_facts() else {
                continue;
            };
            let possessed = match &other.errant {
                Some(errant) => {
                    let members = snapshot.servers.values().filter(|m| m.id != other.id);
                    let of_others: Vec<_> = members
                        .filter_map(|member| member.last_facts()?.origin())
                        .collect();
                    let none = errant.empty_like();
                    let written =
                        errant.known_or_from(&none, |origin| !of_others.contains(&origin));
                    facts.possessed().subtract(&written)
                }
                None => facts.possessed(),
            };
            let theirs = self.own(snapshot, topology, &other.id, possessed);
            // Histories that cannot be compared are no smaller ones.
            let more = own.missing_count(&theirs).unwrap_or(u64::MAX);
            if more > 0 {
                ahead.push((other.id.clone(), more));
            }
        }
        ahead
    }
}

/// Sources of a member of the cluster that are no members of it.
fn other_sources<'t>(
    snapshot: &'t Snapshot,
    topology: &'t Topology,
    (primary, replica): (&'t ServerId, &'t ServerId),
    inside: &'t BTreeSet<ServerId>,
) -> impl Iterator<Item = &'t ServerId> {
    let leading = snapshot.facts(primary);
    let sources = topology.channels_of(replica).iter();
    let others = sources.filter_map(|edge| edge.source.as_ref());
    others.filter(move |source| {
        // What feeds the primary and has its history is no source from elsewhere, but a member that
        // somebody promotes. What was never read may have it.
        let has_ours = || {
            let both = snapshot.facts(source).zip(leading);
            both.is_none_or(|(facts, leading)| {
                let none = BTreeSet::new();
                let shared = leading.executed.of_origins(&facts.executed, &none);
                leading.has_written_in(&facts.executed) || shared == leading.executed
            })
        };
        !inside.contains(*source) && (replica != primary || !has_ours())
    })
}

impl ServerFacts {
    /// Under which name the server's own transactions go; `None` if its UUID cannot be read.
    pub fn origin(&self) -> Option<Origin> {
        match self.flavor {
            Flavor::Mariadb => Some(Origin::ServerId(self.server_id)),
            Flavor::Mysql | Flavor::Percona | Flavor::Other => {
                self.uid.parse::<Uuid>().ok().map(Origin::Uuid)
            }
        }
    }

    /// Whether `history` has transactions that the server committed first.
    pub fn has_written_in(&self, history: &GtidSet) -> bool {
        self.origin().is_some_and(|own| history.has_origin(own))
    }
}

impl Edge {
    /// Whether the channel is in use: it runs, wants to, or broke. One that a person stopped brings
    /// nothing.
    pub fn is_in_use(&self) -> bool {
        let stopped = |state| state == ThreadState::Stopped;
        let channel = &self.channel;
        let at_rest = stopped(channel.receiver) && channel.receiver_error.is_none();
        !(at_rest && stopped(channel.applier) && channel.applier_error.is_none())
    }
}

impl Snapshot {
    /// The recovery that replaced `server`, if it is the last word about it and its chain of
    /// successors ends at the recorded primary.
    ///
    /// A switchover is none: it fenced the old primary itself and saw it follow, so whoever made it
    /// writable did that afterwards. The same holds after it was taken back. A primary that
    /// somebody else promoted breaks the chain.
    pub fn replacement_of(&self, server: &ServerId) -> Option<&PastRecovery> {
        let primary = self.cluster.primary.as_ref()?;
        let done = || {
            let past = self.control.past.iter();
            past.filter(|past| past.promoted || past.outcome == RecoveryOutcome::Succeeded)
        };
        let last = done().find(|past| past.promoted)?;
        if last.successor.as_ref() != Some(primary) {
            return None;
        }
        let names = |past: &&PastRecovery| {
            past.subject == *server
                || past.kind.replaces_primary() && past.successor.as_ref() == Some(server)
        };
        let about = done().find(names)?;
        let successor = about.successor.as_ref()?;
        let is_it = about.subject == *server && successor != server;
        (about.replaced_a_lost_one() && is_it).then_some(about)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Topology};
    use crate::ids::ServerId;
    use crate::sketch;

    fn apart(text: &str) -> Vec<String> {
        let snapshot = sketch::snapshot(text);
        let bounds = Bounds::of(&snapshot, &Topology::of(&snapshot));
        bounds.apart.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_other_source_of_a_shared_replica_is_apart() {
        for state in [
            "",
            "io=stopped",
            "io=stopped sql=stopped",
            "io=connecting",
            "io=stopped:1236",
        ] {
            let text = format!(
                "p1 primary
                 p2 rw
                 m1 <- p1@one <- p2@two {state}
                 r1 <- p1
                 r2 <- p2"
            );
            assert_eq!(apart(&text), ["p2", "r2"], "{state}");
        }
        let after = "p0 silent\np2 rw foreign=9\nm1 primary <- p2@two\nr1 <- m1";
        assert_eq!(apart(after), ["p2"]);
    }

    #[test]
    fn pairs_chains_and_replaced_primaries_are_inside() {
        for text in [
            "p1 primary <- p2\np2 ro <- p1\nr1 <- p1@a <- p2@b",
            "p1 primary\ni1 <- p1\nr1 <- i1@a <- p1@b",
            "cluster past=failover:succeeded:p0:p1:1m\np0 rw\np1 primary <- p0 io=stopped\nr1 <- p1@a <- p0@b",
            "p1 primary <- r1\nr1 rw wrote=1",
        ] {
            assert!(apart(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_channel_that_follows_the_cluster() {
        for (channels, expected) in [
            ("", ""),
            ("<- p2@aaa <- p1@zzz", "zzz"),
            ("<- ext@aaa <- p1@zzz", "zzz"),
            ("<- ext@aaa", "aaa"),
            ("<- ext <- other@b", "baton"),
            ("<- ext@a <- other@b", ""),
        ] {
            let text = format!("p1 primary\np2 rw\nm1 {channels}\nr1 <- p1");
            let snapshot = sketch::snapshot(&text);
            let topology = Topology::of(&snapshot);
            let bounds = Bounds::of(&snapshot, &topology);
            let found = bounds.channel_for(&topology, &ServerId::new("m1"));
            assert_eq!(found, expected, "{channels}");
        }
    }

    #[test]
    fn what_came_from_outside_is_not_of_the_cluster() {
        let snapshot = sketch::snapshot(
            "p1 primary
             p2 rw foreign=2
             m1 errant=0 <- p1@one <- p2@two brings=2
             r1 <- p1",
        );
        let topology = Topology::of(&snapshot);
        let bounds = Bounds::of(&snapshot, &topology);
        let all = |name: &str| snapshot.facts(&ServerId::new(name)).unwrap().possessed();
        let of = |name: &str| bounds.own(&snapshot, &topology, &ServerId::new(name), all(name));
        assert_eq!(of("m1"), of("r1"));
        assert_ne!(of("m1"), all("m1"));
        let r1 = ServerId::new("r1");
        assert_eq!(bounds.ahead_of(&snapshot, &topology, &r1), []);
    }
}
