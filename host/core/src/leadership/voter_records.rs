//! Which members are recorded as voters, and when a change of them is complete.

use std::collections::{BTreeMap, BTreeSet};

use super::quorum::Voters;
use crate::ids::{ClusterId, ServerId};

/// The recorded voters of all clusters.
pub type VoterRecords = BTreeMap<ClusterId, Voters>;

/// Of two records of one cluster the later version counts, wherever it is known from.
pub fn adopt(known: &mut VoterRecords, recorded: &VoterRecords) {
    for (cluster, voters) in recorded {
        let known = known.entry(cluster.clone()).or_default();
        if known.version < voters.version {
            known.clone_from(voters);
        }
    }
}

/// The records that the leader writes next, in this order. Each gets a version above all known
/// ones.
///
/// - `known`: what this node knows, with `recorded` adopted.
/// - `recorded`: what the store has.
/// - `members`: members of each cluster as this node observes them.
/// - `read_by_all`: the version that every registered node has read; `None` if none is registered.
pub fn next_records(
    known: &VoterRecords,
    recorded: &VoterRecords,
    members: &BTreeMap<ClusterId, BTreeSet<ServerId>>,
    read_by_all: Option<u64>,
) -> Vec<(ClusterId, Voters)> {
    let versions = known.values().map(|voters| voters.version);
    let mut version = versions.max().unwrap_or(0);
    let mut next = Vec::new();
    for (cluster, members) in members {
        let was = known.get(cluster).cloned().unwrap_or_default();
        // An asynchronous pair may have lost what this node read, and so may a restored backup.
        let is_forgotten = was.version > 0 && recorded.get(cluster) != Some(&was);
        let above = version.saturating_add(1);
        let record = if is_forgotten {
            Some(was)
        } else {
            let settled = read_by_all.and_then(|read| was.settled(read));
            settled.or_else(|| was.change_to(members, above))
        };
        if let Some(record) = record {
            version = above;
            let record = Voters {
                version: above,
                ..record
            };
            next.push((cluster.clone(), record));
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(servers: &[&str]) -> BTreeSet<ServerId> {
        servers.iter().map(|id| ServerId::new(*id)).collect()
    }

    fn voters(version: u64, current: &[&str], previous: Option<&[&str]>) -> Voters {
        Voters {
            version,
            current: members(current),
            previous: previous.map(members),
        }
    }

    fn records(rows: &[(&str, &Voters)]) -> VoterRecords {
        let rows = rows.iter();
        rows.map(|(id, voters)| (ClusterId::new(*id), (*voters).clone()))
            .collect()
    }

    /// The next records of two clusters `a` and `b`, whose members are `m1` and `m1, m2`.
    fn next(known: &VoterRecords, recorded: &VoterRecords, read: Option<u64>) -> VoterRecords {
        let observed = BTreeMap::from([
            (ClusterId::new("a"), members(&["m1"])),
            (ClusterId::new("b"), members(&["m1", "m2"])),
        ]);
        next_records(known, recorded, &observed, read)
            .into_iter()
            .collect()
    }

    #[test]
    fn every_record_gets_its_own_version() {
        let none = VoterRecords::new();
        let (a, b) = (voters(1, &["m1"], None), voters(2, &["m1", "m2"], None));
        let both = records(&[("a", &a), ("b", &b)]);
        assert_eq!(next(&none, &none, None), both);
        assert_eq!(next(&both, &both, Some(2)), none, "nothing more to record");
    }

    #[test]
    fn a_change_is_complete_when_every_node_has_read_it() {
        let a = voters(4, &["m1"], Some(&["m0"]));
        let b = voters(3, &["m1", "m2"], None);
        let known = records(&[("a", &a), ("b", &b)]);
        let none = VoterRecords::new();
        assert_eq!(next(&known, &known, None), none);
        assert_eq!(next(&known, &known, Some(3)), none);
        let settled = voters(5, &["m1"], None);
        assert_eq!(next(&known, &known, Some(4)), records(&[("a", &settled)]));
    }

    #[test]
    fn what_the_store_has_forgotten_is_recorded_again() {
        let a = voters(4, &["m1"], Some(&["m0"]));
        let b = voters(3, &["m1", "m2"], None);
        let known = records(&[("a", &a), ("b", &b)]);
        let older = voters(2, &["m0"], None);
        let recorded = records(&[("a", &older), ("b", &b)]);
        let again = voters(5, &["m1"], Some(&["m0"]));
        assert_eq!(next(&known, &recorded, Some(9)), records(&[("a", &again)]));
    }

    #[test]
    fn the_later_version_is_adopted() {
        let (old, new) = (voters(2, &["m0"], None), voters(4, &["m1"], None));
        let mut known = records(&[("a", &new), ("b", &old)]);
        adopt(&mut known, &records(&[("a", &old), ("b", &new)]));
        assert_eq!(known, records(&[("a", &new), ("b", &new)]));
    }
}
