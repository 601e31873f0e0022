//! What people and the API are shown of the databases that keep Baton's own state.

use baton_core::policy::backend::BackendKind;
use baton_core::policy::{Ms, Pair, ProbeView, Reason};

use crate::BackendCondition;

/// Everything known about the backends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendStatus {
    /// The backends, in configured order.
    pub clusters: Vec<BackendClusterStatus>,
    /// The choice.
    pub selection: SelectionStatus,
    /// The backend that holds the state, as far as known.
    pub holder: Option<String>,
    /// Highest lease epoch ever seen.
    pub highest_epoch: Option<u64>,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendClusterStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: BackendKind,
    /// Its nodes, in configured order.
    pub nodes: Vec<BackendNodeStatus>,
    /// The state went from here to the backend of this name.
    pub moved_to: Option<String>,
    /// Kind `master-master`: what is being done about the roles, or why nothing is.
    pub promotion: Option<String>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendNodeStatus {
    /// `<backend>/<host:port>`.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// This Baton uses it now.
    pub in_use: bool,
    /// How it answers.
    pub probe: ProbeView,
    /// A write would be accepted. `None` = never read.
    pub ready: Option<bool>,
    /// Conditions that do not hold.
    pub against: Vec<BackendCondition>,
    /// What a person should know although it can be used.
    pub notes: Vec<BackendCondition>,
    /// Time since it became ready without interruption.
    pub ready_for: Option<Ms>,
    /// Age of the last proof that was tried.
    pub proof_age: Option<Ms>,
    /// Its outcome.
    pub proof_ok: Option<bool>,
    /// Nodes its cluster counts.
    pub members: Option<u32>,
    /// How many of them it sees.
    pub members_seen: Option<u32>,
    /// Lease epoch read there.
    pub epoch: Option<u64>,
    /// How far it lies behind the highest ever seen.
    pub epoch_behind: Option<u32>,
    /// Version of the tables there.
    pub schema: Option<u32>,
    /// Raw values, as of the last answer.
    pub facts: Vec<Pair>,
    /// From the configuration.
    pub tags: Vec<Pair>,
    /// Other Baton nodes that use it.
    pub used_by: u32,
}

/// The choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectionStatus {
    /// Identity of the chosen node; `None` = none is fit.
    pub node: Option<String>,
    /// Grows with each choice.
    pub generation: u64,
    /// How long this choice has stood.
    pub since: Option<Ms>,
    /// All that may be used, best first.
    pub usable: Vec<String>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Who chose: `name@version`.
    pub policy: String,
    /// The configured policy failed and the built-in one answered: why.
    pub fallback: Option<String>,
    /// Changes in the last hour.
    pub changes: u32,
}
