//! The databases that hold Baton's own state.

use std::collections::BTreeMap;

use baton_core::policy::backend::BackendKind;
use schemars::JsonSchema;
use serde::Serialize;

/// Everything known of the backends.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Backend")]
pub(in crate::v1) struct BackendDocument {
    /// `embedded` or `databases`.
    #[schemars(extend("enum" = ["embedded", "databases"]))]
    pub(in crate::v1) mode: &'static str,
    /// In words, without secrets.
    pub(in crate::v1) store: String,
    /// The choice; null for an embedded store.
    pub(in crate::v1) selection: Option<SelectionDocument>,
    /// The backend that holds the state, as far as known.
    pub(in crate::v1) holder: Option<String>,
    /// Highest lease epoch ever seen by this node.
    pub(in crate::v1) highest_epoch: Option<u64>,
    /// The backends, in configured order.
    pub(in crate::v1) clusters: Vec<BackendClusterDocument>,
}

/// The choice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendSelection")]
pub(in crate::v1) struct SelectionDocument {
    /// Identity of the node in use; null if none is fit.
    pub(in crate::v1) node: Option<String>,
    /// Grows with each choice.
    pub(in crate::v1) generation: u64,
    /// How long this choice has stood.
    pub(in crate::v1) since_ms: Option<u32>,
    /// All that may be used, best first.
    pub(in crate::v1) usable: Vec<String>,
    /// Why.
    pub(in crate::v1) reasons: Vec<WordDocument>,
    /// Who chose: `name@version`.
    pub(in crate::v1) selector: String,
    /// The configured selector failed and the built-in one answered: why.
    pub(in crate::v1) fallback: Option<String>,
    /// Changes in the last hour.
    pub(in crate::v1) changes_last_hour: u32,
}

/// A stable word, and a sentence.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Word")]
pub(in crate::v1) struct WordDocument {
    /// The word.
    pub(in crate::v1) code: String,
    /// The sentence.
    pub(in crate::v1) text: String,
}

/// One backend.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendCluster")]
pub(in crate::v1) struct BackendClusterDocument {
    /// Its name.
    pub(in crate::v1) name: String,
    /// `galera`, `ndb`, `master-master`, `group-replication`.
    #[schemars(extend("enum" = BackendKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>()))]
    pub(in crate::v1) kind: &'static str,
    /// The state was moved from here to the backend of this name.
    pub(in crate::v1) moved_to: Option<String>,
    /// Kind `master-master`: what is being done about the roles, or why nothing is.
    pub(in crate::v1) promotion: Option<String>,
    /// Its nodes, in configured order.
    pub(in crate::v1) nodes: Vec<BackendNodeDocument>,
}

/// One database node.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendNode")]
pub(in crate::v1) struct BackendNodeDocument {
    /// `<backend>/<host:port>`.
    pub(in crate::v1) id: String,
    /// `host:port`.
    pub(in crate::v1) address: String,
    /// This Baton node uses it now.
    pub(in crate::v1) in_use: bool,
    /// How it answers.
    pub(in crate::v1) probe: BackendProbeDocument,
    /// A write would be accepted; null = never read.
    pub(in crate::v1) ready: Option<bool>,
    /// How long without interruption.
    pub(in crate::v1) ready_for_ms: Option<u32>,
    /// What stands against it.
    pub(in crate::v1) against: Vec<WordDocument>,
    /// What a person should know although it can be used.
    pub(in crate::v1) notes: Vec<WordDocument>,
    /// Outcome of the last read through its cluster.
    pub(in crate::v1) proof_ok: Option<bool>,
    /// Its age.
    pub(in crate::v1) proof_age_ms: Option<u32>,
    /// Nodes its cluster counts.
    pub(in crate::v1) members: Option<u32>,
    /// How many of them it sees.
    pub(in crate::v1) members_seen: Option<u32>,
    /// Lease epoch read there.
    pub(in crate::v1) lease_epoch: Option<u64>,
    /// How far it lies behind the best of its backend.
    pub(in crate::v1) epoch_behind: Option<u32>,
    /// Version of the tables there.
    pub(in crate::v1) schema: Option<u32>,
    /// Raw values, as of the last answer, by the names of the server's documentation.
    pub(in crate::v1) facts: BTreeMap<String, String>,
    /// From the configuration.
    pub(in crate::v1) tags: BTreeMap<String, String>,
    /// Other Baton nodes that use it.
    pub(in crate::v1) used_by: u32,
}

/// How a database node answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendProbe")]
pub(in crate::v1) struct BackendProbeDocument {
    /// `not_probed`, `partial`, `answering`, `silent`.
    #[schemars(extend("enum" = ["not_probed", "partial", "answering", "silent"]))]
    pub(in crate::v1) state: &'static str,
    /// Word of the last failure.
    pub(in crate::v1) failure: Option<String>,
    /// Its MySQL error number.
    pub(in crate::v1) error_number: Option<u32>,
    /// Age of the facts: of the last full answer.
    pub(in crate::v1) answered_age_ms: Option<u32>,
    /// Age of the last attempt.
    pub(in crate::v1) attempt_age_ms: Option<u32>,
    /// Failed attempts since the last full answer.
    pub(in crate::v1) failures: u32,
    /// Round trip of the last full answer, microseconds.
    pub(in crate::v1) round_trip_us: Option<u32>,
}

/// How the state was moved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendMove")]
pub(in crate::v1) struct MoveDocument {
    /// The backend that held it.
    pub(in crate::v1) from: String,
    /// The backend that holds it.
    pub(in crate::v1) to: String,
    /// The node in use there.
    pub(in crate::v1) node: String,
    /// Rows copied.
    pub(in crate::v1) rows: usize,
    /// How long writes of this node waited, milliseconds.
    pub(in crate::v1) held_ms: u64,
    /// Epoch of the lease there.
    pub(in crate::v1) lease_epoch: u64,
}
