//! The journal of recoveries.

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::{JournalEntry, JournalStage, StepRecord};

use crate::failure::{Failure, Refusal};
use crate::limits::{SERVER_MAX, WORD_MAX, require_short};
use crate::operations::sequence::{self, Sequence};
use crate::operations::{lease, recovery};
use crate::session::Session;
use crate::value::{Row, values};

const INSERT: &str = "INSERT INTO baton_step
  (number, recovery_id, step, phase, stage, server_id, detail, at_ms, since_trigger_us)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SAME: &str = "SELECT number FROM baton_step
  WHERE recovery_id = ? AND step = ? AND stage = ? AND phase = ? AND at_ms = ? AND since_trigger_us = ?";
pub(crate) const STEPS: &str =
    "SELECT number, recovery_id, step, phase, stage, server_id, detail, at_ms, since_trigger_us
  FROM baton_step WHERE recovery_id = ? ORDER BY number";

/// Appends lines.
pub(crate) async fn append(
    session: &mut dyn Session,
    (lease, epoch): (&str, LeaseEpoch),
    id: &RecoveryId,
    entries: &[JournalEntry],
    in_doubt: bool,
) -> Result<(), Refusal> {
    lease::guard(session, lease, epoch).await?;
    recovery::require_epoch(session, id, |stored| stored == epoch, epoch).await?;
    // They are written all together, so the first one tells.
    if let Some(first) = entries.first().filter(|_| in_doubt)
        && has(session, id, first).await?
    {
        return Ok(());
    }
    insert(session, id, entries).await
}

/// Inserts lines.
pub(super) async fn insert(
    session: &mut dyn Session,
    id: &RecoveryId,
    entries: &[JournalEntry],
) -> Result<(), Refusal> {
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let first = sequence::take(session, Sequence::Step, count).await?;
    for (number, entry) in (first..).zip(entries) {
        let JournalEntry {
            step,
            phase,
            stage,
            server,
            text,
            at,
            since_trigger_us,
        } = entry;
        require_short("the phase", phase, WORD_MAX)?;
        if let Some(server) = server {
            require_short("the server's identity", server.as_str(), SERVER_MAX)?;
        }
        let values = values![
            number,
            id,
            *step,
            phase.as_str(),
            stage.word(),
            server.as_ref(),
            text.as_str(),
            *at,
            *since_trigger_us,
        ];
        session.execute(INSERT, values).await?;
    }
    Ok(())
}

/// Whether a line is there.
pub(super) async fn has(
    session: &mut dyn Session,
    id: &RecoveryId,
    line: &JournalEntry,
) -> Result<bool, Refusal> {
    let values = values![
        id,
        line.step,
        line.stage.word(),
        line.phase.as_str(),
        line.at,
        line.since_trigger_us,
    ];
    Ok(!session.fetch(SAME, values).await?.is_empty())
}

/// A line out of its row.
pub(crate) fn read(mut row: Row) -> Result<StepRecord, Failure> {
    Ok(StepRecord {
        number: row.integer("baton_step.number")?,
        recovery: RecoveryId::new(row.text("baton_step.recovery_id")?),
        entry: JournalEntry {
            step: row.number("baton_step.step")?,
            phase: row.text("baton_step.phase")?,
            stage: row.word("baton_step.stage", JournalStage::from_word)?,
            server: row.server_or_null("baton_step.server_id")?,
            text: row.text("baton_step.detail")?,
            at: row.time("baton_step.at_ms")?,
            since_trigger_us: row.number("baton_step.since_trigger_us")?,
        },
    })
}
