//! What an election is told, and what it answers.

use std::time::Duration;

use crate::ids::{LeaseEpoch, NodeName};
use crate::leadership::{LeaseState, Peers};
use crate::time::Timestamp;

/// How things look when an event is handled.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Now, by this node's monotonic clock.
    pub now: Timestamp,
    /// The other nodes.
    pub peers: &'a Peers,
    /// An operation runs on some cluster.
    pub busy: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node has started.
    Started,
    /// The request under way has ended.
    Answered(Answer),
    /// A peer's report changed, or whether it answers.
    PeersChanged,
    /// `wake_after` has passed, or an order was given.
    Timer,
    /// Somebody decided about this node's leadership. An order makes no request by itself: what it
    /// makes due is sent at the next [`Event::Timer`].
    Ordered(Order),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The lease is this node's.
    Granted(LeaseState),
    /// The lease is somebody else's, or nobody's.
    Denied(LeaseState),
    /// The store did not answer.
    Failed,
}

/// A decision about this node's leadership that was made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// An operator wants this node to lead.
    Lead,
    /// Ends [`Order::Lead`].
    WithdrawLead,
    /// An operator wants another node to lead: give the lease up, and let the others claim first.
    StepDown,
    /// The node stops: give the lease up.
    Stop,
    /// This process must not act: give the lease up.
    Bar(String),
    /// Ends [`Order::Bar`].
    Unbar,
    /// The store refused this node's epoch: ask who holds the lease now.
    AskStore,
    /// Epochs only grow: raise the floor to this one.
    RaiseEpoch(LeaseEpoch),
    /// The whole store was moved after `sent_at`, and this node's lease with it.
    Moved {
        /// The row in the new store.
        row: LeaseState,
        /// Before the move began.
        sent_at: Timestamp,
    },
}

/// What is to be sent to the store. The next [`Event::Answered`] says what came of it; until then
/// no other request is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Renew the lease.
    Renew {
        /// Its epoch.
        epoch: LeaseEpoch,
    },
    /// Take the lease.
    Claim {
        /// Epoch and renewals of a row that may be taken although it has a holder; the claim fails
        /// if the row has changed. `None`: only a lease that is free is taken.
        expected: Option<(LeaseEpoch, u64)>,
        /// The granted epoch must be higher.
        highest: LeaseEpoch,
    },
}

/// Why the lease, or the leadership without it, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The store says that another node holds the lease.
    HeldByAnother,
    /// The lease ran out by this node's clock.
    RanOut,
    /// Another node leads and goes first.
    AnotherGoesFirst,
    /// Given up on an order.
    GivenUp,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The store granted the lease.
    LeaseTaken(LeaseEpoch),
    /// This node does not lead any more.
    LeadershipLost(Loss),
    /// The lease ran out while the store is away, and this node goes on leading without it.
    GoesOnWithoutStore(LeaseEpoch),
    /// The store is away and nobody leads: this node leads without it.
    LeadsWithoutStore(LeaseEpoch),
    /// This process did not run for so long. It asks again who leads.
    Stalled(Duration),
    /// This process must not act.
    Barred(String),
    /// This process may act again.
    Unbarred,
}

/// The answer to an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Lines for the log.
    pub notes: Vec<Note>,
    /// Send this now.
    pub request: Option<Request>,
    /// Give up the lease of this epoch now, so that another node need not wait for its end. Its
    /// outcome is not reported.
    pub release: Option<LeaseEpoch>,
    /// When [`Event::Timer`] is due.
    pub wake_after: Duration,
}

/// Under what a node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It does not lead.
    Follower,
    /// It holds the lease.
    Leader {
        /// Epoch of the lease.
        epoch: LeaseEpoch,
        /// Nothing may be done under the lease after this instant. It is counted from *before* the
        /// renewal was sent.
        until: Timestamp,
        /// The lease is half a vote only from then on: before, the holder that it was taken from
        /// may still count it.
        counts_from: Timestamp,
    },
    /// The store is away and no other node is known to lead. Only the clusters' quorum decides what
    /// this node may change.
    LeaderWithoutStore {
        /// Epoch under which it acts.
        epoch: LeaseEpoch,
        /// The store had granted this epoch: the row can be renewed when the store is back. False:
        /// the node chose the epoch, and another node may have chosen the same.
        granted: bool,
    },
}

impl Role {
    /// Epoch under which the node leads.
    pub fn epoch(&self) -> Option<LeaseEpoch> {
        match self {
            Self::Follower => None,
            Self::Leader { epoch, .. } | Self::LeaderWithoutStore { epoch, .. } => Some(*epoch),
        }
    }

    /// True if the node chose its epoch itself.
    pub fn is_self_appointed(&self) -> bool {
        matches!(self, Self::LeaderWithoutStore { granted: false, .. })
    }

    /// What others wait for: changes with each change of epoch and of kind.
    pub fn leading(&self) -> Option<Leading> {
        self.epoch().map(|epoch| Leading {
            epoch,
            with_lease: matches!(self, Self::Leader { .. }),
        })
    }
}

/// A leadership as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leading {
    /// Epoch under which the node leads.
    pub epoch: LeaseEpoch,
    /// It holds the lease; otherwise it leads without the store.
    pub with_lease: bool,
}

/// How a node takes part in elections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ElectionSettings {
    /// This node.
    pub node: NodeName,
    /// Name of this node, or of this start of it, as holder in the row.
    pub holder: NodeName,
    /// Time to live of the lease.
    pub ttl: Duration,
    /// Time that a gained lease waits before it counts as half a vote: a step that the last holder
    /// verified may be on its way for as long.
    pub guard: Duration,
    /// Lead by the clusters' quorum while the store is away.
    pub without_store: bool,
}
