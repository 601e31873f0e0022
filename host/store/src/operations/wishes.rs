//! Operators' words: downtimes and the global switch.

use baton_core::ids::ServerId;
use baton_core::model::Downtime;

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, require_short};
use crate::operations::topology::require_server;
use crate::session::Session;
use crate::value::{Row, values};

pub(crate) const DOWNTIMES: &str =
    "SELECT server_id, owner, reason, begins_ms, ends_ms FROM baton_downtime
  WHERE ends_ms > ? ORDER BY server_id";
const END_DOWNTIME: &str = "DELETE FROM baton_downtime WHERE server_id = ?";
const BEGIN_DOWNTIME: &str =
    "INSERT INTO baton_downtime (server_id, owner, reason, begins_ms, ends_ms)
  VALUES (?, ?, ?, ?, ?)";
pub(crate) const SWITCH: &str = "SELECT enabled FROM baton_switch WHERE name = 'recoveries'";
const SET_SWITCH: &str = "UPDATE baton_switch SET enabled = ? WHERE name = 'recoveries'";
const INSERT_SWITCH: &str = "INSERT INTO baton_switch (enabled, name) VALUES (?, 'recoveries')";

/// A downtime out of its row.
pub(crate) fn read_downtime(mut row: Row) -> Result<(ServerId, Downtime), Failure> {
    let id = ServerId::new(row.text("baton_downtime.server_id")?);
    let downtime = Downtime {
        owner: row.text("baton_downtime.owner")?,
        reason: row.text("baton_downtime.reason")?,
        begins: row.time("baton_downtime.begins_ms")?,
        ends: row.time("baton_downtime.ends_ms")?,
    };
    Ok((id, downtime))
}

/// Sets or ends a downtime.
pub(crate) async fn set_downtime(
    session: &mut dyn Session,
    id: &ServerId,
    downtime: Option<&Downtime>,
) -> Result<(), Refusal> {
    session.execute(END_DOWNTIME, values![id]).await?;
    let Some(Downtime {
        owner,
        reason,
        begins,
        ends,
    }) = downtime
    else {
        return Ok(());
    };
    require_server(session, id).await?;
    require_short("the downtime's owner", owner, NAME_MAX)?;
    let values = values![id, owner.as_str(), reason.as_str(), *begins, *ends];
    session.execute(BEGIN_DOWNTIME, values).await?;
    Ok(())
}

/// The switch out of its row. A row that is missing is not "on": somebody else's hand was in the
/// database.
pub(crate) fn read_switch(rows: Vec<Row>) -> Result<bool, Failure> {
    let mut row = rows
        .into_iter()
        .next()
        .ok_or_else(|| Failure::missing_row("baton_switch.enabled"))?;
    row.flag("baton_switch.enabled")
}

/// Sets the switch.
pub(crate) async fn set_switch(session: &mut dyn Session, enabled: bool) -> Result<(), Refusal> {
    if session.execute(SET_SWITCH, values![enabled]).await? == 0 {
        session.execute(INSERT_SWITCH, values![enabled]).await?;
    }
    Ok(())
}
