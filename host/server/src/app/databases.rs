//! The databases of Baton's own state, as the API shows them: the one place where the watch's
//! values become documents.

use baton_backend::{BackendStatus, ClusterStatus, Condition, NodeStatus, SelectionStatus, Word};
use baton_core::policy::{ProbeView, Reach, Reason};
use baton_http::{
    BackendClusterDocument, BackendDocument, BackendNodeDocument, BackendProbeDocument,
    SelectionDocument, WordDocument,
};

/// Whether a state could be put there: it takes writes, and what stands against it is only what it
/// holds.
pub(super) fn is_fit(node: &NodeStatus) -> bool {
    let is_closed = |condition: &Condition| condition.word == Word::ClosedCopy;
    let closed = node.against.iter().any(is_closed);
    node.ready.is_some()
        && node.against.iter().all(|condition| match condition.word {
            Word::Moved | Word::ClosedCopy => true,
            // Half a copy has no lease.
            Word::HistoryOlder => closed,
            _ => false,
        })
}

/// What stands against a node.
pub(super) fn why_not(node: &NodeStatus) -> String {
    let texts: Vec<&str> = node.against.iter().map(|c| c.text.as_str()).collect();
    if texts.is_empty() {
        format!("{} was not probed yet", node.address)
    } else {
        texts.join("; ")
    }
}

/// Everything known, for the API.
pub(super) fn document(store: String, status: BackendStatus) -> BackendDocument {
    let BackendStatus {
        clusters,
        selection,
        holder,
        highest_epoch,
    } = status;
    BackendDocument {
        mode: "databases",
        store,
        selection: Some(selected(selection)),
        holder,
        highest_epoch,
        clusters: clusters.into_iter().map(cluster).collect(),
    }
}

fn selected(selection: SelectionStatus) -> SelectionDocument {
    let SelectionStatus {
        node,
        generation,
        since,
        usable,
        reasons,
        policy,
        fallback,
        changes,
    } = selection;
    SelectionDocument {
        node,
        generation,
        since_ms: since,
        usable,
        reasons: reasons.into_iter().map(reason).collect(),
        selector: policy,
        fallback,
        changes_last_hour: changes,
    }
}

fn reason(reason: Reason) -> WordDocument {
    // Places in the question's list mean nothing outside of it.
    let Reason {
        code,
        text,
        about: _,
    } = reason;
    WordDocument { code, text }
}

fn condition(condition: Condition) -> WordDocument {
    let Condition { word, text } = condition;
    WordDocument {
        code: word.as_str().to_owned(),
        text,
    }
}

fn cluster(cluster: ClusterStatus) -> BackendClusterDocument {
    let ClusterStatus {
        name,
        kind,
        nodes,
        moved_to,
        promotion,
    } = cluster;
    BackendClusterDocument {
        name,
        kind: kind.word(),
        moved_to,
        promotion,
        nodes: nodes.into_iter().map(node).collect(),
    }
}

fn node(node: NodeStatus) -> BackendNodeDocument {
    let NodeStatus {
        id,
        address,
        in_use,
        probe: probed,
        ready,
        against,
        notes,
        ready_for,
        proof_age,
        proof_ok,
        members,
        members_seen,
        epoch,
        epoch_behind,
        schema,
        facts,
        tags,
        used_by,
    } = node;
    BackendNodeDocument {
        id,
        address,
        in_use,
        probe: probe(probed),
        ready,
        ready_for_ms: ready_for,
        against: against.into_iter().map(condition).collect(),
        notes: notes.into_iter().map(condition).collect(),
        proof_ok,
        proof_age_ms: proof_age,
        members,
        members_seen,
        lease_epoch: epoch,
        epoch_behind,
        schema,
        facts: facts.into_iter().collect(),
        tags: tags.into_iter().collect(),
        used_by,
    }
}

fn probe(probe: ProbeView) -> BackendProbeDocument {
    let ProbeView {
        state,
        failure,
        error_number,
        answered_age,
        attempt_age,
        failures,
        successes: _,
        round_trip_us,
    } = probe;
    BackendProbeDocument {
        state: match state {
            Reach::NotProbed => "not_probed",
            Reach::Partial => "partial",
            Reach::Answering => "answering",
            Reach::Silent => "silent",
        },
        failure,
        error_number,
        answered_age_ms: answered_age,
        attempt_age_ms: attempt_age,
        failures,
        round_trip_us,
    }
}
