//! The last counts of a cluster's votes.

use std::time::Duration;

use crate::ids::LeaseEpoch;
use crate::time::Timestamp;

/// When the quorum of one cluster was last confirmed, and when it was last missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuorumChecks {
    confirmed: Option<(LeaseEpoch, Timestamp)>,
    missing: Option<Timestamp>,
}

impl QuorumChecks {
    /// The quorum was there. `since`: before the count began.
    pub fn note_confirmed(&mut self, epoch: LeaseEpoch, since: Timestamp) {
        self.confirmed = Some((epoch, since));
    }

    /// The quorum was missing.
    pub fn note_missing(&mut self, at: Timestamp) {
        self.missing = Some(at);
    }

    /// When the quorum was last missing.
    pub fn missing_at(&self) -> Option<Timestamp> {
        self.missing
    }

    /// True if the quorum was confirmed under `epoch` less than `age` ago.
    pub fn is_fresh(&self, epoch: LeaseEpoch, now: Timestamp, age: Duration) -> bool {
        self.confirmed
            .is_some_and(|(under, since)| under == epoch && now.since(since) < age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_worth_something_under_its_epoch_and_for_its_time() {
        let at = Timestamp::from_millis;
        let (age, epoch) = (Duration::from_millis(500), LeaseEpoch(7));
        let mut checks = QuorumChecks::default();
        assert!(!checks.is_fresh(epoch, at(0), age));
        checks.note_confirmed(epoch, at(1_000));
        assert!(checks.is_fresh(epoch, at(1_499), age));
        assert!(!checks.is_fresh(epoch, at(1_500), age));
        assert!(!checks.is_fresh(LeaseEpoch(8), at(1_100), age));
    }
}
