//! Is the store writable? Only a write that commits tells.

use baton_core::ids::NodeName;

use crate::failure::{Failure, Refusal};
use crate::limits::{NAME_MAX, require_short};
use crate::session::Session;
use crate::value::values;

const BEAT: &str = "UPDATE baton_health SET beats = beats + 1 WHERE node = ?";
const FIRST_BEAT: &str = "INSERT INTO baton_health (node, beats) VALUES (?, 1)";
const FIND: &str = "SELECT beats FROM baton_health WHERE node = ?";

/// Writes a row and reads it back.
pub(crate) async fn beat(session: &mut dyn Session, node: &NodeName) -> Result<(), Refusal> {
    require_short("the node's name", node.as_str(), NAME_MAX)?;
    if session.execute(BEAT, values![node]).await? == 0 {
        session.execute(FIRST_BEAT, values![node]).await?;
    }
    let Some(mut row) = session.fetch(FIND, values![node]).await?.into_iter().next() else {
        return Err(Failure::missing_row("baton_health.beats").into());
    };
    row.integer("baton_health.beats")?;
    Ok(())
}
