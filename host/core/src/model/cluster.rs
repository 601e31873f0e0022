//! What is recorded about a cluster beyond what its servers say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{ClusterId, LeaseEpoch, RecoveryId, ServerId};
use crate::time::{Timestamp, WallTime};
use crate::words;

/// Operators' wish about promoting a server, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromotionRule {
    /// Before all others.
    Must,
    /// Rather than others.
    Prefer,
    /// No wish.
    #[default]
    Neutral,
    /// Only if nothing better.
    PreferNot,
    /// Never.
    MustNot,
}

words!(PromotionRule {
    Must = "must",
    Prefer = "prefer",
    Neutral = "neutral",
    PreferNot = "prefer_not",
    MustNot = "must_not",
});

impl PromotionRule {
    /// Reads the word, with `-` or `_`: both are used for the predecessor.
    pub fn parse(word: &str) -> Option<Self> {
        Self::from_word(&word.replace('-', "_"))
    }
}

/// Operators said "ignore this server".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downtime {
    /// Who said so.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it began.
    pub begins: WallTime,
    /// When it ends.
    pub ends: WallTime,
}

/// Kinds of recovery; all go through the same plan, check and execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecoveryKind {
    /// A dead, hung or useless primary is replaced.
    Failover,
    /// Replicas of a dead intermediate source find another source.
    IntermediateFailover,
    /// A dead co-primary: the other one takes all.
    CoPrimaryFailover,
    /// A living primary is replaced, planned.
    Switchover,
    /// A server that came back is fenced and attached to the present primary.
    Rejoin,
    /// The recorded primary, which came back read-only, takes writes again.
    Reopen,
}

words!(RecoveryKind {
    Failover = "failover",
    IntermediateFailover = "intermediate-failover",
    CoPrimaryFailover = "co-primary-failover",
    Switchover = "switchover",
    Rejoin = "rejoin",
    Reopen = "reopen",
});

impl RecoveryKind {
    /// Whether such a recovery, if it succeeds, makes another server the primary.
    pub fn replaces_primary(self) -> bool {
        match self {
            Self::Failover | Self::CoPrimaryFailover | Self::Switchover => true,
            Self::IntermediateFailover | Self::Rejoin | Self::Reopen => false,
        }
    }

    /// Whether it replaces a primary, or a co-primary, that was lost: in a switchover the old one
    /// lives.
    pub fn replaces_lost_primary(self) -> bool {
        self.replaces_primary() && self != Self::Switchover
    }
}

/// How a recovery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecoveryOutcome {
    /// Under way, or left by a process that ended.
    Running,
    /// The aim was reached.
    Succeeded,
    /// Not reached; something may need a person.
    Failed,
    /// Given up and undone before anything irreversible.
    Unwound,
}

words!(RecoveryOutcome {
    Running = "running",
    Succeeded = "succeeded",
    Failed = "failed",
    Unwound = "unwound",
});

/// One earlier recovery of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRecovery {
    /// Identity.
    pub id: RecoveryId,
    /// Kind.
    pub kind: RecoveryKind,
    /// Outcome.
    pub outcome: RecoveryOutcome,
    /// It made its successor the primary, whatever became of that one. A failover has failed if its
    /// successor died right after it was opened; the old primary was replaced nevertheless.
    pub promoted: bool,
    /// Whom it replaced did not follow at its end.
    pub left_behind: bool,
    /// Begun by Baton, not by a person.
    pub automatic: bool,
    /// Wall-clock start.
    pub started: WallTime,
    /// Wall-clock end.
    pub ended: Option<WallTime>,
    /// The server that was replaced or rejoined.
    pub subject: ServerId,
    /// The server that took over, if any.
    pub successor: Option<ServerId>,
    /// A person acknowledged it.
    pub acknowledged: bool,
}

impl PastRecovery {
    /// It replaced a primary, or a co-primary, that was lost: before it, or in the middle of a
    /// switchover.
    pub fn replaced_a_lost_one(&self) -> bool {
        self.promoted && (self.kind.replaces_lost_primary() || self.left_behind)
    }
}

/// The recovery under way in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveRecovery {
    /// Identity.
    pub id: RecoveryId,
    /// Kind.
    pub kind: RecoveryKind,
    /// The server it is about.
    pub subject: ServerId,
}

/// A switch read from the store. What cannot be read is not "on".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Read, on.
    On,
    /// Read, off.
    Off,
    /// Could not be read.
    Unreadable,
}

/// What the store records about a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// Stable identity.
    pub id: ClusterId,
    /// Human name; stable until a person changes it.
    pub name: String,
    /// The server the cluster intends to write to.
    pub primary: Option<ServerId>,
    /// Epoch under which `primary` was set.
    pub primary_epoch: LeaseEpoch,
}

/// Whether Baton may act on a cluster, and what it did lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The cluster is among those recovered without a person.
    pub automatic: bool,
    /// What a failover without a person may risk.
    pub risk: Risk,
    /// The global switch "recoveries enabled".
    pub enabled: Switch,
    /// This node holds the lease, with this epoch.
    pub lease: Option<LeaseEpoch>,
    /// Recovery under way.
    pub active: Option<ActiveRecovery>,
    /// Earlier recoveries, young ones first; at most 20.
    pub past: Vec<PastRecovery>,
}

/// What a failover without a person may risk for availability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Nothing that was acknowledged where the primary waits for acknowledgements without falling
    /// back; elsewhere what asynchronous replication risks anyway.
    #[default]
    Usual,
    /// Nothing that any server is known to have committed, whatever the primary waits for.
    Nothing,
    /// Acknowledged transactions, too: a primary is worth more than the last rows.
    Acknowledged,
}

words!(Risk {
    Usual = "usual",
    Nothing = "nothing",
    Acknowledged = "acknowledged",
});

/// What goes on in the rest of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Clusters watched in all.
    pub clusters: u32,
    /// Other clusters that have a finding now, by the finding's code word.
    pub elsewhere: BTreeMap<String, u32>,
    /// When this process began to watch; facts of before do not exist.
    pub watching_since: Timestamp,
    /// Poll interval.
    pub poll_interval: Duration,
}
