//! A recovery and its row, both ways.

use baton_core::ids::{ClusterId, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_ports::RecoveryRecord;

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, SERVER_MAX, WORD_MAX, require_short};
use crate::value::{Row, Value, list_text, values};

/// The columns that `read` reads and, but for the acknowledgement, `values` gives; in this order.
macro_rules! recovery_columns {
    () => {
        "id, number, cluster_id, cluster_name, kind, finding, failed_id, failed_address, successor_id, \
         successor_address, outcome, automatic, node, epoch, started_ms, ended_ms, lost, errors, decision, committed, \
         ack_who, ack_ms, ack_comment"
    };
}
pub(crate) use recovery_columns;

/// Refuses what does not fit into its columns.
pub(crate) fn require_fitting(row: &RecoveryRecord) -> Result<(), Refusal> {
    require_short("the recovery's identity", row.id.as_str(), NAME_MAX)?;
    require_short("the cluster's identity", row.cluster.as_str(), NAME_MAX)?;
    require_short("the cluster's name", &row.cluster_name, NAME_MAX)?;
    require_short("the finding", &row.finding, WORD_MAX)?;
    require_short("the node's name", row.node.as_str(), NAME_MAX)?;
    require_short("the server's identity", row.subject.as_str(), SERVER_MAX)?;
    require_successor(row)
}

/// Refuses a successor that does not fit into its columns.
pub(crate) fn require_successor(row: &RecoveryRecord) -> Result<(), Refusal> {
    let successor = row.successor.as_ref().map_or("", ServerId::as_str);
    require_short("the successor's identity", successor, SERVER_MAX)
}

/// The values of a new row, then `running_cluster`.
pub(crate) fn insert_values(row: &RecoveryRecord, number: i64) -> Vec<Value> {
    let RecoveryRecord {
        id,
        number: _,
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
    let (who, at, comment) = match acknowledged {
        Some((who, at, comment)) => (Some(who.as_str()), Some(*at), Some(comment.as_str())),
        None => (None, None, None),
    };
    values![
        id,
        number,
        cluster,
        cluster_name.as_str(),
        kind.word(),
        finding.as_str(),
        subject,
        subject_address.to_string(),
        successor.as_ref(),
        successor_address.as_ref().map(ToString::to_string),
        outcome.word(),
        *automatic,
        node,
        *epoch,
        *started,
        *ended,
        list_text(lost.iter().map(ServerId::as_str)),
        list_text(errors),
        decision.as_str(),
        *committed,
        who,
        at,
        comment,
        running_cluster(row),
    ]
}

/// The cluster while the recovery runs.
pub(crate) fn running_cluster(row: &RecoveryRecord) -> Option<&ClusterId> {
    (row.outcome == RecoveryOutcome::Running).then_some(&row.cluster)
}

/// A recovery out of its row.
pub(crate) fn read(mut row: Row) -> Result<RecoveryRecord, Failure> {
    Ok(RecoveryRecord {
        id: RecoveryId::new(row.text("baton_recovery.id")?),
        number: row.integer("baton_recovery.number")?,
        cluster: ClusterId::new(row.text("baton_recovery.cluster_id")?),
        cluster_name: row.text("baton_recovery.cluster_name")?,
        kind: row.word("baton_recovery.kind", RecoveryKind::from_word)?,
        finding: row.text("baton_recovery.finding")?,
        subject: ServerId::new(row.text("baton_recovery.failed_id")?),
        subject_address: row.address("baton_recovery.failed_address")?,
        successor: row.server_or_null("baton_recovery.successor_id")?,
        successor_address: row.address_or_null("baton_recovery.successor_address")?,
        outcome: row.word("baton_recovery.outcome", RecoveryOutcome::from_word)?,
        automatic: row.flag("baton_recovery.automatic")?,
        node: NodeName::new(row.text("baton_recovery.node")?),
        epoch: row.epoch("baton_recovery.epoch")?,
        started: row.time("baton_recovery.started_ms")?,
        ended: row.time_or_null("baton_recovery.ended_ms")?,
        lost: row
            .list("baton_recovery.lost")?
            .into_iter()
            .map(ServerId::new)
            .collect(),
        errors: row.list("baton_recovery.errors")?,
        decision: row.text("baton_recovery.decision")?,
        committed: row.flag("baton_recovery.committed")?,
        acknowledged: {
            let who = row.text_or_null("baton_recovery.ack_who")?;
            let at = row.time_or_null("baton_recovery.ack_ms")?;
            let comment = row.text_or_null("baton_recovery.ack_comment")?;
            who.zip(at)
                .map(|(who, at)| (who, at, comment.unwrap_or_default()))
        },
    })
}
