//! One count of a cluster's votes, while the members answer.

use std::time::Duration;

use super::{Tally, Voters, Votes};
use crate::ids::ServerId;
use crate::time::Timestamp;

/// When a lock that was gained at `gained` begins to count; `None` if it counts. A step that an
/// earlier holder verified may be on its way for `wait`.
pub fn lock_counts_in(gained: Timestamp, now: Timestamp, wait: Duration) -> Option<Duration> {
    let age = now.since(gained);
    (age < wait).then(|| wait.saturating_sub(age))
}

/// One count. Begin with the lease, add each member's answer, and stop when there is a quorum.
#[derive(Clone, Debug)]
pub struct Poll<'v> {
    voters: &'v Voters,
    votes: Votes,
    /// When the first of the locks that are held, but do not count yet, begins to count.
    counts_in: Option<Duration>,
    /// Why locks are not held.
    objections: Vec<String>,
}

/// What follows from a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollResult {
    /// A quorum.
    Quorum(Tally),
    /// A lock begins to count after this time: count again then.
    CountAgainIn(Duration),
    /// No quorum in time, and what stands against it.
    Missing(String),
}

impl<'v> Poll<'v> {
    /// Begins a count. `lease`: the lease counts as half a vote.
    pub fn new(voters: &'v Voters, lease: bool) -> Self {
        Self {
            voters,
            votes: Votes {
                lease,
                ..Votes::default()
            },
            counts_in: None,
            objections: Vec::new(),
        }
    }

    /// The lock of a member is held, and counts, or begins to count after `counts_in`.
    pub fn held(&mut self, server: ServerId, counts_in: Option<Duration>) {
        match counts_in {
            None => {
                self.votes.locks.insert(server);
            }
            Some(wait) => {
                self.counts_in = Some(self.counts_in.map_or(wait, |known| known.min(wait)));
            }
        }
    }

    /// The lock of a member is not held.
    pub fn not_held(&mut self, why: String) {
        self.objections.push(why);
    }

    /// True if the answers so far are enough.
    pub fn has_quorum(&self) -> bool {
        self.voters.count(&self.votes).granted
    }

    /// The result at `now`, if a quorum is wanted before `deadline`.
    pub fn result(self, now: Timestamp, deadline: Timestamp) -> PollResult {
        let tally = self.voters.count(&self.votes);
        if tally.granted {
            return PollResult::Quorum(tally);
        }
        match self.counts_in {
            Some(wait) if now.plus(wait) < deadline => PollResult::CountAgainIn(wait),
            Some(_) | None => {
                let mut texts = vec![format!("no right to act on this cluster: {tally}")];
                texts.extend(self.objections);
                PollResult::Missing(texts.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(number: u32) -> ServerId {
        ServerId::new(number.to_string())
    }

    fn three() -> Voters {
        let members: BTreeSet<ServerId> = (1..=3).map(id).collect();
        Voters::default().change_to(&members, 1).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_millis(10_000);
    const DEADLINE: Timestamp = Timestamp::from_millis(11_000);

    #[test]
    fn two_of_three_are_a_quorum() {
        let voters = three();
        let mut poll = Poll::new(&voters, false);
        poll.held(id(1), None);
        assert!(!poll.has_quorum());
        poll.held(id(2), None);
        assert!(poll.has_quorum());
        assert!(matches!(poll.result(NOW, DEADLINE), PollResult::Quorum(_)));
    }

    #[test]
    fn a_count_is_repeated_when_the_first_new_lock_counts() {
        let voters = three();
        let mut poll = Poll::new(&voters, true);
        poll.held(id(1), Some(Duration::from_millis(900)));
        poll.held(id(2), Some(Duration::from_millis(300)));
        let again = PollResult::CountAgainIn(Duration::from_millis(300));
        assert_eq!(poll.clone().result(NOW, DEADLINE), again);
        let late = poll.result(Timestamp::from_millis(10_700), DEADLINE);
        assert!(matches!(late, PollResult::Missing(_)));
    }

    #[test]
    fn a_missing_quorum_says_why() {
        let voters = three();
        let mut poll = Poll::new(&voters, true);
        poll.held(id(1), None);
        poll.not_held("2 is locked by n2".to_owned());
        let PollResult::Missing(text) = poll.result(NOW, DEADLINE) else {
            panic!("a quorum of one lock and the lease");
        };
        insta::assert_snapshot!(text, @"no right to act on this cluster: 1 of 3 locks and the lease: no majority; 2 is locked by n2");
    }

    #[test]
    fn a_lock_counts_after_the_wait() {
        let wait = Duration::from_millis(1_050);
        let gained = Timestamp::from_millis(9_000);
        let left = lock_counts_in(gained, NOW, wait);
        assert_eq!(left, Some(Duration::from_millis(50)));
        assert_eq!(lock_counts_in(gained, NOW.plus(wait), wait), None);
    }
}
