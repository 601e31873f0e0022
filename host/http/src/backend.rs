//! What the API shows of the databases that hold Baton's own state, and asks of them. The watch
//! over them is another package's; who puts the program together converts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use baton_control::RequestError;
use baton_core::policy::backend::BackendKind;
use schemars::JsonSchema;
use serde::Serialize;

/// The databases that hold Baton's own state.
#[async_trait]
pub trait Backends: Send + Sync {
    /// What is known of them, from memory.
    fn status(&self) -> BackendDocument;
    /// Moves the state to another of the configured backends, and uses that one from then on. Waits
    /// for the end.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with every reason if that is not safe now; nothing was done then.
    async fn move_to(&self, request: MoveRequest) -> Result<MoveDocument, RequestError>;
}

/// The order to move the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// Name of the backend that gets it.
    pub to: String,
    /// Go on although some other Baton nodes do not say whether they reach that backend.
    pub without_peers: bool,
    /// Who asks, for the audit.
    pub by: String,
}

/// How the state was moved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendMove")]
pub struct MoveDocument {
    /// The backend that held it.
    pub from: String,
    /// The backend that holds it.
    pub to: String,
    /// The node in use there.
    pub node: String,
    /// Rows copied.
    pub rows: usize,
    /// How long writes of this node waited, milliseconds.
    pub held_ms: u64,
    /// Epoch of the lease there.
    pub lease_epoch: u64,
}

/// Everything known of the backends.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Backend")]
pub struct BackendDocument {
    /// `embedded` or `databases`.
    #[schemars(extend("enum" = ["embedded", "databases"]))]
    pub mode: &'static str,
    /// In words, without secrets.
    pub store: String,
    /// The choice; null for an embedded store.
    pub selection: Option<SelectionDocument>,
    /// The backend that holds the state, as far as known.
    pub holder: Option<String>,
    /// Highest lease epoch ever seen by this node.
    pub highest_epoch: Option<u64>,
    /// The backends, in configured order.
    pub clusters: Vec<BackendClusterDocument>,
}

/// The choice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendSelection")]
pub struct SelectionDocument {
    /// Identity of the node in use; null if none is fit.
    pub node: Option<String>,
    /// Grows with each choice.
    pub generation: u64,
    /// How long this choice has stood.
    pub since_ms: Option<u32>,
    /// All that may be used, best first.
    pub usable: Vec<String>,
    /// Why.
    pub reasons: Vec<WordDocument>,
    /// Who chose: `name@version`.
    pub selector: String,
    /// The configured selector failed and the built-in one answered: why.
    pub fallback: Option<String>,
    /// Changes in the last hour.
    pub changes_last_hour: u32,
}

/// A stable word, and a sentence.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Word")]
pub struct WordDocument {
    /// The word.
    pub code: String,
    /// The sentence.
    pub text: String,
}

/// One backend.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendCluster")]
pub struct BackendClusterDocument {
    /// Its name.
    pub name: String,
    /// `galera`, `ndb`, `master-master`, `group-replication`.
    #[schemars(extend("enum" = BackendKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>()))]
    pub kind: &'static str,
    /// The state was moved from here to the backend of this name.
    pub moved_to: Option<String>,
    /// Kind `master-master`: what is being done about the roles, or why nothing is.
    pub promotion: Option<String>,
    /// Its nodes, in configured order.
    pub nodes: Vec<BackendNodeDocument>,
}

/// One database node.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendNode")]
pub struct BackendNodeDocument {
    /// `<backend>/<host:port>`.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// This Baton node uses it now.
    pub in_use: bool,
    /// How it answers.
    pub probe: BackendProbeDocument,
    /// A write would be accepted; null = never read.
    pub ready: Option<bool>,
    /// How long without interruption.
    pub ready_for_ms: Option<u32>,
    /// What stands against it.
    pub against: Vec<WordDocument>,
    /// What a person should know although it can be used.
    pub notes: Vec<WordDocument>,
    /// Outcome of the last read through its cluster.
    pub proof_ok: Option<bool>,
    /// Its age.
    pub proof_age_ms: Option<u32>,
    /// Nodes its cluster counts.
    pub members: Option<u32>,
    /// How many of them it sees.
    pub members_seen: Option<u32>,
    /// Lease epoch read there.
    pub lease_epoch: Option<u64>,
    /// How far it lies behind the best of its backend.
    pub epoch_behind: Option<u32>,
    /// Version of the tables there.
    pub schema: Option<u32>,
    /// Raw values, as of the last answer, by the names of the server's documentation.
    pub facts: BTreeMap<String, String>,
    /// From the configuration.
    pub tags: BTreeMap<String, String>,
    /// Other Baton nodes that use it.
    pub used_by: u32,
}

/// How a database node answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackendProbe")]
pub struct BackendProbeDocument {
    /// `not_probed`, `partial`, `answering`, `silent`.
    #[schemars(extend("enum" = ["not_probed", "partial", "answering", "silent"]))]
    pub state: &'static str,
    /// Word of the last failure.
    pub failure: Option<String>,
    /// Its MySQL error number.
    pub error_number: Option<u32>,
    /// Age of the facts: of the last full answer.
    pub answered_age_ms: Option<u32>,
    /// Age of the last attempt.
    pub attempt_age_ms: Option<u32>,
    /// Failed attempts since the last full answer.
    pub failures: u32,
    /// Round trip of the last full answer, microseconds.
    pub round_trip_us: Option<u32>,
}

/// A node whose state is in a file of its own, or in its memory.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// In words.
    pub store: String,
}

#[async_trait]
impl Backends for Embedded {
    fn status(&self) -> BackendDocument {
        BackendDocument {
            mode: "embedded",
            store: self.store.clone(),
            selection: None,
            holder: None,
            highest_epoch: None,
            clusters: Vec::new(),
        }
    }

    async fn move_to(&self, request: MoveRequest) -> Result<MoveDocument, RequestError> {
        let message = format!(
            "the state is embedded ({}) and cannot be moved to {:?} while running: configure [[backend.cluster]] \
             and start anew, or copy the database file",
            self.store, request.to
        );
        Err(RequestError::Refused {
            reasons: vec![message.clone()],
            message,
        })
    }
}
