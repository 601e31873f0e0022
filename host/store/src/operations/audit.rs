//! The audit log, bounded.

use std::time::Duration;

use baton_core::ids::ClusterId;
use baton_ports::AuditRecord;

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, WORD_MAX, require_short};
use crate::operations::sequence::{self, Sequence};
use crate::session::Session;
use crate::store::AuditLimits;
use crate::value::{Row, values};

const INSERT: &str =
    "INSERT INTO baton_audit (number, at_ms, kind, server_address, cluster_id, who, detail)
  VALUES (?, ?, ?, ?, ?, ?, ?)";
const OLDEST: &str = "SELECT MIN(number) FROM baton_audit";
const PURGE_ROWS: &str = "DELETE FROM baton_audit WHERE number <= ?";
const PURGE_AGE: &str = "DELETE FROM baton_audit WHERE number <= ? AND at_ms < ?";
pub(crate) const NEWEST: &str =
    "SELECT at_ms, kind, server_address, cluster_id, who, detail FROM baton_audit
  ORDER BY number DESC LIMIT ? OFFSET ?";

/// Most lines removed along with one that is added: large transactions stall clusters, and a limit
/// that was lowered is reached soon all the same.
const PURGE_AT_ONCE: i64 = 500;

/// Lines in which one whose outcome is unknown is looked for: more than all nodes write in the
/// seconds in between.
const RECENT: u32 = 200;

/// Appends a line and removes those beyond the limits.
pub(crate) async fn append(
    session: &mut dyn Session,
    record: &AuditRecord,
    limits: AuditLimits,
    in_doubt: bool,
) -> Result<(), Refusal> {
    let AuditRecord {
        at,
        kind,
        server,
        cluster,
        by,
        text,
    } = record;
    require_short("the kind", kind, WORD_MAX)?;
    require_short("the name of who asked", by, NAME_MAX)?;
    if in_doubt && is_recent(session, record).await? {
        return Ok(());
    }
    let number = sequence::take(session, Sequence::Audit, 1).await?;
    let values = values![
        number,
        *at,
        kind.as_str(),
        server.as_ref().map(ToString::to_string),
        cluster.as_ref(),
        by.as_str(),
        text.as_str(),
    ];
    session.execute(INSERT, values).await?;
    let oldest = match session.fetch(OLDEST, Vec::new()).await?.into_iter().next() {
        Some(mut row) => row.integer("baton_audit.number")?,
        None => number,
    };
    let reach = oldest.saturating_add(PURGE_AT_ONCE);
    let beyond = number
        .saturating_sub(i64::try_from(limits.rows_max).unwrap_or(i64::MAX))
        .min(reach);
    if beyond >= oldest {
        session.execute(PURGE_ROWS, values![beyond]).await?;
    }
    if limits.age_max < Duration::MAX {
        let age_ms = u64::try_from(limits.age_max.as_millis()).unwrap_or(u64::MAX);
        let before = at.millis().saturating_sub(age_ms);
        session.execute(PURGE_AGE, values![reach, before]).await?;
    }
    Ok(())
}

/// Whether the line is among the newest.
async fn is_recent(session: &mut dyn Session, record: &AuditRecord) -> Result<bool, Refusal> {
    for row in session.fetch(NEWEST, values![RECENT, 0_u32]).await? {
        if read(row)? == *record {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line out of its row.
pub(crate) fn read(mut row: Row) -> Result<AuditRecord, Failure> {
    Ok(AuditRecord {
        at: row.time("baton_audit.at_ms")?,
        kind: row.text("baton_audit.kind")?,
        server: row.address_or_null("baton_audit.server_address")?,
        cluster: row
            .text_or_null("baton_audit.cluster_id")?
            .map(ClusterId::new),
        by: row.text("baton_audit.who")?,
        text: row.text("baton_audit.detail")?,
    })
}
