//! Recoveries. A running one belongs to the epoch that began or adopted it; at most one runs per
//! cluster.

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_core::time::WallTime;
use baton_ports::RecoveryRecord;

use super::recovery_row::{
    insert_values, recovery_columns, require_fitting, require_successor, running_cluster,
};
use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, require_short};
use crate::operations::lease;
use crate::operations::sequence::{self, Sequence};
use crate::session::Session;
use crate::value::{Value, list_text, values};

pub(super) const INSERT: &str = concat!(
    "INSERT INTO baton_recovery (",
    recovery_columns!(),
    ", running_cluster) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);
pub(super) const RUNNING_ID: &str = "SELECT id, node FROM baton_recovery WHERE running_cluster = ?";
pub(super) const STATE: &str = "SELECT epoch, outcome FROM baton_recovery WHERE id = ?";
const NUMBER: &str = "SELECT number FROM baton_recovery WHERE id = ?";
pub(super) const UPDATE: &str =
    "UPDATE baton_recovery SET successor_id = ?, successor_address = ?, outcome = ?,
  running_cluster = ?, ended_ms = ?, lost = ?, errors = ?, committed = ? WHERE id = ?";
const ADOPT: &str = "UPDATE baton_recovery SET node = ?, epoch = ? WHERE id = ?";
const ACKNOWLEDGE: &str = "UPDATE baton_recovery SET ack_who = ?, ack_ms = ?, ack_comment = ?
  WHERE ack_who IS NULL AND running_cluster IS NULL AND (? IS NULL OR id = ?) AND (? IS NULL OR cluster_id = ?)";
const ACKNOWLEDGED: &str = "SELECT COUNT(*) FROM baton_recovery
  WHERE ack_who = ? AND ack_ms = ? AND ack_comment = ? AND (? IS NULL OR id = ?) AND (? IS NULL OR cluster_id = ?)";
pub(crate) const RUNNING: &str = concat!(
    "SELECT ",
    recovery_columns!(),
    " FROM baton_recovery WHERE running_cluster IS NOT NULL ORDER BY number"
);
pub(crate) const ALL: &str = concat!(
    "SELECT ",
    recovery_columns!(),
    " FROM baton_recovery ORDER BY number DESC LIMIT ? OFFSET ?"
);
pub(crate) const OF_CLUSTER: &str = concat!(
    "SELECT ",
    recovery_columns!(),
    " FROM baton_recovery WHERE cluster_id = ? ORDER BY number DESC LIMIT ? OFFSET ?"
);
pub(crate) const ONE: &str = concat!(
    "SELECT ",
    recovery_columns!(),
    " FROM baton_recovery WHERE id = ?"
);

/// Opens a recovery; gives its number.
pub(crate) async fn begin(
    session: &mut dyn Session,
    lease: &str,
    row: &RecoveryRecord,
    in_doubt: bool,
) -> Result<i64, Refusal> {
    lease::guard(session, lease, row.epoch).await?;
    require_fitting(row)?;
    if let Some(mut stored) = session
        .fetch(STATE, values![&row.id])
        .await?
        .into_iter()
        .next()
    {
        let is_ours = stored.epoch("baton_recovery.epoch")? == row.epoch;
        if in_doubt && is_ours {
            return number_of(session, &row.id).await;
        }
        return Err(Refusal::Conflict(format!(
            "recovery {} is recorded already",
            row.id
        )));
    }
    let running = session
        .fetch(RUNNING_ID, values![running_cluster(row)])
        .await?;
    if let Some(mut other) = running.into_iter().next() {
        let id = other.text("baton_recovery.id")?;
        let node = other.text("baton_recovery.node")?;
        let conflict = format!(
            "recovery {id} of cluster {} is running on node {node}",
            row.cluster
        );
        return Err(Refusal::Conflict(conflict));
    }
    let number = sequence::take(session, Sequence::Recovery, 1).await?;
    session.execute(INSERT, insert_values(row, number)).await?;
    Ok(number)
}

async fn number_of(session: &mut dyn Session, id: &RecoveryId) -> Result<i64, Refusal> {
    let rows = session.fetch(NUMBER, values![id]).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Err(Failure::missing_row("baton_recovery.number").into());
    };
    Ok(row.integer("baton_recovery.number")?)
}

/// Refuses a recovery that is unknown or belongs to another epoch; tells whether it runs.
pub(crate) async fn require_epoch(
    session: &mut dyn Session,
    id: &RecoveryId,
    belongs: impl FnOnce(LeaseEpoch) -> bool,
    caller: LeaseEpoch,
) -> Result<RecoveryOutcome, Refusal> {
    let Some(mut row) = session.fetch(STATE, values![id]).await?.into_iter().next() else {
        return Err(Refusal::Conflict(format!("recovery {id} is not recorded")));
    };
    if !belongs(row.epoch("baton_recovery.epoch")?) {
        return Err(Refusal::Fenced(caller));
    }
    Ok(row.word("baton_recovery.outcome", RecoveryOutcome::from_word)?)
}

/// Writes what changes while a recovery runs.
pub(crate) async fn update(
    session: &mut dyn Session,
    lease: &str,
    row: &RecoveryRecord,
) -> Result<(), Refusal> {
    lease::guard(session, lease, row.epoch).await?;
    require_successor(row)?;
    let stored = require_epoch(session, &row.id, |epoch| epoch == row.epoch, row.epoch).await?;
    if stored != RecoveryOutcome::Running && row.outcome == RecoveryOutcome::Running {
        return Err(Refusal::Conflict(format!("recovery {} has ended", row.id)));
    }
    session.execute(UPDATE, changed_values(row)).await?;
    Ok(())
}

/// The values of `UPDATE`.
pub(super) fn changed_values(row: &RecoveryRecord) -> Vec<Value> {
    values![
        row.successor.as_ref(),
        row.successor_address.as_ref().map(ToString::to_string),
        row.outcome.word(),
        running_cluster(row),
        row.ended,
        list_text(row.lost.iter().map(ServerId::as_str)),
        list_text(&row.errors),
        row.committed,
        &row.id,
    ]
}

/// Takes over a running recovery.
pub(crate) async fn adopt(
    session: &mut dyn Session,
    lease: &str,
    id: &RecoveryId,
    node: &NodeName,
    epoch: LeaseEpoch,
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    require_short("the node's name", node.as_str(), NAME_MAX)?;
    if require_epoch(session, id, |stored| stored <= epoch, epoch).await?
        != RecoveryOutcome::Running
    {
        return Err(Refusal::Conflict(format!("recovery {id} has ended")));
    }
    session.execute(ADOPT, values![node, epoch, id]).await?;
    Ok(())
}

/// Which recoveries are acknowledged, and what is said.
pub(crate) struct Acknowledgement<'a> {
    pub(crate) id: Option<&'a RecoveryId>,
    pub(crate) cluster: Option<&'a ClusterId>,
    pub(crate) by: &'a str,
    pub(crate) at: WallTime,
    pub(crate) comment: &'a str,
}

/// Acknowledges ended recoveries; gives how many.
pub(crate) async fn acknowledge(
    session: &mut dyn Session,
    acknowledgement: &Acknowledgement<'_>,
    in_doubt: bool,
) -> Result<u64, Refusal> {
    let Acknowledgement {
        id,
        cluster,
        by,
        at,
        comment,
    } = *acknowledgement;
    require_short("the name of who acknowledges", by, NAME_MAX)?;
    let values = values![by, at, comment, id, id, cluster, cluster];
    let mut before = 0;
    if in_doubt
        && let Some(mut row) = session
            .fetch(ACKNOWLEDGED, values.clone())
            .await?
            .into_iter()
            .next()
    {
        before = row.number("COUNT(*)")?;
    }
    let now: u64 = session.execute(ACKNOWLEDGE, values).await?;
    Ok(now.saturating_add(before))
}
