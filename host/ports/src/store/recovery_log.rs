//! The recovery log: recoveries, and the journal of their steps.

use async_trait::async_trait;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_core::words;

use super::StoreError;

/// A recovery as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRecord {
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
    pub subject: ServerId,
    /// Its address then.
    pub subject_address: Address,
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

impl RecoveryRecord {
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

words!(JournalStage {
    Begun = "begun",
    Done = "done",
    Failed = "failed",
    Unknown = "unknown",
    Skipped = "skipped",
});

/// One line of a recovery's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Number of the step within its recovery.
    pub step: u32,
    /// Phase word: `lock`, `fence`, `revoke`, `drain`, `choose`, `promote`, `route`, `repoint`,
    /// `verify`, `rejoin`, `unwind`.
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
pub struct StepRecord {
    /// Growing number.
    pub number: i64,
    /// Its recovery.
    pub recovery: RecoveryId,
    /// The line.
    pub entry: JournalEntry,
}

/// Recoveries and their journals.
#[async_trait]
pub trait RecoveryLog: Send + Sync {
    /// Opens a recovery and gives its number; [`StoreError::Conflict`] if another one of the same
    /// cluster is running, or if the identity is in use.
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError>;
    /// Updates successor, outcome, end, lost servers, errors and `committed` of a running recovery,
    /// under the epoch in `row`. One that has ended does not run again.
    async fn update_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError>;
    /// Takes over a running recovery of an earlier epoch: sets node and epoch.
    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError>;
    /// Appends journal lines durably, all or none, under the epoch of the recovery.
    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError>;
    /// Merges recoveries that a node journaled on its local disk: inserts or updates them by
    /// identity, with new numbers, and appends the lines that are missing here. The call may be
    /// repeated. Of two running recoveries of a cluster, the one that comes later is recorded as
    /// failed.
    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRecord],
        steps: &[StepRecord],
    ) -> Result<(), StoreError>;
    /// Running recoveries.
    async fn running_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError>;
    /// Recoveries, newest first: of one cluster or all, `skip` and `limit` for paging.
    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, StoreError>;
    /// One recovery.
    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRecord>, StoreError>;
    /// Journal of a recovery, in order.
    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError>;
    /// Acknowledges ended recoveries that are not acknowledged yet: one, those of a cluster, or
    /// all. Gives how many.
    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError>;
}
