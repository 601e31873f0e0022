//! The port to the state store: decisions and slow facts only.

use async_trait::async_trait;
use baton_core::gtid::GtidSet;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{Downtime, PromotionRule, RecoveryKind, RecoveryOutcome};
use baton_core::right::Voters;
use baton_core::time::WallTime;
use std::time::Duration;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Busy or interrupted; nothing was done; the same call may be repeated.
    #[error("{operation} on the state store was interrupted; it can be repeated")]
    Retry {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The outcome is unknown: read again before repeating.
    #[error("{operation} on the state store has an unknown outcome")]
    OutcomeUnknown {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller's lease epoch is not the present one.
    #[error("{operation} was refused by the state store: lease epoch {epoch} is over")]
    Fenced {
        /// What was attempted.
        operation: &'static str,
        /// The caller's epoch.
        epoch: LeaseEpoch,
    },
    /// Read-only, full, corrupt, or gone: nothing was done, and repeating will not help soon.
    #[error("{operation} on the state store failed")]
    Unavailable {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A conflicting row exists (for example: another recovery of the cluster is running).
    #[error("{operation} was refused by the state store: {conflict}")]
    Conflict {
        /// What was attempted.
        operation: &'static str,
        /// What stands against it.
        conflict: String,
    },
}

impl StoreError {
    /// The error with its causes, on one line.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

/// A known server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// Identity.
    pub id: ServerId,
    /// Present address.
    pub address: Address,
    /// The server's own unique identity, once read.
    pub uid: Option<String>,
    /// Cluster it belongs to.
    pub cluster: Option<ClusterId>,
    /// When it last answered in full.
    pub last_seen: Option<WallTime>,
    /// Other addresses by which it is known.
    pub aliases: Vec<Address>,
    /// Promotion rule.
    pub promotion: PromotionRule,
    /// When the rule ends; `None` = never.
    pub promotion_expires: Option<WallTime>,
    /// Set aside with errant transactions, as text.
    pub quarantine: Option<String>,
}

/// A known cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRow {
    /// Identity.
    pub id: ClusterId,
    /// Name, unique.
    pub name: String,
    /// Intended primary.
    pub primary: Option<ServerId>,
    /// Epoch under which it was set.
    pub primary_epoch: LeaseEpoch,
}

/// A lease as its row shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// Holder, or nobody.
    pub holder: Option<NodeName>,
    /// Strictly growing with each change of hands.
    pub epoch: LeaseEpoch,
    /// Grows with each renewal: a contender sees by it that the holder lives.
    pub renewals: u64,
    /// Time to live that the holder promised.
    pub ttl: Duration,
}

/// Outcome of trying to take or renew a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Held by the caller now.
    Held(LeaseState),
    /// Somebody else's.
    Other(LeaseState),
}

/// A recovery as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRow {
    /// Identity.
    pub id: RecoveryId,
    /// Number, growing, for the compatible API; 0 before it is stored.
    pub number: i64,
    /// Cluster.
    pub cluster: ClusterId,
    /// Cluster's name then.
    pub cluster_name: String,
    /// Kind.
    pub kind: RecoveryKind,
    /// Code word of the finding that led to it; empty for planned ones.
    pub finding: String,
    /// Server replaced or rejoined.
    pub failed: ServerId,
    /// Its address then.
    pub failed_address: Address,
    /// Successor, once chosen.
    pub successor: Option<ServerId>,
    /// Its address then.
    pub successor_address: Option<Address>,
    /// Outcome.
    pub outcome: RecoveryOutcome,
    /// Begun by Baton.
    pub automatic: bool,
    /// Node that acts.
    pub node: NodeName,
    /// Epoch under which it acts.
    pub epoch: LeaseEpoch,
    /// Start.
    pub started: WallTime,
    /// End.
    pub ended: Option<WallTime>,
    /// Servers that could not be brought along.
    pub lost: Vec<ServerId>,
    /// Texts of what went wrong.
    pub errors: Vec<String>,
    /// The decision: finding, evidence, question, answers, as JSON text; opaque to the store.
    pub decision: String,
    /// Acknowledgement: who, when, comment.
    pub acknowledged: Option<(String, WallTime, String)>,
    /// Whether the point of no return was passed (the step that opens writes was sent).
    pub committed: bool,
}

impl RecoveryRow {
    /// Whether it made its successor the primary, whatever became of that one.
    pub fn has_promoted(&self) -> bool {
        let opened = match self.outcome {
            RecoveryOutcome::Succeeded => true,
            // What was sent and came to nothing is not marked as sent any more.
            RecoveryOutcome::Failed => self.committed,
            RecoveryOutcome::Running | RecoveryOutcome::Unwound => false,
        };
        opened && self.kind.replaces_primary() && self.successor.is_some()
    }
}

/// A Baton node as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: NodeName,
    /// Unique per process start.
    pub start: String,
    /// Where its API listens, for people and for forwarding.
    pub url: String,
    /// Program version.
    pub version: String,
    /// Grows while it lives; counted by the store.
    pub beats: u64,
    /// Newest version of recorded members (over all clusters) that it has read.
    pub voters_seen: u64,
}

/// Before or after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalStage {
    /// About to be sent.
    Begun,
    /// Done.
    Done,
    /// Failed; nothing was done.
    Failed,
    /// No answer.
    Unknown,
    /// Not needed any more, or waived with a reason.
    Skipped,
}

impl JournalStage {
    /// Stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Begun,
            Self::Done,
            Self::Failed,
            Self::Unknown,
            Self::Skipped,
        ]
        .into_iter()
        .find(|stage| stage.word() == word)
    }
}

/// One line of a recovery's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Number of the step within its recovery.
    pub step: u32,
    /// Phase word: `lock`, `fence`, `revoke`, `drain`, `choose`, `promote`, `route`, `repoint`, `verify`, `rejoin`, `unwind`.
    pub phase: String,
    /// Stage.
    pub stage: JournalStage,
    /// Server it is about.
    pub server: Option<ServerId>,
    /// One sentence.
    pub text: String,
    /// Wall clock.
    pub at: WallTime,
    /// Microseconds since the recovery's trigger (the loss was noticed).
    pub since_trigger_us: u64,
}

/// A stored journal line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// Growing number.
    pub number: i64,
    /// Its recovery.
    pub recovery: RecoveryId,
    /// The line.
    pub entry: JournalEntry,
}

/// Where clients of a cluster are sent: the internal key-value table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Key, for example `mysql/master/<cluster name>`.
    pub key: String,
    /// Value, for example `host:port`.
    pub value: String,
    /// Epoch under which it was written; an older epoch never overwrites a newer one.
    pub epoch: LeaseEpoch,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: WallTime,
    /// Stable word: `discover`, `forget`, `begin-downtime`, `ack-recovery`, `policy-fallback` ...
    pub kind: String,
    /// Server, if it is about one.
    pub server: Option<Address>,
    /// Cluster, if it is about one.
    pub cluster: Option<ClusterId>,
    /// Who asked: user or node.
    pub by: String,
    /// One sentence.
    pub text: String,
}

/// The state store. All calls are atomic. Calls with an `epoch` fail with [`StoreError::Fenced`] if the named lease is
/// not held under it at that moment, checked in the same transaction.
///
/// Dropping a future midway leaves the outcome of a write unknown.
#[async_trait]
pub trait Store: Send + Sync {
    // Leases.
    /// Reads a lease; `None` if nobody ever took it.
    async fn lease(&self, name: &str) -> Result<Option<LeaseState>, StoreError>;
    /// The highest epoch of a lease that is known here; 0 if there is none. A store that remembers by itself tells it even while the
    /// database that it shares with others is away.
    async fn highest_epoch(&self, name: &str) -> Result<LeaseEpoch, StoreError> {
        let state = self.lease(name).await?;
        Ok(state.map_or(LeaseEpoch::default(), |state| state.epoch))
    }
    /// Takes the lease if it is free, own, or still in the state `expected` (epoch and renewals) that the caller saw unchanged for long enough.
    /// The new epoch is greater than the row's and than `highest`, the highest that the caller ever saw: a backend that lost commits, or was
    /// restored from an old copy, must not make epochs run backwards. A row whose epoch is below `highest` is taken only as `expected`, even if
    /// it is free or own: who took the lease in a commit that is lost may hold it still.
    async fn claim_lease(
        &self,
        name: &str,
        node: &NodeName,
        ttl: Duration,
        expected: Option<(LeaseEpoch, u64)>,
        highest: LeaseEpoch,
    ) -> Result<Claim, StoreError>;
    /// Renews an own lease.
    async fn renew_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<Claim, StoreError>;
    /// Gives an own lease up; no error if it is not own.
    async fn release_lease(
        &self,
        name: &str,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError>;

    // Servers and clusters.
    /// All known servers.
    async fn servers(&self) -> Result<Vec<ServerRow>, StoreError>;
    /// Inserts or replaces (promotion rule, its expiry and quarantine excepted: see below).
    async fn put_servers(&self, rows: &[ServerRow]) -> Result<(), StoreError>;
    /// Forgets a server with all that is recorded about it; `false` if unknown.
    async fn forget_server(&self, id: &ServerId) -> Result<bool, StoreError>;
    /// Sets the promotion rule.
    async fn set_promotion(
        &self,
        id: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
    ) -> Result<(), StoreError>;
    /// Sets or clears the quarantine of a server (text: its errant transactions).
    async fn set_quarantine(&self, id: &ServerId, errant: Option<&str>) -> Result<(), StoreError>;
    /// All clusters.
    async fn clusters(&self) -> Result<Vec<ClusterRow>, StoreError>;
    /// Inserts a cluster, or renames it; names are unique: [`StoreError::Conflict`].
    async fn put_cluster(&self, id: &ClusterId, name: &str) -> Result<(), StoreError>;
    /// Removes a cluster that has no servers any more.
    async fn forget_cluster(&self, id: &ClusterId) -> Result<(), StoreError>;
    /// Records the intended primary, under the epoch of lease `lease`; an older epoch never overwrites a newer one.
    async fn set_primary(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        primary: &ServerId,
    ) -> Result<(), StoreError>;

    // Operators' words.
    /// Downtimes that have not ended at `now`.
    async fn downtimes(&self, now: WallTime) -> Result<Vec<(ServerId, Downtime)>, StoreError>;
    /// Sets or ends (`None`) a downtime.
    async fn set_downtime(
        &self,
        id: &ServerId,
        downtime: Option<&Downtime>,
    ) -> Result<(), StoreError>;
    /// The global switch; `true` if recoveries are enabled.
    async fn recoveries_enabled(&self) -> Result<bool, StoreError>;
    /// Sets the global switch.
    async fn set_recoveries_enabled(&self, enabled: bool) -> Result<(), StoreError>;

    // Nodes, and whose locks are votes.
    /// Registers a node, or shows that it lives: `beats` is counted by the store.
    async fn beat(&self, node: &NodeRow) -> Result<(), StoreError>;
    /// All registered nodes, by name.
    async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError>;
    /// Removes a node that is gone for good; `false` if unknown.
    async fn forget_node(&self, name: &NodeName) -> Result<bool, StoreError>;
    /// Recorded members of all clusters.
    async fn voters(&self) -> Result<Vec<(ClusterId, Voters)>, StoreError>;
    /// Records the members of a cluster. The version must be greater than that of every other record.
    async fn set_voters(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: &Voters,
    ) -> Result<(), StoreError>;

    /// The most that was seen of each cluster's history.
    async fn histories(&self) -> Result<Vec<(ClusterId, GtidSet)>, StoreError>;
    /// Records the most that was seen of a cluster's history, instead of what was recorded before.
    async fn put_history(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        seen: &GtidSet,
    ) -> Result<(), StoreError>;

    // Recoveries and their journal.
    /// Opens a recovery; [`StoreError::Conflict`] if one of the same cluster is running. Gives its number.
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError>;
    /// Updates successor, outcome, end, lost, errors and `committed`, under the epoch in `row`.
    async fn update_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError>;
    /// Takes over a running recovery of an earlier epoch: sets node and epoch.
    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError>;
    /// Appends journal lines durably, in one transaction, under the epoch of the recovery.
    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError>;
    /// Takes over recoveries that were journaled elsewhere while this store was away: inserts or updates them by identity, with new
    /// numbers, and appends the lines that are not here. May be repeated. Of two running ones of a cluster the one that comes later
    /// is recorded as failed.
    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRow],
        steps: &[StepRow],
    ) -> Result<(), StoreError>;
    /// Takes over intended primaries and routes that were recorded elsewhere while this store was away, each under its own epoch. Of
    /// what is recorded here under a later epoch nothing is changed; under the same one, which has one holder, what is handed over is later; clusters that are not recorded here are passed over.
    async fn merge_intents(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        clusters: &[ClusterRow],
        routes: &[Route],
    ) -> Result<(), StoreError>;
    /// Running recoveries.
    async fn running_recoveries(&self) -> Result<Vec<RecoveryRow>, StoreError>;
    /// Recoveries, newest first: of one cluster or all, `skip` and `limit` for paging.
    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRow>, StoreError>;
    /// One recovery.
    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRow>, StoreError>;
    /// Journal of a recovery, in order.
    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError>;
    /// Acknowledges ended recoveries that are not acknowledged yet: one, those of a cluster, or all. Gives how many.
    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError>;

    // Routes and audit.
    /// Writes routes; a row with a newer epoch stays.
    async fn put_routes(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError>;
    /// All routes.
    async fn routes(&self) -> Result<Vec<Route>, StoreError>;
    /// Appends to the audit log.
    async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError>;
    /// Audit log, newest first.
    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
    /// Writes and reads back a row: is the store healthy and writable?
    async fn ping(&self, node: &NodeName) -> Result<(), StoreError>;
}
