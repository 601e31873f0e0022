//! Merges what a node recorded elsewhere while this store was away.

use baton_core::ids::LeaseEpoch;
use baton_core::model::RecoveryOutcome;
use baton_ports::{ClusterRecord, RecoveryRecord, Route, StepRecord};

use super::recovery::{INSERT, RUNNING_ID, STATE, UPDATE, changed_values};
use super::recovery_row::{insert_values, require_fitting, running_cluster};
use crate::failure::Refusal;
use crate::operations::sequence::{self, Sequence};
use crate::operations::{journal, lease, route};
use crate::session::Session;
use crate::value::values;

const BELONGS: &str = "UPDATE baton_recovery SET node = ?, epoch = ? WHERE id = ?";

/// Sets the intended primary unless a later epoch set it. An epoch has one holder, so of two
/// records under one epoch the merged one is the later.
const NEWER_PRIMARY: &str = "UPDATE baton_cluster SET primary_id = ?, primary_epoch = ?
  WHERE id = ? AND primary_epoch <= ?";

/// Inserts recoveries and journal lines that are missing, and updates recoveries that exist. May be
/// repeated.
pub(crate) async fn merge(
    session: &mut dyn Session,
    (lease, epoch): (&str, LeaseEpoch),
    rows: &[RecoveryRecord],
    steps: &[StepRecord],
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    for row in rows {
        require_fitting(row)?;
        merge_row(session, row).await?;
    }
    for step in steps {
        if !journal::has(session, &step.recovery, &step.entry).await? {
            journal::insert(session, &step.recovery, std::slice::from_ref(&step.entry)).await?;
        }
    }
    Ok(())
}

async fn merge_row(session: &mut dyn Session, row: &RecoveryRecord) -> Result<(), Refusal> {
    let stored = session.fetch(STATE, values![&row.id]).await?;
    let Some(mut stored) = stored.into_iter().next() else {
        let row = &ended_if_another_runs(session, row).await?;
        let number = sequence::take(session, Sequence::Recovery, 1).await?;
        session.execute(INSERT, insert_values(row, number)).await?;
        return Ok(());
    };
    let stored_epoch = stored.epoch("baton_recovery.epoch")?;
    let outcome = stored.word("baton_recovery.outcome", RecoveryOutcome::from_word)?;
    let has_ended = outcome != RecoveryOutcome::Running;
    // Another node has adopted or ended it since.
    if stored_epoch > row.epoch || (has_ended && row.outcome == RecoveryOutcome::Running) {
        return Ok(());
    }
    // Only now: a late copy of one that has ended is no recovery that runs beside another.
    let row = &ended_if_another_runs(session, row).await?;
    session.execute(UPDATE, changed_values(row)).await?;
    session
        .execute(BELONGS, values![&row.node, row.epoch, &row.id])
        .await?;
    Ok(())
}

/// One recovery runs per cluster: the one that comes later is recorded as failed.
async fn ended_if_another_runs(
    session: &mut dyn Session,
    row: &RecoveryRecord,
) -> Result<RecoveryRecord, Refusal> {
    let Some(cluster) = running_cluster(row) else {
        return Ok(row.clone());
    };
    let running = session.fetch(RUNNING_ID, values![cluster]).await?;
    let Some(mut other) = running.into_iter().next() else {
        return Ok(row.clone());
    };
    let id = other.text("baton_recovery.id")?;
    if id == row.id.as_str() {
        return Ok(row.clone());
    }
    let mut ended = row.clone();
    ended.outcome = RecoveryOutcome::Failed;
    ended.ended = Some(row.started);
    ended.errors.push(format!(
        "it was running when it was handed over to a store in which recovery {id} was running"
    ));
    Ok(ended)
}

/// Records primaries and routes of later epochs than those that are here.
pub(crate) async fn merge_intents(
    session: &mut dyn Session,
    (lease, epoch): (&str, LeaseEpoch),
    clusters: &[ClusterRecord],
    routes: &[Route],
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    for row in clusters {
        let ClusterRecord {
            id,
            name: _,
            primary,
            primary_epoch,
        } = row;
        let values = values![primary.as_ref(), *primary_epoch, id, *primary_epoch];
        session.execute(NEWER_PRIMARY, values).await?;
    }
    for route in routes {
        route::put_unless_newer(session, route).await?;
    }
    Ok(())
}
