//! The output of the analysis.

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

/// What is observed. Named after the observation, not after what to do about it.
/// `docs/findings.md` maps these to orchestrator's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The primary is gone and every replica that answers has lost it.
    PrimaryDead,
    /// As `PrimaryDead`, and some replicas do not answer either.
    PrimaryAndSomeReplicasDead,
    /// Neither the primary nor any of its replicas answers: perhaps it is us.
    PrimaryAndReplicasDead,
    /// The primary is gone and has no replica.
    PrimaryDeadWithoutReplicas,
    /// The primary accepts connections or keeps its sockets but answers nothing, to us and to a
    /// replica that reconnects.
    PrimaryHung,
    /// We do not reach the primary, but a replica's receiver still does: veto.
    PrimaryUnreachable,
    /// As `PrimaryUnreachable`, and all replicas lag.
    PrimaryUnreachableReplicasLagging,
    /// The primary does not answer us and the evidence is not complete yet.
    PrimarySilent,
    /// The primary answers but does no useful work: no connections left, commits refused or
    /// stalled.
    PrimaryUseless,
    /// Commits on the primary wait for acknowledgements that do not come.
    PrimarySemiSyncLocked,
    /// The intended primary is read-only and nobody else is writable.
    NoWritablePrimary,
    /// More than one server of the cluster is writable.
    SplitBrain,
    /// No server can be called the primary.
    PrimaryUnknown,
    /// A server that is not the intended primary acts as one: it was promoted by somebody else.
    PrimaryMoved,
    /// The former primary is back and is not part of the topology.
    OldPrimaryReturned,
    /// A server outside the topology takes writes beside the primary, and is not proven to be a
    /// replaced one.
    SomebodyPromotes,
    /// A server outside the topology answers, and is not proven to be a replaced primary: rebuilt,
    /// or of another cluster.
    ServerDetached,
    /// The primary's only replica does not replicate.
    PrimarySingleReplicaStopped,
    /// The primary's only replica does not answer.
    PrimarySingleReplicaDead,
    /// No replica of the primary replicates; all answer.
    PrimaryReplicasStopped,
    /// No replica of the primary replicates; some do not answer.
    PrimaryReplicasStoppedOrDead,
    /// The primary answers us, and none of its replicas that answers can connect to it.
    PrimaryReplicasCannotConnect,
    /// A co-primary is gone and every replica that answers has lost it.
    CoPrimaryDead,
    /// As `CoPrimaryDead`, and some replicas do not answer.
    CoPrimaryAndSomeReplicasDead,
    /// We do not reach a co-primary, but a replica's receiver still does.
    CoPrimaryUnreachable,
    /// No replica of a co-primary replicates.
    CoPrimaryReplicasStopped,
    /// An intermediate source is gone and all its replicas have lost it.
    IntermediateDead,
    /// As `IntermediateDead`, with one replica, whose receiver says that it cannot connect.
    IntermediateDeadSingleReplicaCannotConnect,
    /// As `IntermediateDead`, with one replica, which does not replicate for another reason.
    IntermediateDeadSingleReplica,
    /// As `IntermediateDead`, and some replicas do not answer.
    IntermediateAndSomeReplicasDead,
    /// Neither an intermediate source nor its replicas answer.
    IntermediateAndReplicasDead,
    /// We do not reach an intermediate source, but a replica's receiver still does.
    IntermediateUnreachable,
    /// As `IntermediateUnreachable`, and all its replicas lag.
    IntermediateUnreachableReplicasLagging,
    /// An intermediate source answers, and all its replicas fail to connect to it or are dead.
    IntermediateReplicasCannotConnect,
    /// An intermediate source answers, and no replica of it replicates.
    IntermediateReplicasStopped,
    /// A direct replica of the primary cannot connect to it.
    FirstTierReplicaCannotConnect,
    /// A server does not answer (no other finding explains it).
    ServerSilent,
    /// A server answers, but not usefully to us: credentials, host blocked, connections.
    ServerRefusesUs,
    /// Replication was stopped by a person.
    ReplicationStopped,
    /// Replication stopped with an error.
    ReplicationBroken,
    /// A replica's receiver shows as running and receives nothing, although its source has more for
    /// it.
    ReplicaReceivesNothing,
    /// Lag beyond the limit.
    ReplicaLagging,
    /// Transactions on a replica that its primary's history lacks.
    ErrantTransactions,
    /// A replica is writable.
    ReplicaWritable,
    /// Accounts may write to the primary in spite of a fence.
    PrivilegedWriters,
    /// A channel points to a server that is not known.
    SourceUnknown,
    /// Two members replicate in a circle of more than two.
    ReplicationLoop,
    /// The primary has replicas, and none logs replicated changes.
    NoLoggingReplicas,
    /// Replicas do not all use GTID: no failover without loss of position.
    NoFailoverSupport,
    /// Different binary log formats among logging replicas.
    MixedLogFormats,
    /// Different major versions among logging replicas.
    MixedVersions,
    /// Different GTID modes between source and replicas.
    MixedGtidModes,
    /// The primary has events that are disabled as on a replica, and nobody decided that.
    EventsDisabled,
    /// The event scheduler is off where events are to run, or would be after a promotion.
    EventSchedulerOff,
    /// XA transactions stay prepared: nobody ends them, or only a replica has them.
    PreparedTransactions,
    /// The primary wants more acknowledgements than replicas give them.
    NotEnoughSemiSyncReplicas,
    /// Settings by which a restart or a crash takes back what was acknowledged.
    AcknowledgementsNotDurable,
    /// The primary waits for acknowledgements only after others can read what it commits.
    AcknowledgedAfterCommit,
    /// The primary waits for fewer acknowledgements than half of the replicas that give them.
    WaitCountTooSmall,
    /// A replica acknowledges, and may not be promoted.
    UnfitAcknowledger,
    /// A replica waits for acknowledgements of what it applies, and nobody gives them.
    ReplicaWaitsForAcknowledgements,
    /// The primary took over from one that waited for acknowledgements, and does not.
    PrimaryDoesNotWait,
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
