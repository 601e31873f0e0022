//! Proof that a holder lives which this node does not hear.

use std::time::Duration;

use baton_core::ids::NodeName;
use baton_core::time::Timestamp;
use baton_ports::LeaseState;

/// What the store's answers prove about a holder that is silent. A leader that is cut off from its peers looks to them like one that is
/// frozen, and loses the lease to one of them; from its side that one looks the same. Without more they would take it from each other
/// for as long as the network between them is cut, and neither would ever act.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// When the store was asked the last time, and what it said.
    last: Option<(Timestamp, LeaseState)>,
    /// Who changed the row while it was silent, and when that was seen.
    proof: Option<(NodeName, Timestamp)>,
}

impl Far {
    /// Takes in the row as the store gave it to somebody who asked at `asked`. `silent_since`: the row's holder is not heard since then.
    pub(super) fn note(
        &mut self,
        asked: Timestamp,
        state: &LeaseState,
        silent_since: Option<Timestamp>,
    ) {
        let last = self.last.replace((asked, state.clone()));
        let Some((holder, (earlier, old))) = state.holder.as_ref().zip(last) else {
            return;
        };
        let has_moved = (state.epoch, state.renewals) != (old.epoch, old.renewals);
        // What changed between two looks of which the first came before the silence may have changed before it.
        if has_moved && silent_since.is_some_and(|since| since <= earlier) {
            self.proof = Some((holder.clone(), asked));
        }
    }

    /// True if the holder, silent as it is, changed its row within `term` before `now`.
    pub(super) fn lives(&self, now: Timestamp, term: Duration) -> bool {
        let last = self.last.as_ref();
        let holder = last.and_then(|(_, row)| row.holder.as_ref());
        let proof = self.proof.as_ref();
        proof.is_some_and(|(proven, at)| Some(proven) == holder && at.plus(term) > now)
    }
}

#[cfg(test)]
mod tests {
    use baton_core::ids::LeaseEpoch;

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
    fn who_changes_its_row_while_it_is_silent_lives() {
        let mut far = Far::default();
        far.note(at(3_000), &row("n1", 4, 1), None);
        assert!(!far.lives(at(3_000), TERM));
        // It took the lease after this node had renewed its own, and was silent all the time.
        far.note(at(5_000), &row("n2", 5, 1), Some(at(1_000)));
        assert!(far.lives(at(5_000), TERM));
        assert!(!far.lives(at(16_000), TERM), "it renews no more");
        far.note(at(14_000), &row("n2", 5, 2), Some(at(1_000)));
        assert!(far.lives(at(16_000), TERM));
    }

    #[test]
    fn a_renewal_that_is_seen_only_after_its_holder_froze_proves_nothing() {
        let mut far = Far::default();
        far.note(at(1_000), &row("n1", 4, 1), None);
        far.note(at(7_000), &row("n1", 4, 2), Some(at(5_000)));
        far.note(at(7_020), &row("n1", 4, 2), Some(at(5_000)));
        assert!(!far.lives(at(7_020), TERM));
    }
}
