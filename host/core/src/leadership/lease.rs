//! The lease as its row in the store shows it.

use std::time::Duration;

use crate::ids::{LeaseEpoch, NodeName};

/// Separates the name of a node from the start of its process in the row's holder: two processes
/// under one name are two holders.
const START_MARK: char = '#';

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseState {
    /// Holder as the store names it, or nobody.
    pub holder: Option<NodeName>,
    /// Strictly growing with each change of hands.
    pub epoch: LeaseEpoch,
    /// Grows with each renewal, which shows a contender that the holder is alive.
    pub renewals: u64,
    /// Time to live that the holder promised.
    pub ttl: Duration,
}

/// Who holds the lease: a process of a node, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The node.
    pub name: NodeName,
    /// Which start of its process; `None` if any.
    pub start: Option<String>,
}

impl Holder {
    /// Reads the holder of a row.
    pub fn of(holder: &NodeName) -> Self {
        match holder.as_str().split_once(START_MARK) {
            Some((name, start)) => Self {
                name: NodeName::new(name),
                start: Some(start.to_owned()),
            },
            None => Self {
                name: holder.clone(),
                start: None,
            },
        }
    }

    /// How a row names this start of `node` as its holder.
    pub fn row_name(node: &NodeName, start: &str) -> NodeName {
        NodeName::new(format!("{node}{START_MARK}{start}"))
    }
}

/// For how much of its time a lease counts as half a vote. During the rest its holder still leads:
/// it outlives a stall of the store. A successor that claims the lease early has to wait for the
/// voting part only before the lease counts as half a vote for it. Two renewals fit in it.
pub fn vote_term(ttl: Duration) -> Duration {
    ttl / 2
}
