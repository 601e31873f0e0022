//! Which transactions are the cluster's own: those that came from its primary.
//!
//! A transaction that the primary never had is not missing anywhere. It is a replica's own
//! (errant), or came through another channel of that replica from another cluster. A successor need
//! not have it, and must not fetch it.

use std::collections::BTreeSet;

use crate::gtid::{GtidSet, Origin};
use crate::ids::ServerId;
use crate::model::{Bounds, Flavor, Server, ServerFacts, Snapshot, Topology};
use crate::time::Timestamp;

/// What the replaced primary is known to have had, and who can have written what came after the
/// last reading of it.
#[derive(Clone, Debug)]
pub struct History {
    /// `None` if the primary was never read: then nothing can be told apart.
    known: Option<GtidSet>,
    /// Those whose transactions came through the primary.
    writers: BTreeSet<Origin>,
    /// Members that only replicate: what they wrote themselves is errant.
    replicas: BTreeSet<Origin>,
    /// The primary itself replicates from outside: transactions of unknown servers are its own,
    /// too.
    is_fed: bool,
}

impl History {
    /// The history that `replaced`, servers that are replaced together, made.
    pub fn of(snapshot: &Snapshot, topology: &Topology, replaced: &BTreeSet<ServerId>) -> Self {
        let read = |id: &ServerId| snapshot.facts(id);
        let known = replaced.iter().filter_map(read).map(ServerFacts::possessed);
        let known = known.reduce(|all, one| all.union(&one));
        let partners = replaced
            .iter()
            .filter_map(|id| topology.co_primary_of(id).cloned());
        let writing: BTreeSet<ServerId> = replaced.iter().cloned().chain(partners).collect();
        let others = snapshot.servers.keys().filter(|id| !writing.contains(*id));
        let bounds = Bounds::of(snapshot, topology);
        // Not so one that was opened a moment ago, and was read last while it followed the primary
        // before it.
        let is_fed = replaced
            .iter()
            .any(|id| bounds.outer(topology, id).next().is_some());
        Self {
            known,
            writers: origins(snapshot, writing.iter()),
            replicas: origins(snapshot, others),
            is_fed,
        }
    }

    /// What of a server's transactions the cluster's primary had, or can have had.
    pub fn part(&self, server: &Server, facts: &ServerFacts) -> GtidSet {
        let possessed = facts.possessed();
        let Some(known) = &self.known else {
            return match &server.errant {
                Some(errant) => possessed.subtract(errant),
                None => possessed,
            };
        };
        possessed.known_or_from(known, |origin| {
            self.writers.contains(&origin) || self.is_fed && !self.replicas.contains(&origin)
        })
    }

    /// What a server wrote itself and its primary never had; empty if nothing is known to be
    /// errant.
    pub fn errant(&self, server: &Server, facts: &ServerFacts) -> GtidSet {
        let own = facts.origin();
        let beyond = facts.possessed().subtract(&self.part(server, facts));
        let none = beyond.empty_like();
        let by_itself = beyond.known_or_from(&none, |origin| Some(origin) == own);
        match &server.errant {
            Some(known) => by_itself.union(known),
            None => by_itself,
        }
    }
}

/// The most that was seen of a cluster's history, and when it last grew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highest {
    /// What some replica had, or the primary had acknowledged.
    pub set: GtidSet,
    /// When it last grew.
    pub raised_at: Timestamp,
}

/// The most that was seen, with what `snapshot` shows. It begins anew from what is there if the
/// primary serves and, read after the set last grew, lacks some of it: that was given up, or a
/// person began the history anew.
pub fn raise_highest(snapshot: &Snapshot, known: Option<&Highest>) -> Option<Highest> {
    let seen = seen(snapshot);
    let known = known.filter(|known| !began_anew(snapshot, known, seen.as_ref()));
    let raised = |set| Highest {
        set,
        raised_at: snapshot.taken_at,
    };
    match (known, seen) {
        (Some(known), Some(seen)) if known.set.contains(&seen) => Some(known.clone()),
        (Some(known), Some(seen)) => Some(raised(known.set.union(&seen))),
        (Some(known), None) => Some(known.clone()),
        (None, seen) => seen.map(raised),
    }
}

fn began_anew(snapshot: &Snapshot, known: &Highest, seen: Option<&GtidSet>) -> bool {
    let Some(primary) = snapshot.primary() else {
        return false;
    };
    let serves = primary.answers();
    let facts = primary
        .facts_after(known.raised_at)
        .filter(|facts| serves && facts.is_writable());
    facts.is_some_and(|facts| {
        let has = facts.possessed();
        let all = seen.map_or_else(|| has.clone(), |seen| has.union(seen));
        !all.contains(&known.set)
    })
}

/// What replicas have of the primary's history, and what the primary has committed if every commit
/// of it was acknowledged.
fn seen(snapshot: &Snapshot) -> Option<GtidSet> {
    let primary = snapshot.primary()?;
    let topology = Topology::of(snapshot);
    let history = History::of(snapshot, &topology, &BTreeSet::from([primary.id.clone()]));
    let below = topology.subtree(&primary.id);
    let replicas = below.iter().filter(|id| **id != primary.id);
    let parts = replicas.filter_map(|id| {
        let server = snapshot.servers.get(id)?;
        Some(history.part(server, server.last_facts()?))
    });
    let own = primary
        .last_facts()
        .filter(|facts| is_all_acknowledged(facts));
    let own = own.map(|facts| facts.executed.clone());
    parts.chain(own).reduce(|all, one| all.union(&one))
}

/// Nobody waits, and whoever committed had waited. The sessions that wait are read after the
/// executed set, so who is in the set and not among them was acknowledged. Not so on MariaDB: its
/// state of the binary log has a transaction before it is written, which may wait for the disk, or
/// for space on it, for ever.
fn is_all_acknowledged(facts: &ServerFacts) -> bool {
    let semi_sync = facts.semi_sync.as_ref();
    facts.flavor != Flavor::Mariadb
        && semi_sync.is_some_and(|semi| {
            semi.source_enabled
                && semi.source_active
                && semi.wait_for > 0
                && semi.waiting_sessions == 0
        })
}

fn origins<'a>(snapshot: &Snapshot, ids: impl Iterator<Item = &'a ServerId>) -> BTreeSet<Origin> {
    ids.filter_map(|id| snapshot.facts(id)?.origin()).collect()
}

#[cfg(test)]
mod tests {
    use super::{History, raise_highest};
    use crate::ids::ServerId;
    use crate::model::{Snapshot, Topology};
    use crate::planning::inherited::replaced_with;
    use crate::sketch;

    fn history(snapshot: &Snapshot) -> History {
        let subject = snapshot.cluster.primary.clone().expect("a primary");
        let topology = Topology::of(snapshot);
        History::of(snapshot, &topology, &replaced_with(snapshot, &subject))
    }

    /// How many of its transactions are the cluster's, and how many are errant.
    fn counts(text: &str, id: &str) -> (u64, u64) {
        let snapshot = sketch::snapshot(text);
        let history = history(&snapshot);
        let server = snapshot
            .servers
            .get(&ServerId::new(id))
            .expect("it is drawn");
        let facts = server.last_facts().expect("it was read");
        let part = history.part(server, facts);
        let errant = history.errant(server, facts);
        let count = |set: &crate::gtid::GtidSet| set.empty_like().missing_count(set);
        (
            count(&part).expect("one flavour"),
            count(&errant).expect("one flavour"),
        )
    }

    #[test]
    fn what_the_primary_wrote_after_its_last_reading_is_the_clusters_own() {
        for flavor in ["", "mariadb"] {
            let text = format!("p1 primary silent {flavor}\nr1 {flavor} ahead=5 <- p1");
            assert_eq!(counts(&text, "r1"), (1005, 0), "{flavor}");
        }
    }

    /// A commit that waits for space in MariaDB's binary log was taken for acknowledged, and the
    /// failover was held for it.
    #[test]
    fn what_mariadb_is_about_to_write_was_not_acknowledged() {
        for (flavor, expected) in [("", 1001), ("mariadb", 1000)] {
            let text =
                format!("p1 primary ss=source ahead=1 {flavor}\nr1 {flavor} ss=replica <- p1");
            let highest = raise_highest(&sketch::snapshot(&text), None).expect("a history");
            let count = highest.set.empty_like().missing_count(&highest.set);
            assert_eq!(count, Some(expected), "{flavor}");
        }
    }

    /// A successor that died right after it was opened was not opened again: the rows of another
    /// cluster, which a replica of it reads, were wanted.
    #[test]
    fn what_came_from_another_cluster_is_not() {
        let text = "p0 silent
            p1 primary silent <- p0
            x1 rw foreign=9
            r1 <- p1@one <- x1@two brings=9";
        assert_eq!(counts(text, "r1"), (1000, 0));
        let fed = "x1 rw foreign=9\np1 primary silent <- x1 brings=9\nr1 foreign=9 <- p1";
        assert_eq!(counts(fed, "r1").1, 0);
    }

    #[test]
    fn what_a_replica_wrote_itself_is_not() {
        for flavor in ["", "mariadb"] {
            let text = format!("p1 primary silent {flavor}\nr1 {flavor} errant=3 <- p1");
            let (part, errant) = counts(&text, "r1");
            assert_eq!(part, 1000, "{flavor}");
            assert!(errant > 0, "{flavor}");
        }
    }
}
