//! Proof that a holder is alive which this node does not hear.

use std::time::Duration;

use super::lease::LeaseState;
use crate::ids::NodeName;
use crate::time::Timestamp;

/// What the store's answers prove about a silent holder.
///
/// Peers that are cut off from the leader see the same as peers of a leader that is stopped: it is
/// silent. One of them claims the lease, and from the old leader's side that one is silent too.
/// Without this proof the two would take the lease from each other for as long as their network is
/// cut, and neither would ever act.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RemoteLiveness {
    /// When the store was asked the last time, and what it answered.
    last: Option<(Timestamp, LeaseState)>,
    /// Who changed the row while it was silent, and when that was read.
    proof: Option<(NodeName, Timestamp)>,
}

impl RemoteLiveness {
    /// Takes in the row that the store gave to a request sent at `asked`. `silent_since`: since
    /// when the row's holder does not answer.
    pub(super) fn note(
        &mut self,
        asked: Timestamp,
        row: &LeaseState,
        silent_since: Option<Timestamp>,
    ) {
        let last = self.last.replace((asked, row.clone()));
        let Some((holder, (earlier, old))) = row.holder.as_ref().zip(last) else {
            return;
        };
        let has_changed = (row.epoch, row.renewals) != (old.epoch, old.renewals);
        // A change counts only if both reads follow the silence.
        if has_changed && silent_since.is_some_and(|since| since <= earlier) {
            self.proof = Some((holder.clone(), asked));
        }
    }

    /// True if the present holder, although silent, changed its row within `term` before `now`.
    pub(super) fn proves_alive(&self, now: Timestamp, term: Duration) -> bool {
        let last = self.last.as_ref();
        let holder = last.and_then(|(_, row)| row.holder.as_ref());
        let proof = self.proof.as_ref();
        proof.is_some_and(|(proven, at)| Some(proven) == holder && at.plus(term) > now)
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::LeaseEpoch;

    use super::*;

    const TERM: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn row(holder: &str, epoch: u64, renewals: u64) -> LeaseState {
        LeaseState {
            holder: Some(NodeName::new(holder)),
            epoch: LeaseEpoch(epoch),
            renewals,
            ttl: TERM,
        }
    }

    #[test]
    fn a_silent_holder_that_renews_is_alive() {
        let mut remote = RemoteLiveness::default();
        remote.note(at(3_000), &row("n1", 4, 1), None);
        assert!(!remote.proves_alive(at(3_000), TERM));
        // It took the lease after this node had renewed its own, and was silent all the time.
        remote.note(at(5_000), &row("n2", 5, 1), Some(at(1_000)));
        assert!(remote.proves_alive(at(5_000), TERM));
        assert!(!remote.proves_alive(at(16_000), TERM), "it renews no more");
        remote.note(at(14_000), &row("n2", 5, 2), Some(at(1_000)));
        assert!(remote.proves_alive(at(16_000), TERM));
    }

    #[test]
    fn a_renewal_from_before_the_silence_proves_nothing() {
        let mut remote = RemoteLiveness::default();
        remote.note(at(1_000), &row("n1", 4, 1), None);
        remote.note(at(7_000), &row("n1", 4, 2), Some(at(5_000)));
        remote.note(at(7_020), &row("n1", 4, 2), Some(at(5_000)));
        assert!(!remote.proves_alive(at(7_020), TERM));
    }
}
