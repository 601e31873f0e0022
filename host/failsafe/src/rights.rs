//! The epochs under which this node may write: those that the shared store granted to it, and the
//! one that it took while the shared store was away. Pure: it is told the answers of the shared
//! store, and classifies the epoch of a caller.

use std::collections::BTreeMap;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_ports::LeaseState;

/// The standing of a caller's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Granted by the shared store, which decides whether it still is.
    Granted,
    /// Taken while the shared store was away. What is written under it stays on the local disk
    /// until it is handed over.
    StandIn,
    /// Later than all that were seen.
    Unknown,
    /// Known not to be the present one, or not this node's.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tenure {
    Nobody,
    Granted {
        /// `None` if the grant did not pass through here.
        holder: Option<NodeName>,
    },
    StandIn,
}

#[derive(Clone, Debug)]
struct Lease {
    /// Highest epoch ever seen; `tenure` is about this one.
    highest: LeaseEpoch,
    tenure: Tenure,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Rights(BTreeMap<String, Lease>);

impl Rights {
    /// Epochs that an earlier process saw. None of them is this one's.
    pub(crate) fn remembered(epochs: impl Iterator<Item = (String, LeaseEpoch)>) -> Self {
        let lease = |highest| Lease {
            highest,
            tenure: Tenure::Nobody,
        };
        Self(epochs.map(|(name, epoch)| (name, lease(epoch))).collect())
    }

    pub(crate) fn highest(&self, name: &str) -> LeaseEpoch {
        let lease = self.0.get(name);
        lease.map_or(LeaseEpoch::default(), |lease| lease.highest)
    }

    /// Names of the leases that were heard of.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// True if the epoch is the highest of any lease. What was begun under an earlier one is not
    /// continued by this node.
    pub(crate) fn is_highest(&self, epoch: LeaseEpoch) -> bool {
        self.0.values().any(|lease| lease.highest == epoch)
    }

    pub(crate) fn of(&self, name: &str, epoch: LeaseEpoch) -> Right {
        let highest = self.highest(name);
        if epoch > highest {
            return Right::Unknown;
        }
        let present = self.0.get(name).filter(|lease| lease.highest == epoch);
        match present.map(|lease| &lease.tenure) {
            Some(Tenure::Granted { .. }) => Right::Granted,
            Some(Tenure::StandIn) => Right::StandIn,
            Some(Tenure::Nobody) | None => Right::Over,
        }
    }

    fn enter(&mut self, name: &str, epoch: LeaseEpoch, tenure: Tenure) {
        let highest = epoch;
        self.0.insert(name.to_owned(), Lease { highest, tenure });
    }

    /// The shared store granted the lease to a node of this process. Answers may arrive out of
    /// order.
    pub(crate) fn granted(&mut self, name: &str, holder: Option<&NodeName>, epoch: LeaseEpoch) {
        if epoch >= self.highest(name) {
            let holder = holder.cloned();
            self.enter(name, epoch, Tenure::Granted { holder });
        }
    }

    /// The lease is somebody else's, or free.
    pub(crate) fn refused(&mut self, name: &str, state: &LeaseState) {
        let Some(lease) = self.0.get_mut(name) else {
            self.enter(name, state.epoch, Tenure::Nobody);
            return;
        };
        let is_same_holder =
            matches!(&lease.tenure, Tenure::Granted { holder } if *holder == state.holder);
        if state.epoch > lease.highest || (state.epoch == lease.highest && !is_same_holder) {
            lease.highest = state.epoch;
            lease.tenure = Tenure::Nobody;
        }
    }

    pub(crate) fn released(&mut self, name: &str, node: &NodeName, epoch: LeaseEpoch) {
        let Some(lease) = self.0.get_mut(name).filter(|lease| lease.highest == epoch) else {
            return;
        };
        if matches!(&lease.tenure, Tenure::Granted { holder } if holder.as_ref() == Some(node)) {
            lease.tenure = Tenure::Nobody;
        }
    }

    /// This node acts under an epoch that no store granted, because none could.
    pub(crate) fn stands_in(&mut self, name: &str, epoch: LeaseEpoch) {
        if epoch > self.highest(name) {
            self.enter(name, epoch, Tenure::StandIn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(holder: Option<&str>, epoch: u64) -> LeaseState {
        LeaseState {
            holder: holder.map(NodeName::new),
            epoch: LeaseEpoch(epoch),
            renewals: 1,
            ttl: Duration::from_secs(1),
        }
    }

    fn worth(rights: &Rights) -> Vec<Right> {
        (6..10)
            .map(|epoch| rights.of("act", LeaseEpoch(epoch)))
            .collect()
    }

    #[test]
    fn an_epoch_is_worth_what_was_last_heard_of_it() {
        use Right::{Granted, Over, StandIn, Unknown};
        let n1 = NodeName::new("n1");
        let mut rights = Rights::remembered(std::iter::once(("act".to_owned(), LeaseEpoch(6))));
        assert_eq!(worth(&rights), [Over, Unknown, Unknown, Unknown]);
        rights.granted("act", Some(&n1), LeaseEpoch(7));
        assert_eq!(worth(&rights), [Over, Granted, Unknown, Unknown]);
        // A grant that was overtaken, and a claim of another node that was told about ours.
        rights.granted("act", Some(&n1), LeaseEpoch(6));
        rights.refused("act", &row(Some("n1"), 7));
        assert_eq!(worth(&rights), [Over, Granted, Unknown, Unknown]);
        rights.stands_in("act", LeaseEpoch(8));
        assert_eq!(worth(&rights), [Over, Over, StandIn, Unknown]);
        // The row of the dead holder does not end it; one of the same epoch does.
        rights.refused("act", &row(Some("n2"), 7));
        assert_eq!(worth(&rights), [Over, Over, StandIn, Unknown]);
        rights.refused("act", &row(Some("n2"), 8));
        assert_eq!(worth(&rights), [Over, Over, Over, Unknown]);
    }

    #[test]
    fn a_released_lease_is_worth_nothing() {
        let (n1, n2) = (NodeName::new("n1"), NodeName::new("n2"));
        let mut rights = Rights::default();
        rights.granted("act", Some(&n1), LeaseEpoch(7));
        rights.released("act", &n2, LeaseEpoch(7));
        assert_eq!(rights.of("act", LeaseEpoch(7)), Right::Granted);
        rights.released("act", &n1, LeaseEpoch(7));
        assert_eq!(rights.of("act", LeaseEpoch(7)), Right::Over);
        rights.granted("act", Some(&n1), LeaseEpoch(8));
        rights.refused("act", &row(None, 8));
        assert_eq!(rights.of("act", LeaseEpoch(8)), Right::Over);
    }
}
