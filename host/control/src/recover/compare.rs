//! Steps that compare where two servers stand. What a fence promises is read back, never taken on
//! trust.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::planning::classify_returned;

use super::Means;
use super::perform::{observe, of_the_cluster};
use crate::right::refused;
use crate::sessions::WorkError;

/// The fenced server first: what it executes after that reading is what the fence has to prevent.
pub(super) async fn verify_covers(
    means: &Means,
    server: &ServerId,
    from: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let fenced = observe(means, from, limit).await?.executed;
    let (_, fenced) = of_the_cluster(means, from, fenced);
    let executed = observe(means, server, limit).await?.executed;
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

/// Compares a fenced server with the present primary. One with transactions of its own is set
/// aside.
pub(super) async fn classify(
    means: &Arc<Means>,
    returned: &ServerId,
    primary: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    // Read before the primary: else live traffic would look errant.
    let own = observe(means, returned, limit).await?;
    let reference = observe(means, primary, limit).await?;
    let class = classify_returned(&own, &reference);
    let Some(mut text) = class.objection(returned, primary) else {
        return Ok(format!("{returned} has nothing that {primary} lacks"));
    };
    if let Some(transactions) = class.set_aside_with() {
        text.push_str("; it is set aside");
        if let Err(error) = means.quarantine(returned, transactions).await {
            text = format!("{text} (not recorded: {})", error.with_causes());
        }
    }
    Err(refused("classify", text))
}
