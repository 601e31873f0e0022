//! What was recorded.

use baton_core::ids::{Address, ServerId};
use baton_ports::{AuditRecord, JournalEntry, RecoveryRecord, Route, StepRecord};

use super::super::schema::{
    AcknowledgedDocument, AuditDocument, RecoveryDocument, RouteDocument, ServerRef, StepDocument,
    StrayDocument,
};
use super::millis;
use crate::vocabulary::Word;
use baton_http_core::times::rfc3339;

/// A recovery as recorded. The decision is JSON of its own; if it is not, it is shown as text.
pub(in crate::v1) fn recovery(
    row: RecoveryRecord,
    steps: Option<Vec<StepRecord>>,
) -> RecoveryDocument {
    let RecoveryRecord {
        id,
        number,
        cluster,
        cluster_name,
        kind,
        finding,
        subject,
        subject_address,
        successor,
        successor_address,
        outcome,
        automatic,
        node,
        epoch,
        started,
        ended,
        lost,
        errors,
        decision,
        acknowledged,
        committed,
    } = row;
    let refer = |id: ServerId, address: Option<Address>| ServerRef {
        id: id.as_str().to_owned(),
        address: address.map(|address| address.to_string()),
    };
    let is_full = steps.is_some();
    let decision = is_full.then(|| serde_json::from_str(&decision).unwrap_or(decision.into()));
    RecoveryDocument {
        id: id.as_str().to_owned(),
        number,
        cluster: cluster.as_str().to_owned(),
        cluster_name,
        kind: Word(kind),
        finding: Some(finding).filter(|finding| !finding.is_empty()),
        failed: refer(subject, Some(subject_address)),
        successor: successor.map(|id| refer(id, successor_address)),
        outcome: Word(outcome),
        automatic,
        node: node.as_str().to_owned(),
        epoch: epoch.0,
        started_at: rfc3339(started),
        ended_at: ended.map(rfc3339),
        duration_ms: ended.map(|ended| millis(ended.since(started))),
        lost: lost.into_iter().map(|id| refer(id, None)).collect(),
        errors,
        committed,
        acknowledged: acknowledged.map(|(by, at, comment)| AcknowledgedDocument {
            by,
            at: rfc3339(at),
            comment,
        }),
        decision,
        steps: steps.map(|steps| steps.into_iter().map(step).collect()),
    }
}

/// One line of a journal.
pub(in crate::v1) fn step(row: StepRecord) -> StepDocument {
    let StepRecord {
        number,
        recovery: _,
        entry,
    } = row;
    let JournalEntry {
        step,
        phase,
        stage,
        server,
        text,
        at,
        since_trigger_us,
    } = entry;
    StepDocument {
        number,
        step,
        phase,
        stage: Word(stage),
        server: server.map(|id| id.as_str().to_owned()),
        text,
        at: rfc3339(at),
        since_trigger_us,
    }
}

pub(in crate::v1) fn route(route: Route) -> RouteDocument {
    let Route { key, value, epoch } = route;
    RouteDocument {
        key,
        value,
        epoch: epoch.0,
    }
}

pub(in crate::v1) fn audit(record: AuditRecord) -> AuditDocument {
    let AuditRecord {
        at,
        kind,
        server,
        cluster,
        by,
        text,
    } = record;
    AuditDocument {
        at: rfc3339(at),
        kind,
        server: server.map(|address| address.to_string()),
        cluster: cluster.map(|id| id.as_str().to_owned()),
        by,
        text,
    }
}

pub(in crate::v1) fn stray((address, failure): (Address, String)) -> StrayDocument {
    StrayDocument {
        address: address.to_string(),
        failure,
    }
}
