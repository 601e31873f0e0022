//! The output of the analysis.

use super::finding_codes::Code;
use crate::ids::ServerId;
use crate::model::RecoveryKind;
use crate::policy::Suggestion;
use crate::time::Timestamp;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the cluster works.
    Notice,
    /// Redundancy or a precondition of failover is missing.
    Warning,
    /// The cluster does not do its work, or may lose data.
    Critical,
}

/// One piece of evidence, with a stable word for counting and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Kebab-case word, for example `receiver-still-connected`.
    pub code: &'static str,
    /// One sentence with the facts in it.
    pub text: String,
    /// The servers it is about; empty = all.
    pub about: Vec<ServerId>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is observed.
    pub code: Code,
    /// The server it is about.
    pub server: ServerId,
    /// How much it matters.
    pub severity: Severity,
    /// What the host itself would do. `Act` only if the evidence is complete.
    pub suggestion: Suggestion,
    /// The recovery that would answer it, if there is one.
    pub recovery: Option<RecoveryKind>,
    /// Evidence for and against.
    pub evidence: Vec<Evidence>,
}

/// Which server the cluster writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrimaryView {
    /// The recorded primary stands.
    Recorded(ServerId),
    /// Nothing was recorded; this one is the only possible primary.
    Derived(ServerId),
    /// Another one is recorded, but this one is writable, feeds the recorded one or its replicas,
    /// and the recorded one follows it.
    Moved {
        /// Recorded.
        from: ServerId,
        /// Observed.
        to: ServerId,
    },
    /// Cannot be told; candidates, if any.
    Unknown(Vec<ServerId>),
}

impl PrimaryView {
    /// The server to treat as primary, if it can be told.
    pub fn server(&self) -> Option<&ServerId> {
        match self {
            Self::Recorded(id) | Self::Derived(id) => Some(id),
            Self::Moved { to, .. } => Some(to),
            Self::Unknown(_) => None,
        }
    }
}

/// Evidence that is missing and can be had: what the loop should gather next. Gathering it harms
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeRequest {
    /// Read these servers now instead of at their next poll.
    ReadNow {
        /// The servers.
        servers: Vec<ServerId>,
    },
    /// Stop and start the receiver of one channel, note the end of the start in
    /// [`Server::reconnected`](crate::model::Server::reconnected), and read the replica again. A
    /// source that hangs keeps its old connections, but accepts no new one.
    ReconnectReceiver {
        /// The replica.
        server: ServerId,
        /// Name of its channel.
        channel: String,
        /// The source that does not answer us.
        source: ServerId,
    },
}

/// Everything wrong with one cluster, most severe first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The "now" of the snapshot it was derived from.
    pub taken_at: Timestamp,
    /// Which server the cluster writes to.
    pub primary: PrimaryView,
    /// Findings, most severe first, then in the order of [`Code`], then by server.
    pub findings: Vec<Finding>,
    /// Evidence to gather: readings first, then reconnections.
    pub probes: Vec<ProbeRequest>,
}
