//! What the facts of a node are called by people, and where the channel of a pair is among them.

use baton_core::model::{Channel, ServerFacts, ThreadState};
use baton_core::policy::Pair;
use baton_ports::{BackendFacts, GaleraFacts, GroupFacts, NdbFacts};

/// Raw values, under the names that the server's documentation uses.
pub(crate) fn pairs(facts: &BackendFacts) -> Vec<Pair> {
    match facts {
        BackendFacts::Galera(facts) => galera_pairs(facts),
        BackendFacts::Pair(facts) => pair_pairs(facts),
        BackendFacts::Ndb(facts) => ndb_pairs(facts),
        BackendFacts::Group(facts) => group_pairs(facts),
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
