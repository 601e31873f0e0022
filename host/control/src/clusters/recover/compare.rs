//! Steps that compare the GTID sets of two servers. The effect of a fence is verified by reading
//! the server again.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::planning::classify_returned;

use super::Performer;
use crate::clusters::members::Members;
use crate::clusters::quorum::refused;
use crate::clusters::sessions::WorkError;

/// Reads the fenced server first: the fence has to prevent what it executes after that reading.
pub(super) async fn verify_covers(
    members: &Members,
    server: &ServerId,
    from: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let fenced = members.observe(from, limit).await?.executed;
    let (_, fenced) = members.own_part(from, fenced);
    let executed = members.observe(server, limit).await?.executed;
    let executed = executed.with_history_of(&fenced, &BTreeSet::new());
    match executed.missing_count(&fenced) {
        Some(0) => Ok(format!("{server} has all that {from} executed")),
        Some(missing) => Err(refused(
            "verify-covers",
            format!(
                "{from} executed {missing} transactions after it was fenced: somebody writes in spite of the fence"
            ),
        )),
        None => Err(refused(
            "verify-covers",
            format!("the histories of {from} and {server} cannot be compared"),
        )),
    }
}

/// Compares a fenced server with the present primary. A server with errant transactions is
/// quarantined.
pub(super) async fn classify(
    performer: &Performer,
    returned: &ServerId,
    primary: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let members = &performer.members;
    // Read before the primary: else live traffic would look errant.
    let own = members.observe(returned, limit).await?;
    let reference = members.observe(primary, limit).await?;
    let class = classify_returned(&own, &reference);
    let Some(mut text) = class.objection(returned, primary) else {
        return Ok(format!("{returned} has nothing that {primary} lacks"));
    };
    if let Some(transactions) = class.set_aside_with() {
        text.push_str("; it is set aside");
        if let Err(error) = performer.quarantine(returned, transactions).await {
            text = format!("{text} (not recorded: {})", error.with_causes());
        }
    }
    Err(refused("classify", text))
}
