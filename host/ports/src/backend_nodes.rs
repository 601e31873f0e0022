//! The port to the database nodes that keep Baton's own state: reads what one node says, and opens
//! sessions that change the roles of a pair.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::model::{ProbeFailure, ServerFacts};
use baton_core::policy::backend::BackendKind;
use baton_core::time::Timestamp;

use crate::Session;

/// What a node says of itself, per kind. No opinions.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendFacts {
    /// Galera.
    Galera(GaleraFacts),
    /// One of a pair.
    Pair(Box<ServerFacts>),
    /// SQL node of MySQL Cluster.
    Ndb(NdbFacts),
    /// Member of a replication group.
    Group(GroupFacts),
}

/// Galera's status values; meanings and traps in its documentation, "Galera Status Variables".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GaleraFacts {
    /// A provider is loaded (`wsrep_provider`).
    pub on: bool,
    /// `wsrep_ready`.
    pub ready: bool,
    /// `wsrep_cluster_status` is `Primary`.
    pub primary: bool,
    /// `wsrep_local_state`: 1 joining, 2 donor or desynced, 3 joined, 4 synced, 0 nothing.
    pub local_state: u32,
    /// `wsrep_cluster_size`.
    pub size: Option<u32>,
    /// `wsrep_cluster_state_uuid`.
    pub uuid: String,
    /// `wsrep_local_index`.
    pub index: Option<u32>,
    /// `wsrep_last_committed`: own applied position.
    pub last_committed: Option<u64>,
    /// `wsrep_desync`.
    pub desync: bool,
    /// `wsrep_reject_queries`, `NONE` in health.
    pub reject_queries: String,
    /// `read_only`.
    pub read_only: bool,
}

/// An SQL node of MySQL Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NdbFacts {
    /// `Ndb_number_of_ready_data_nodes`: connected and usable.
    pub ready_nodes: Option<u32>,
    /// `Ndb_number_of_data_nodes`: configured.
    pub data_nodes: Option<u32>,
    /// `Ndb_cluster_node_id`.
    pub node_id: Option<u32>,
    /// `Ndb_system_name`, where the server has it: identity of the cluster.
    pub system: Option<String>,
    /// `read_only`.
    pub read_only: bool,
    /// `super_read_only`.
    pub super_read_only: bool,
}

/// A member's own view of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// `group_replication_group_name`; `None`: the plugin is not there.
    pub group: Option<String>,
    /// `MEMBER_STATE`: `ONLINE`, `RECOVERING`, `UNREACHABLE`, `ERROR`, `OFFLINE`.
    pub state: String,
    /// `MEMBER_ROLE` is `PRIMARY`.
    pub primary: bool,
    /// `super_read_only`.
    pub super_read_only: bool,
    /// `read_only`.
    pub read_only: bool,
    /// `offline_mode`.
    pub offline: bool,
    /// Members it lists.
    pub members: u32,
    /// Those of them that it sees `ONLINE` or `RECOVERING`.
    pub seen: u32,
}

impl BackendFacts {
    /// The kind whose questions were answered.
    pub fn kind(&self) -> BackendKind {
        match self {
            Self::Galera(_) => BackendKind::Galera,
            Self::Pair(_) => BackendKind::MasterMaster,
            Self::Ndb(_) => BackendKind::Ndb,
            Self::Group(_) => BackendKind::GroupReplication,
        }
    }

    /// Nodes its cluster counts, and how many of them it sees.
    pub fn members(&self) -> (Option<u32>, Option<u32>) {
        match self {
            // Galera lists the nodes of its component only.
            Self::Galera(facts) => (facts.size, facts.size),
            Self::Pair(_) => (Some(2), None),
            Self::Ndb(facts) => (facts.data_nodes, facts.ready_nodes),
            Self::Group(facts) => (Some(facts.members), Some(facts.seen)),
        }
    }
}

/// The node does not know what it was asked for: it is a server of another kind than configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind;

/// An answer about a node's state.
#[derive(Clone, Debug, PartialEq)]
pub struct FactsAnswer {
    /// When the node began to evaluate it, at the earliest.
    pub began: Timestamp,
    /// Time it took, without the requested pause.
    pub round_trip: Duration,
    /// The facts.
    pub facts: Result<BackendFacts, WrongKind>,
}

/// Outcome of a read that has to go through the node's cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendProof {
    /// The read went through.
    Held,
    /// The cluster refused it, with this error number.
    Refused(u16),
    /// No answer in time: the cluster stalls, or this node is cut off. Which of the two, the
    /// proofs of the others tell.
    Late,
    /// The node cannot be used anyway, or the kind knows no proof.
    NotTried,
}

/// What Baton's tables on a node say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendContent {
    /// Highest lease epoch; `None` = no such table, or an empty one.
    pub epoch: Option<u64>,
    /// Version of the tables.
    pub schema: Option<u32>,
    /// The state went from here to the backend of this name.
    pub moved_to: Option<String>,
    /// What is there is a copy that is not whole, or not opened.
    pub closed: bool,
    /// The database itself is not there.
    pub no_database: bool,
    /// The account may not read the tables.
    pub denied: bool,
}

/// An answer to the read of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofAnswer {
    /// What the read proves.
    pub proof: BackendProof,
    /// What the tables say, if they could be read.
    pub content: Option<BackendContent>,
    /// False if the session must be dropped: an answer to the read is still outstanding.
    pub reusable: bool,
}

/// A persistent session that reads one node.
///
/// Dropping a future of it midway leaves the session unusable: drop the session, too.
#[async_trait]
pub trait BackendWatch: Send {
    /// Lets the node pause for `pause`, then reads its facts. The session waits for the node all
    /// the time, so the end of the node's process is noticed at once.
    ///
    /// # Errors
    /// `limit` counts from the end of the pause. After an error the session must be dropped.
    async fn facts(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<FactsAnswer, ProbeFailure>;

    /// Reads Baton's tables, through the node's cluster where the kind knows such a read. To be
    /// called only on a node that can be read: see [`BackendProof::NotTried`].
    ///
    /// # Errors
    /// After an error the session must be dropped.
    async fn prove(&mut self, limit: Duration) -> Result<ProofAnswer, ProbeFailure>;
}

/// Opens sessions to the configured nodes. A node is its place in the list of all nodes of all
/// backends, in configured order. One implementation speaks the MySQL protocol, the other is the
/// simulator's.
#[async_trait]
pub trait BackendNodes: Send + Sync {
    /// Opens a session for reading.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    async fn watch(
        &self,
        node: usize,
        limit: Duration,
    ) -> Result<Box<dyn BackendWatch>, ProbeFailure>;

    /// Opens a session that changes the role of a node of a pair, for the lock named `lock`. Does
    /// not take the lock yet.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    async fn act(&self, node: usize, lock: &str, limit: Duration) -> Result<Session, ProbeFailure>;
}
