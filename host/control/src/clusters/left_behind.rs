//! Replicas that a recovery left behind: their receiver was stopped by Baton, or they were away
//! when the others were moved. They are brought back when they answer. A replica that an operator
//! stopped is none of these.

use std::collections::BTreeSet;

use baton_core::analysis::{Code, Evidence, Finding, Severity};
use baton_core::ids::ServerId;
use baton_core::model::{Edge, RecoveryKind, Server, ServerFacts, Snapshot, ThreadState, Topology};
use baton_core::policy::Suggestion;

/// The servers of `of` that do not follow the primary. `of` holds the servers that a recovery
/// changed or did not reach.
pub(crate) fn not_following(snapshot: &Snapshot, of: &BTreeSet<ServerId>) -> Vec<ServerId> {
    let topology = Topology::of(snapshot);
    of.iter()
        .filter(|id| snapshot.servers.contains_key(*id) && !follows(snapshot, &topology, id))
        .cloned()
        .collect()
}

/// Why a server does not follow, for a person.
pub(crate) fn why_not_following(snapshot: &Snapshot, id: &ServerId) -> String {
    let Some(server) = snapshot.servers.get(id) else {
        return "it is not known any more".to_owned();
    };
    if !server.answers() {
        let failure = server.probe.failure.as_ref();
        let word = failure.map_or("no answer", baton_core::model::ProbeFailure::word);
        return format!("it does not answer ({word})");
    }
    if server.quarantined {
        return "it is set aside with transactions that the primary lacks".to_owned();
    }
    let facts = server.last_facts();
    let channels = facts.map_or(&[][..], |facts| facts.channels.as_slice());
    let threads = channels.iter().flat_map(|channel| {
        [
            (
                "receiver",
                channel.receiver,
                channel.receiver_error.as_ref(),
            ),
            ("applier", channel.applier, channel.applier_error.as_ref()),
        ]
    });
    let mut idle = threads.filter(|(_, state, _)| *state != ThreadState::Running);
    match idle.next() {
        _ if channels.is_empty() => "it has no channel".to_owned(),
        Some((thread, _, Some(error))) => format!(
            "its {thread} does not run, error {}: {}",
            error.number, error.message
        ),
        Some((thread, _, None)) => format!("its {thread} does not run"),
        None => "it reads from another server".to_owned(),
    }
}

/// The servers of `left` that follow the primary again, whatever brought them back. If their
/// replication stops later, an operator stopped it.
pub(super) fn back(snapshot: &Snapshot, left: &BTreeSet<ServerId>) -> Vec<ServerId> {
    if standing_primary(snapshot).is_none() {
        return Vec::new();
    }
    let topology = Topology::of(snapshot);
    let follow = left.iter().filter(|id| follows(snapshot, &topology, id));
    follow.cloned().collect()
}

/// A finding for each server of `left` that answers, does not follow the primary, and needs no
/// operator first.
pub(super) fn findings(snapshot: &Snapshot, left: &BTreeSet<ServerId>) -> Vec<Finding> {
    let Some(primary) = standing_primary(snapshot) else {
        return Vec::new();
    };
    let topology = Topology::of(snapshot);
    left.iter()
        .filter(|id| **id != primary.id)
        .filter_map(|id| snapshot.servers.get(id))
        .filter(|server| may_be_brought_back(snapshot, &topology, server))
        .map(|server| finding(server, primary))
        .collect()
}

fn finding(server: &Server, primary: &Server) -> Finding {
    let text = format!(
        "A recovery left {} behind; it answers, and does not follow {}.",
        server.id, primary.id
    );
    Finding {
        code: Code::ReplicationStopped,
        server: server.id.clone(),
        severity: Severity::Warning,
        suggestion: Suggestion::Act,
        recovery: Some(RecoveryKind::Rejoin),
        evidence: vec![Evidence {
            code: "not-replicating",
            text,
            about: vec![server.id.clone()],
        }],
    }
}

fn standing_primary(snapshot: &Snapshot) -> Option<&Server> {
    let primary = snapshot.servers.get(snapshot.cluster.primary.as_ref()?)?;
    let writable = primary.last_facts().is_some_and(ServerFacts::is_writable);
    (primary.answers() && writable).then_some(primary)
}

fn may_be_brought_back(snapshot: &Snapshot, topology: &Topology, server: &Server) -> bool {
    let takes_writes = server.last_facts().is_none_or(ServerFacts::is_writable);
    let edges = topology.channels_of(&server.id);
    server.answers()
        && !takes_writes
        && !server.quarantined
        && server.downtime.is_none()
        && !server.maintenance
        && !follows(snapshot, topology, &server.id)
        && edges.len() <= 1
        && edges.iter().all(|edge| is_adrift(snapshot, edge))
}

/// Its receiver is stopped without an error of its own making, or hangs on a source that does not
/// live or was set aside.
fn is_adrift(snapshot: &Snapshot, edge: &Edge) -> bool {
    let channel = &edge.channel;
    if channel.applier_error.is_some() || channel.filtered || !channel.auto_position {
        return false;
    }
    let source = edge.source.as_ref().and_then(|id| snapshot.servers.get(id));
    let source_serves = source.is_some_and(|source| source.answers() && !source.quarantined);
    channel.receiver == ThreadState::Stopped
        || channel.applier == ThreadState::Stopped
        || !source_serves
}

/// True if the server is the primary or replicates from it, directly or through others.
fn follows(snapshot: &Snapshot, topology: &Topology, id: &ServerId) -> bool {
    let mut at = id;
    for _ in 0..snapshot.servers.len() {
        if snapshot.cluster.primary.as_ref() == Some(at) {
            return true;
        }
        let answers = snapshot.answers(at);
        let running = topology
            .channels_of(at)
            .iter()
            .find(|edge| edge.channel.is_replicating())
            .and_then(|edge| edge.source.as_ref());
        match running {
            Some(source) if answers => at = source,
            Some(_) | None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests;
