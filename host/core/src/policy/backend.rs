//! The question which database node Baton's own state is used on, and its answer: `wit/backend.wit`
//! in Baton's own types.

mod admission;
mod answer;
#[cfg(test)]
mod tests;

pub use admission::{BOTH_WRITABLE, OTHER_BACKEND_STATE, Objection, confine, is_behind, objection};
pub use answer::{check_selection, first_ready};

use super::{Context, Ms, Pair, PeerView, ProbeView, Reason};
use crate::words;

/// Index into [`SelectQuestion::nodes`].
pub type NodeIndex = u32;

/// Kind of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendKind {
    /// Embedded file.
    Sqlite,
    /// Two servers, each the other's replica; one is writable. Asynchronous: a failed node's last
    /// writes may be gone.
    MasterMaster,
    /// Galera or XtraDB Cluster, three nodes.
    Galera,
    /// MySQL Cluster: the nodes are its SQL nodes.
    Ndb,
    /// MySQL Group Replication, single primary.
    GroupReplication,
}

words!(BackendKind {
    Sqlite = "sqlite",
    MasterMaster = "master-master",
    Galera = "galera",
    Ndb = "ndb",
    GroupReplication = "group-replication",
});

impl BackendKind {
    /// True if what one node has committed survives that node: only then is the lease alone safe.
    pub fn is_synchronous(self) -> bool {
        matches!(self, Self::Galera | Self::Ndb | Self::GroupReplication)
    }
}

/// One configured database node, as probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendNode {
    /// Stable identity: `<backend>/<address>`.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// Name of the configured backend it belongs to.
    pub backend: String,
    /// Its kind.
    pub kind: BackendKind,
    /// This node's own probe.
    pub probe: ProbeView,
    /// How other Baton nodes see it.
    pub peers: Vec<PeerView>,
    /// Peers that use it now.
    pub used_by: u32,
    /// The host's own verdict by the rules of the kind: a write would be accepted. `None` = never
    /// read.
    pub ready: Option<bool>,
    /// Words of the conditions that do not hold; empty if it is ready.
    pub not_ready: Vec<String>,
    /// Age of the last proof: a write or causal read that went through the cluster.
    pub proof_age: Option<Ms>,
    /// Its outcome.
    pub proof_ok: Option<bool>,
    /// Time since it became ready without interruption.
    pub ready_for: Option<Ms>,
    /// Nodes its cluster counts.
    pub members: Option<u32>,
    /// How many of them it sees.
    pub members_seen: Option<u32>,
    /// How far the lease epoch read there lies behind the highest ever seen; 0 = up to date.
    pub epoch_behind: Option<u32>,
    /// Raw values as the node gave them.
    pub facts: Vec<Pair>,
    /// From the configuration: `zone` = `a`.
    pub tags: Vec<Pair>,
}

/// Which node is to be used now?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectQuestion {
    /// Common part.
    pub context: Context,
    /// All nodes of all backends, in configured order.
    pub nodes: Vec<BackendNode>,
    /// The one in use.
    pub current: Option<NodeIndex>,
    /// Since when.
    pub current_for: Option<Ms>,
    /// Age of the last change.
    pub changed_age: Option<Ms>,
    /// Changes in the last hour.
    pub changes: u32,
    /// This Baton holds the lease.
    pub leader: bool,
    /// Statements failed on the current node since the last question, by class.
    pub failures: Vec<(String, u32)>,
    /// Facts without a field of their own; `self-zone` = zone of this Baton node.
    pub extra: Vec<Pair>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The node to use; `None` = none is fit: stop writing.
    pub chosen: Option<NodeIndex>,
    /// All that may be used, best first.
    pub usable: Vec<NodeIndex>,
    /// Why.
    pub reasons: Vec<Reason>,
}
