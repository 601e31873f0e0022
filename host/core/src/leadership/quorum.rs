//! The quorum of a cluster: a majority of its recorded members' locks, with the lease worth half a
//! vote.
//!
//! A node that has it has the right to act on the cluster. Two nodes never have it at the same
//! time, whatever the store says: more than half of all weight is needed, the advisory lock of each
//! member has one holder, and so has the lease. While the recorded set of members changes, a
//! majority of the old set and of the new one is needed. So a node that knows only the old set
//! cannot have the quorum beside a node that knows the change.

mod checks;
mod missing;
mod poll;

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::ServerId;

pub use checks::QuorumChecks;
pub use missing::missing_quorum;
pub use poll::{Poll, PollResult, lock_counts_in};

/// Weights count in halves: a lock is two, the lease one.
const LOCK: usize = 2;
const LEASE: usize = 1;

/// The members whose locks are votes, as recorded. They are recorded, not observed: nodes that
/// observe different members would count different majorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voters {
    /// Grows with each change, over all clusters.
    pub version: u64,
    /// The members.
    pub current: BTreeSet<ServerId>,
    /// The last set, as long as some node may not know the present one.
    pub previous: Option<BTreeSet<ServerId>>,
}

/// The votes that a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// Members whose lock it holds, for long enough that no step of an earlier holder is on its
    /// way.
    pub locks: BTreeSet<ServerId>,
    /// It holds the lease, for long enough, and the lease outlives what is about to be done.
    pub lease: bool,
}

/// The result of a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Locks held: while the members change, in the set that lacks the majority.
    pub locks: usize,
    /// Members of that set.
    pub members: usize,
    /// The lease counts.
    pub lease: bool,
    /// More than half.
    pub granted: bool,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} locks {} the lease: {}",
            self.locks,
            self.members,
            if self.lease { "and" } else { "without" },
            if self.granted {
                "a majority"
            } else {
                "no majority"
            }
        )
    }
}

impl Voters {
    /// Counts the votes. Without recorded members nobody has the quorum.
    pub fn count(&self, votes: &Votes) -> Tally {
        let now = count_in(&self.current, votes);
        match &self.previous {
            Some(previous) => {
                let before = count_in(previous, votes);
                if before.granted { now } else { before }
            }
            None => now,
        }
    }

    /// The members of both sets.
    pub fn everybody(&self) -> BTreeSet<ServerId> {
        let mut all = self.current.clone();
        all.extend(self.previous.iter().flatten().cloned());
        all
    }

    /// The change to `members`. `None` if there is nothing to change, or if some node may not know
    /// the last change yet. `version` must be greater than all versions before, of all clusters.
    pub fn change_to(&self, members: &BTreeSet<ServerId>, version: u64) -> Option<Self> {
        if self.previous.is_some() || self.current == *members || members.is_empty() {
            return None;
        }
        Some(Self {
            version,
            current: members.clone(),
            previous: (!self.current.is_empty()).then(|| self.current.clone()),
        })
    }

    /// The end of a change, once every registered node has read version `read_by_all`.
    pub fn settled(&self, read_by_all: u64) -> Option<Self> {
        (self.previous.is_some() && read_by_all >= self.version).then(|| Self {
            previous: None,
            ..self.clone()
        })
    }
}

fn count_in(set: &BTreeSet<ServerId>, votes: &Votes) -> Tally {
    let locks = set.intersection(&votes.locks).count();
    let weight = locks * LOCK + if votes.lease { LEASE } else { 0 };
    let whole = set.len() * LOCK + LEASE;
    Tally {
        locks,
        members: set.len(),
        lease: votes.lease,
        granted: !set.is_empty() && weight * 2 > whole,
    }
}

#[cfg(test)]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::{Voters, Votes};
    use crate::ids::ServerId;
    use std::collections::BTreeSet;

    fn set(ids: &[u32]) -> BTreeSet<ServerId> {
        ids.iter().map(|id| ServerId::new(id.to_string())).collect()
    }

    fn voters(current: &[u32], previous: Option<&[u32]>) -> Voters {
        Voters {
            version: 1,
            current: set(current),
            previous: previous.map(set),
        }
    }

    #[test]
    fn enough_with_and_without_the_lease() {
        // Members, enough without the lease, enough with it.
        for (members, without, with) in [
            (1, 1, 1),
            (2, 2, 1),
            (3, 2, 2),
            (4, 3, 2),
            (5, 3, 3),
            (6, 4, 3),
        ] {
            let all: Vec<u32> = (0..members).collect();
            let voters = voters(&all, None);
            for held in 0..=members {
                let locks: Vec<u32> = (0..held).collect();
                for (lease, enough) in [(false, without), (true, with)] {
                    let votes = Votes {
                        locks: set(&locks),
                        lease,
                    };
                    let tally = voters.count(&votes);
                    assert_eq!(tally.granted, held >= enough, "{members} members: {tally}");
                }
            }
        }
    }

    #[test]
    fn without_recorded_members_nobody_has_the_quorum() {
        let votes = Votes {
            locks: set(&[1, 2, 3]),
            lease: true,
        };
        assert!(!Voters::default().count(&votes).granted);
    }

    /// All ways in which two nodes can share the locks and the lease of up to five servers, where
    /// one node knows the old set and the other one the change: never do both have the quorum.
    #[test]
    fn two_nodes_never_both_have_the_quorum() {
        let old_sets: [&[u32]; 4] = [&[0, 1], &[0, 1, 2], &[0, 1, 2, 3], &[2, 3, 4]];
        let new_sets: [&[u32]; 5] = [&[0], &[0, 1, 2], &[0, 1, 2, 3, 4], &[1, 2, 3], &[3, 4]];
        let mut both_possible_without_joint = 0;
        for old in old_sets {
            for new in new_sets {
                for owners in 0..3_u32.pow(6) {
                    // Digit n: who holds the lock of server n (the last digit: the lease). 0 is
                    // nobody.
                    let owner = |n: u32| owners / 3_u32.pow(n) % 3;
                    let votes = |node: u32| Votes {
                        locks: set(&(0..5).filter(|n| owner(*n) == node).collect::<Vec<_>>()),
                        lease: owner(5) == node,
                    };
                    let stale = voters(old, None).count(&votes(1)).granted;
                    let joint = voters(new, Some(old)).count(&votes(2)).granted;
                    let settled = voters(new, None).count(&votes(2)).granted;
                    let joint_too = voters(new, Some(old)).count(&votes(1)).granted;
                    assert!(!(stale && joint), "{old:?} -> {new:?}: {owners}");
                    assert!(!(joint_too && settled), "{old:?} -> {new:?}: {owners}");
                    both_possible_without_joint += u32::from(stale && settled);
                }
            }
        }
        assert!(
            both_possible_without_joint > 0,
            "the joint phase would not be needed"
        );
    }

    #[test]
    fn a_change_waits_for_the_last_one_to_be_known() {
        let first = Voters::default().change_to(&set(&[1, 2, 3]), 1).unwrap();
        assert_eq!(
            first.previous, None,
            "without members nobody could act before"
        );
        let second = first.change_to(&set(&[1, 2, 3, 4]), 2).unwrap();
        assert_eq!(second.previous, Some(set(&[1, 2, 3])));
        assert_eq!(second.change_to(&set(&[1]), 3), None);
        assert_eq!(second.settled(1), None);
        let settled = second.settled(2).unwrap();
        assert_eq!(settled.previous, None);
        assert_eq!(settled.change_to(&set(&[1, 2, 3, 4]), 3), None);
        assert_eq!(settled.change_to(&set(&[]), 3), None);
    }
}
