//! What a node says of itself, per kind. No opinions.

use baton_core::model::{Channel, ServerFacts, ThreadState};
use baton_core::policy::Pair;
use baton_core::policy::backend::BackendKind;

/// Facts of one reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
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

impl Facts {
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

    /// Raw values, under the names that the server's documentation uses.
    pub fn pairs(&self) -> Vec<Pair> {
        match self {
            Self::Galera(facts) => galera_pairs(facts),
            Self::Pair(facts) => pair_pairs(facts),
            Self::Ndb(facts) => ndb_pairs(facts),
            Self::Group(facts) => group_pairs(facts),
        }
    }
}

/// The channel of a pair's node: the one that is, or the first by name.
pub(crate) fn channel(facts: &ServerFacts) -> Option<&Channel> {
    facts.channels.first()
}

fn pair(name: &str, value: impl ToString) -> Pair {
    (name.to_owned(), value.to_string())
}

fn maybe(name: &str, value: Option<impl ToString>) -> Option<Pair> {
    value.map(|value| pair(name, value))
}

fn switch(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

fn galera_pairs(facts: &GaleraFacts) -> Vec<Pair> {
    let status = if facts.primary {
        "Primary"
    } else {
        "non-Primary"
    };
    let mut pairs = vec![
        pair("wsrep_provider", if facts.on { "loaded" } else { "none" }),
        pair("wsrep_ready", switch(facts.ready)),
        pair("wsrep_cluster_status", status),
        pair("wsrep_local_state", facts.local_state),
        pair("wsrep_cluster_state_uuid", &facts.uuid),
        pair("wsrep_desync", switch(facts.desync)),
        pair("wsrep_reject_queries", &facts.reject_queries),
        pair("read_only", switch(facts.read_only)),
    ];
    pairs.extend(maybe("wsrep_cluster_size", facts.size));
    pairs.extend(maybe("wsrep_local_index", facts.index));
    pairs.extend(maybe("wsrep_last_committed", facts.last_committed));
    pairs
}

fn pair_pairs(facts: &ServerFacts) -> Vec<Pair> {
    let mut pairs = vec![
        pair("read_only", switch(facts.read_only)),
        pair("server_id", facts.server_id),
        pair("gtid_executed", &facts.executed),
    ];
    pairs.extend(maybe("super_read_only", facts.super_read_only.map(switch)));
    let Some(channel) = channel(facts) else {
        return pairs;
    };
    pairs.extend(maybe("source", channel.source.as_ref()));
    pairs.push(pair("receiver", thread(channel.receiver)));
    pairs.push(pair("applier", thread(channel.applier)));
    pairs.push(pair("gtid_received", &channel.received));
    pairs.extend(maybe("lag_ms", channel.lag.map(|lag| lag.as_millis())));
    let receiver = channel.receiver_error.as_ref().map(|error| error.number);
    let applier = channel.applier_error.as_ref().map(|error| error.number);
    pairs.extend(maybe("receiver_error", receiver));
    pairs.extend(maybe("applier_error", applier));
    pairs
}

fn thread(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "running",
        ThreadState::Connecting => "connecting",
        ThreadState::Stopped => "stopped",
        ThreadState::Unknown => "unknown",
    }
}

fn ndb_pairs(facts: &NdbFacts) -> Vec<Pair> {
    let mut pairs = vec![
        pair("read_only", switch(facts.read_only)),
        pair("super_read_only", switch(facts.super_read_only)),
    ];
    pairs.extend(maybe("Ndb_number_of_ready_data_nodes", facts.ready_nodes));
    pairs.extend(maybe("Ndb_number_of_data_nodes", facts.data_nodes));
    pairs.extend(maybe("Ndb_cluster_node_id", facts.node_id));
    pairs.extend(maybe("Ndb_system_name", facts.system.as_ref()));
    pairs
}

fn group_pairs(facts: &GroupFacts) -> Vec<Pair> {
    let role = if facts.primary {
        "PRIMARY"
    } else {
        "SECONDARY"
    };
    let mut pairs = vec![
        pair("MEMBER_STATE", &facts.state),
        pair("MEMBER_ROLE", role),
        pair("super_read_only", switch(facts.super_read_only)),
        pair("read_only", switch(facts.read_only)),
        pair("offline_mode", switch(facts.offline)),
        pair("members", facts.members),
        pair("members_seen", facts.seen),
    ];
    pairs.extend(maybe("group_replication_group_name", facts.group.as_ref()));
    pairs
}
