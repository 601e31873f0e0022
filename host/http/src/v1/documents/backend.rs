//! The documents about the databases that hold Baton's own state, made of the watch's values.

use baton_core::policy::{ProbeView, Reach, Reason};
use baton_ports::{
    BackendClusterStatus, BackendCondition, BackendNodeStatus, BackendStatus, SelectionStatus,
};

use super::super::schema::{
    BackendClusterDocument, BackendDocument, BackendNodeDocument, BackendProbeDocument,
    MoveDocument, SelectionDocument, WordDocument,
};
use crate::backend::{StateMove, StateStatus};

/// Where the state is kept, and everything known of the databases.
pub(in crate::v1) fn backend(status: StateStatus) -> BackendDocument {
    let StateStatus { store, databases } = status;
    let Some(databases) = databases else {
        return BackendDocument {
            mode: "embedded",
            store,
            selection: None,
            holder: None,
            highest_epoch: None,
            clusters: Vec::new(),
        };
    };
    let BackendStatus {
        clusters,
        selection,
        holder,
        highest_epoch,
    } = databases;
    BackendDocument {
        mode: "databases",
        store,
        selection: Some(selected(selection)),
        holder,
        highest_epoch,
        clusters: clusters.into_iter().map(cluster).collect(),
    }
}

/// How the state was moved.
pub(in crate::v1) fn backend_move(moved: StateMove) -> MoveDocument {
    let StateMove {
        from,
        to,
        node,
        rows,
        held,
        lease_epoch,
    } = moved;
    MoveDocument {
        from,
        to,
        node,
        rows,
        held_ms: u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
        lease_epoch: lease_epoch.0,
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

fn condition(condition: BackendCondition) -> WordDocument {
    let BackendCondition { word, text } = condition;
    WordDocument {
        code: word.as_str().to_owned(),
        text,
    }
}

fn cluster(cluster: BackendClusterStatus) -> BackendClusterDocument {
    let BackendClusterStatus {
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

fn node(node: BackendNodeStatus) -> BackendNodeDocument {
    let BackendNodeStatus {
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
