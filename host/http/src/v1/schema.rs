//! The JSON documents that `/api/v1` answers with.

mod backend;
mod server;

use std::collections::BTreeMap;

use baton_control::NodeLife;
use baton_core::analysis::{Code, Severity};
use baton_core::model::{RecoveryKind, RecoveryOutcome, Risk, Switch};
use baton_core::planning::Phase;
use baton_core::policy::Suggestion;
use baton_ports::JournalStage;
use schemars::JsonSchema;
use serde::Serialize;

use crate::vocabulary::Word;

pub(super) use backend::{
    BackendClusterDocument, BackendDocument, BackendNodeDocument, BackendProbeDocument,
    MoveDocument, SelectionDocument, WordDocument,
};
pub(super) use server::{
    ChannelDocument, CommitDocument, DowntimeDocument, ErrorDocument, FactsDocument, PlaceDocument,
    PositionDocument, ProbeDocument, SemiSyncDocument, ServerDocument, VitalsDocument,
};

/// A part of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// How many to skip for the next part; null if this is the last.
    pub(super) next_skip: Option<u32>,
}

/// A server, by identity and (if known) present address.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServerRef {
    pub(super) id: String,
    pub(super) address: Option<String>,
}

/// This node.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Node")]
pub(super) struct NodeDocument {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) token: String,
    #[schemars(extend("format" = "date-time"))]
    pub(super) started_at: String,
    pub(super) is_leader: bool,
    pub(super) lease_epoch: Option<u64>,
    /// It acts without the state store, which is away.
    pub(super) stands_in: bool,
    pub(super) leader: Option<String>,
    /// Where it serves, as other nodes reach it.
    pub(super) url: String,
    pub(super) store: String,
    pub(super) store_problem: Option<String>,
    pub(super) policy: String,
    pub(super) recoveries_enabled: Option<bool>,
    pub(super) warm: bool,
    pub(super) counters: BTreeMap<&'static str, f64>,
}

/// A Baton node as another one knows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fellow")]
pub(super) struct NodeViewDocument {
    /// null: a configured peer that never answered.
    pub(super) name: Option<String>,
    pub(super) url: String,
    pub(super) version: Option<String>,
    /// Another one after each start.
    pub(super) token: Option<String>,
    /// this: it is the node that answers; gone: its process ended; silent: frozen or cut off;
    /// strange: no Baton node answers there; registered: in the store, and no peer of the node that
    /// answers.
    pub(super) life: Word<NodeLife>,
    /// Age of its last answer.
    pub(super) answered_age_ms: Option<u64>,
    pub(super) is_leader: bool,
    pub(super) epoch: Option<u64>,
    /// false while is_leader: it acts without the state store.
    pub(super) store_answers: Option<bool>,
    /// Names of the nodes that it hears.
    pub(super) hears: Vec<String>,
}

/// What is said about a cluster first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ClusterHead {
    pub(super) id: String,
    pub(super) name: String,
    #[schemars(extend("enum" = ["ok", "notice", "warning", "critical", "recovering"]))]
    pub(super) status: &'static str,
    pub(super) primary: Option<ServerRef>,
    pub(super) servers_answering: usize,
    pub(super) automatic: bool,
    pub(super) recovering: Option<ActiveDocument>,
    #[schemars(extend("format" = "date-time"))]
    pub(super) as_of: String,
}

/// A cluster in a few lines; servers and findings are counted.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ClusterSummary {
    #[serde(flatten)]
    pub(super) head: ClusterHead,
    pub(super) servers: usize,
    pub(super) findings: usize,
}

/// A cluster in full.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterDocument {
    #[serde(flatten)]
    pub(super) head: ClusterHead,
    pub(super) primary_view: PrimaryDocument,
    pub(super) primary_epoch: u64,
    pub(super) risk: Word<Risk>,
    pub(super) recoveries_enabled: Word<Switch>,
    pub(super) servers: Vec<ServerDocument>,
    pub(super) findings: Vec<FindingDocument>,
    pub(super) past_recoveries: Vec<PastDocument>,
}

/// A recovery under way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Active")]
pub(super) struct ActiveDocument {
    pub(super) id: String,
    pub(super) kind: Word<RecoveryKind>,
    pub(super) failed: ServerRef,
}

/// An earlier recovery, as far as the loop remembers it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Past")]
pub(super) struct PastDocument {
    pub(super) id: String,
    pub(super) kind: Word<RecoveryKind>,
    pub(super) outcome: Word<RecoveryOutcome>,
    /// It made its successor the primary, whatever became of that one.
    pub(super) promoted: bool,
    pub(super) automatic: bool,
    #[schemars(extend("format" = "date-time"))]
    pub(super) started_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(super) ended_at: Option<String>,
    pub(super) failed: ServerRef,
    pub(super) successor: Option<ServerRef>,
    pub(super) acknowledged: bool,
}

/// Which server the cluster writes to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Primary")]
pub(super) struct PrimaryDocument {
    #[schemars(extend("enum" = ["recorded", "derived", "moved", "unknown"]))]
    pub(super) state: &'static str,
    pub(super) server: Option<ServerRef>,
    pub(super) recorded: Option<ServerRef>,
    pub(super) candidates: Vec<ServerRef>,
}

/// Something that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct FindingDocument {
    pub(super) code: Word<Code>,
    pub(super) cluster: String,
    pub(super) cluster_name: String,
    pub(super) server: ServerRef,
    pub(super) severity: Word<Severity>,
    pub(super) suggestion: Word<Suggestion>,
    pub(super) recovery: Option<Word<RecoveryKind>>,
    pub(super) evidence: Vec<ReasonDocument>,
}

/// A reason or a piece of evidence.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reason")]
pub(super) struct ReasonDocument {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) about: Vec<ServerRef>,
}

/// What Baton would do now, and why.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
pub(super) struct ExplanationDocument {
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) primary_view: PrimaryDocument,
    pub(super) findings: Vec<FindingDocument>,
    pub(super) intention: IntentionDocument,
    pub(super) reasons: Vec<ReasonDocument>,
    pub(super) obstacles: Vec<ReasonDocument>,
    pub(super) candidates: Vec<CandidateDocument>,
    pub(super) expected_loss: LossDocument,
    /// What the recovery would do, in order; empty if no recovery answers what is wrong.
    pub(super) steps: Vec<ForeseenStepDocument>,
    /// What would go wrong with it, or stands in its way; the first one first.
    pub(super) problems: Vec<String>,
    pub(super) policy: String,
}

/// What an order would come to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Forecast")]
pub(super) struct ForecastDocument {
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) kind: Word<RecoveryKind>,
    pub(super) subject: ServerRef,
    /// How it would end; `running` if that depends on what servers answer then.
    pub(super) outcome: Word<RecoveryOutcome>,
    pub(super) successor: Option<ServerRef>,
    pub(super) steps: Vec<ForeseenStepDocument>,
    /// What would go wrong, or stands in the way; the first one first.
    pub(super) problems: Vec<String>,
    pub(super) candidates: Vec<CandidateDocument>,
    pub(super) policy: Option<String>,
}

/// One thing that would be done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ForeseenStep")]
pub(super) struct ForeseenStepDocument {
    pub(super) phase: Word<Phase>,
    pub(super) server: Option<ServerRef>,
    pub(super) text: String,
    /// It would fail, because the server does not answer; that is tolerated.
    pub(super) fails: bool,
}

/// What it would do.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Intention")]
pub(super) struct IntentionDocument {
    #[schemars(extend("enum" = ["nothing", "recovering", "act", "wait", "hold"]))]
    pub(super) action: &'static str,
    pub(super) kind: Option<Word<RecoveryKind>>,
    pub(super) failed: Option<ServerRef>,
}

/// A server as a successor.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Candidate")]
pub(super) struct CandidateDocument {
    pub(super) server: ServerRef,
    pub(super) rank: Option<u32>,
    pub(super) score: Option<i32>,
    pub(super) missing: Option<u64>,
    pub(super) unapplied: Option<u64>,
    pub(super) reasons: Vec<ReasonDocument>,
    pub(super) excluded: bool,
}

/// What a failover now would lose.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Loss")]
pub(super) struct LossDocument {
    #[schemars(extend("enum" = ["none", "nothing-acknowledged", "at-most", "unknown"]))]
    pub(super) kind: &'static str,
    pub(super) transactions: Option<u64>,
    pub(super) reason: Option<String>,
}

/// A recovery as recorded.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Recovery")]
pub(super) struct RecoveryDocument {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) cluster: String,
    pub(super) cluster_name: String,
    pub(super) kind: Word<RecoveryKind>,
    pub(super) finding: Option<String>,
    pub(super) failed: ServerRef,
    pub(super) successor: Option<ServerRef>,
    pub(super) outcome: Word<RecoveryOutcome>,
    pub(super) automatic: bool,
    pub(super) node: String,
    pub(super) epoch: u64,
    #[schemars(extend("format" = "date-time"))]
    pub(super) started_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(super) ended_at: Option<String>,
    pub(super) duration_ms: Option<u64>,
    pub(super) lost: Vec<ServerRef>,
    pub(super) errors: Vec<String>,
    pub(super) committed: bool,
    pub(super) acknowledged: Option<AcknowledgedDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) steps: Option<Vec<StepDocument>>,
}

/// Who acknowledged it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Acknowledged")]
pub(super) struct AcknowledgedDocument {
    pub(super) by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(super) at: String,
    pub(super) comment: String,
}

/// One line of its journal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Step")]
pub(super) struct StepDocument {
    pub(super) number: i64,
    pub(super) step: u32,
    pub(super) phase: String,
    pub(super) stage: Word<JournalStage>,
    pub(super) server: Option<String>,
    pub(super) text: String,
    #[schemars(extend("format" = "date-time"))]
    pub(super) at: String,
    pub(super) since_trigger_us: u64,
}

/// Where clients of a cluster are sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Route")]
pub(super) struct RouteDocument {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) epoch: u64,
}

/// One line of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Audit")]
pub(super) struct AuditDocument {
    #[schemars(extend("format" = "date-time"))]
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) server: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) by: String,
    pub(super) text: String,
}

/// An address that never answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stray")]
pub(super) struct StrayDocument {
    pub(super) address: String,
    pub(super) failure: String,
}

/// A server with its downtime.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Downtimed")]
pub(super) struct DowntimedDocument {
    pub(super) server: ServerRef,
    pub(super) cluster: String,
    pub(super) cluster_name: String,
    pub(super) downtime: DowntimeDocument,
}

/// The policy in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyDocument {
    pub(super) purpose: &'static str,
    pub(super) policy: String,
}

/// The global switch; null if it cannot be read, which means off.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Switch")]
pub(super) struct SwitchDocument {
    pub(super) enabled: Option<bool>,
}

/// How many.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Count")]
pub(super) struct CountDocument {
    pub(super) count: u64,
}
