//! Questions to policies and their answers: Baton's own types, close to the published contract in
//! `wit/` but independent of it, so that a second version of the contract needs one conversion file
//! and nothing else.
//!
//! Servers are named by index into the question's list. Ages and durations are milliseconds,
//! saturating. `None` means "not known", never "no" or "zero".

pub mod backend;
mod check;

pub use check::{AnswerProblem, check_assessment, check_ranking};

use crate::ids::ServerId;
use crate::model::{Flavor, LogFormat, PromotionRule, ThreadState};
use crate::words;

/// Milliseconds, saturating at [`u32::MAX`].
pub type Ms = u32;
/// Index into [`Cluster::servers`].
pub type ServerIndex = u32;
/// Name and value.
pub type Pair = (String, String);

/// Longest text kept of a policy's answer, in bytes.
pub const TEXT_MAX: usize = 1024;
/// Most reasons kept per list.
pub const REASONS_MAX: usize = 50;
/// Longest `wait` that a policy may ask for: an hour, after which the finding is assessed again
/// anyway.
pub const WAIT_MAX: Ms = 3_600_000;

/// What every question carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Unique per question; key of the recorded decision.
    pub decision: String,
    /// Wall clock in seconds since the epoch.
    pub now: u32,
    /// Name of the asking node.
    pub node: String,
    /// Names of the other nodes.
    pub peers: Vec<String>,
    /// How many of them have a view in this question.
    pub peers_answering: u32,
    /// Facts without a field of their own.
    pub extra: Option<Vec<Pair>>,
}

/// One reason, for people and for counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable kebab-case word.
    pub code: String,
    /// One sentence.
    pub text: String,
    /// Servers it is about; empty = all.
    pub about: Vec<u32>,
}

/// What is known about reaching a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No probe finished yet.
    NotProbed,
    /// Answered in full.
    Answering,
    /// Answered in part.
    Partial,
    /// Not answered.
    Silent,
}

/// Outcome of probing one server from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeView {
    /// State.
    pub state: Reach,
    /// Word of the last failure.
    pub failure: Option<String>,
    /// MySQL error number of it.
    pub error_number: Option<u32>,
    /// Age of the last full answer.
    pub answered_age: Option<Ms>,
    /// Age of the last finished attempt.
    pub attempt_age: Option<Ms>,
    /// Failed attempts since the last full answer.
    pub failures: u32,
    /// Full answers since the last failed attempt.
    pub successes: u32,
    /// Round trip of the last full answer, microseconds.
    pub round_trip_us: Option<u32>,
}

/// Another node's view of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Index into [`Context::peers`].
    pub peer: u32,
    /// Its probe.
    pub probe: ProbeView,
    /// How long ago the peer answered.
    pub age: Ms,
}

/// Role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The server the cluster intends to write to.
    Primary,
    /// Replicates and feeds others.
    Intermediate,
    /// Replicates, feeds nobody.
    Replica,
    /// Neither.
    Standalone,
    /// Not known.
    Unknown,
}

/// One replication channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelView {
    /// Absent for the default channel.
    pub name: Option<String>,
    /// The source, if part of the question.
    pub source: Option<ServerIndex>,
    /// Where it points otherwise.
    pub source_address: Option<String>,
    /// Receiver state.
    pub receiver: ThreadState,
    /// Applier state.
    pub applier: ThreadState,
    /// Error number of the receiver, 0 = none.
    pub receiver_error: u32,
    /// Error number of the applier, 0 = none.
    pub applier_error: u32,
    /// Age of the reading.
    pub observed_age: Ms,
    /// Read after the last sign of life of the source.
    pub read_after_loss: bool,
    /// Age of the last heartbeat or event received.
    pub received_age: Option<Ms>,
    /// Age of the last progress of the applier.
    pub progress_age: Option<Ms>,
    /// Lag as the server tells it.
    pub lag: Option<Ms>,
    /// Configured delay.
    pub delay: Ms,
    /// Positions itself by GTID.
    pub auto_position: bool,
    /// Filters are in force.
    pub filtered: bool,
    /// GTID text, if wanted.
    pub received: Option<String>,
    /// GTID text, if wanted.
    pub applied: Option<String>,
    /// Received and not applied.
    pub unapplied: Option<u32>,
}

/// Semi-synchronous replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemiSyncView {
    /// Enabled as source.
    pub source_enabled: bool,
    /// Really waiting.
    pub source_active: bool,
    /// Acknowledgements waited for.
    pub wait_for: u32,
    /// Acknowledging replicas.
    pub clients: u32,
    /// Waiting sessions.
    pub waiting_sessions: u32,
    /// Age of the oldest wait.
    pub oldest_wait: Option<Ms>,
    /// Fallback time.
    pub timeout: Option<Ms>,
    /// Enabled as replica.
    pub replica_enabled: bool,
    /// Acknowledging.
    pub replica_active: bool,
}

/// Signs of useful work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VitalsView {
    /// Uptime.
    pub uptime: Option<Ms>,
    /// Connections.
    pub connections: Option<u32>,
    /// Most connections.
    pub connections_max: Option<u32>,
    /// Running threads.
    pub threads_running: Option<u32>,
    /// Free MiB.
    pub disk_free_mib: Option<u32>,
    /// Total MiB.
    pub disk_total_mib: Option<u32>,
    /// Age of the last commit seen to finish.
    pub commit_age: Option<Ms>,
    /// Age of the oldest waiting commit.
    pub commit_stall: Option<Ms>,
}

/// Downtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowntimeView {
    /// Why.
    pub reason: String,
    /// Who.
    pub owner: String,
    /// Time left.
    pub remaining: Option<Ms>,
}

/// Place of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceView {
    /// Data centre.
    pub data_center: String,
    /// Region.
    pub region: String,
    /// Environment.
    pub environment: String,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Stable identity.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// Role.
    pub role: Role,
    /// Lineage.
    pub flavour: Flavor,
    /// Version.
    pub version: (u32, u32, u32),
    /// Index into [`Cluster::places`].
    pub place: Option<u32>,
    /// Tags, if wanted.
    pub tags: Option<Vec<Pair>>,
    /// Promotion rule.
    pub promotion: PromotionRule,
    /// Own probe.
    pub probe: ProbeView,
    /// Peers' probes.
    pub peers: Vec<PeerView>,
    /// `read_only`.
    pub read_only: Option<bool>,
    /// `super_read_only`.
    pub super_read_only: Option<bool>,
    /// Binary log on.
    pub log_bin: Option<bool>,
    /// Replicated changes are logged.
    pub log_updates: Option<bool>,
    /// Format; `None` = not known.
    pub log_format: Option<LogFormat>,
    /// Channels.
    pub channels: Vec<ChannelView>,
    /// Semi-sync.
    pub semi_sync: Option<SemiSyncView>,
    /// Vitals, if wanted.
    pub vitals: Option<VitalsView>,
    /// Executed GTID set, if wanted.
    pub executed: Option<String>,
    /// Number of errant transactions.
    pub errant: Option<u32>,
    /// Downtime.
    pub downtime: Option<DowntimeView>,
    /// In maintenance.
    pub maintenance: bool,
    /// Facts without a field of their own.
    pub extra: Option<Vec<Pair>>,
}

/// One earlier recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryView {
    /// Kind word.
    pub kind: String,
    /// Outcome word.
    pub outcome: String,
    /// Age of its start.
    pub started_age: Ms,
    /// Age of its end.
    pub ended_age: Option<Ms>,
    /// Replaced server.
    pub from_server: String,
    /// Successor, empty if none.
    pub to_server: String,
    /// Acknowledged by a person.
    pub acknowledged: bool,
    /// Begun by Baton.
    pub automatic: bool,
}

/// The cluster a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Stable identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// Servers.
    pub servers: Vec<ServerView>,
    /// Places.
    pub places: Vec<PlaceView>,
    /// Intended primary.
    pub primary: Option<ServerIndex>,
    /// Recovered without a person.
    pub automatic: bool,
    /// Earlier recoveries, young ones first.
    pub recoveries: Vec<RecoveryView>,
    /// Tags.
    pub tags: Vec<Pair>,
    /// Facts without a field of their own.
    pub extra: Option<Vec<Pair>>,
}

/// What the host would do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suggestion {
    /// Evidence is complete.
    Act,
    /// Evidence is still coming in.
    Wait,
    /// Not a case for a recovery.
    Hold,
}

words!(Suggestion {
    Act = "act",
    Wait = "wait",
    Hold = "hold",
});

/// The finding a policy is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingView {
    /// Code word.
    pub code: String,
    /// The server it is about.
    pub server: ServerIndex,
    /// How long it has held.
    pub held: Ms,
    /// How often it came and went.
    pub flaps: u32,
    /// Same finding on other clusters.
    pub elsewhere: u32,
    /// Clusters watched in all.
    pub clusters: u32,
    /// What the host would do.
    pub suggestion: Suggestion,
    /// Evidence.
    pub reasons: Vec<Reason>,
}

/// A person's answer to an earlier question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Topic that was asked.
    pub topic: String,
    /// Granted or refused.
    pub granted: bool,
    /// By whom.
    pub by: String,
    /// Age of the answer.
    pub age: Ms,
    /// Time until it is worth nothing.
    pub expires_in: Ms,
}

/// "Is this worth a recovery?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssessQuestion {
    /// Context.
    pub context: Context,
    /// Cluster.
    pub cluster: Cluster,
    /// Finding.
    pub finding: FindingView,
    /// Approvals.
    pub approvals: Vec<Approval>,
    /// Facts without a field of their own.
    pub extra: Option<Vec<Pair>>,
}

/// The answer's core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, as far as the host's own rules allow.
    Act,
    /// Ask again after this time, or when the facts change.
    Wait(Ms),
    /// Do nothing while this finding lasts.
    Hold,
    /// Do nothing until a person agrees.
    Ask {
        /// Key under which the approval comes back.
        topic: String,
        /// What the person is asked.
        prompt: String,
        /// How long an approval is worth something.
        valid_for: Ms,
    },
}

/// Answer to [`AssessQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Verdict.
    pub verdict: Verdict,
    /// Reasons.
    pub reasons: Vec<Reason>,
}

/// A server the host allows to take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The server.
    pub server: ServerIndex,
    /// What the most advanced candidate has received and this one has not.
    pub missing: Option<u32>,
    /// Received, not applied.
    pub unapplied: Option<u32>,
    /// Errant transactions.
    pub errant: Option<u32>,
    /// Siblings that could follow it.
    pub followers: u32,
    /// What the host holds against it; no veto.
    pub warnings: Vec<Reason>,
}

/// "Who takes over?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankQuestion {
    /// Context.
    pub context: Context,
    /// Cluster.
    pub cluster: Cluster,
    /// `failover`, `switchover`, `intermediate-failover`, ...
    pub purpose: String,
    /// The server to be replaced.
    pub replaced: ServerIndex,
    /// Allowed candidates, most advanced first.
    pub candidates: Vec<Candidate>,
    /// What the operator asked for.
    pub requested: Option<ServerIndex>,
    /// Facts without a field of their own.
    pub extra: Option<Vec<Pair>>,
}

/// One ranked candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The server.
    pub server: ServerIndex,
    /// For people; the order decides.
    pub score: i32,
    /// Reasons.
    pub reasons: Vec<Reason>,
}

/// One vetoed candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veto {
    /// The server.
    pub server: ServerIndex,
    /// Reasons.
    pub reasons: Vec<Reason>,
}

/// Answer to [`RankQuestion`]. Candidates named nowhere count as vetoed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Best first.
    pub order: Vec<Ranked>,
    /// Not these.
    pub vetoes: Vec<Veto>,
    /// Reasons for the whole.
    pub reasons: Vec<Reason>,
}

/// A question with the identities behind its indexes, so that an answer can be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed<Q> {
    /// The question.
    pub question: Q,
    /// Identity of each index.
    pub ids: Vec<ServerId>,
}

impl<Q> Indexed<Q> {
    /// The identity behind an index of an answer.
    pub fn id(&self, index: ServerIndex) -> Option<&ServerId> {
        self.ids.get(usize::try_from(index).ok()?)
    }

    /// The identities of a ranking, best first. Unknown indices are left out.
    pub fn order(&self, ranked: &[Ranked]) -> Vec<ServerId> {
        let known = ranked.iter().filter_map(|ranked| self.id(ranked.server));
        known.cloned().collect()
    }

    /// The identities of a ranking with the reasons of each, best first. Unknown indices are left
    /// out.
    pub fn ranked(&self, ranked: &[Ranked]) -> Vec<(ServerId, Vec<String>)> {
        let texts = |ranked: &Ranked| ranked.reasons.iter().map(|why| why.text.clone()).collect();
        let known = ranked
            .iter()
            .filter_map(|ranked| Some((self.id(ranked.server)?.clone(), texts(ranked))));
        known.collect()
    }
}
