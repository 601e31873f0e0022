//! Steps that compare where two servers stand. What a fence promises is read back, never taken on
//! trust.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::planning::{RejoinClass, classify_returned};

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
    let facts = observe(means, server, limit).await?;
    match facts.executed.missing_count(&fenced) {
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
    let text = match classify_returned(&own, &reference) {
        RejoinClass::Subset => {
            return Ok(format!("{returned} has nothing that {primary} lacks"));
        }
        RejoinClass::Errant {
            count,
            transactions,
        } => {
            let stored = means.quarantine(returned, &transactions).await;
            let unrecorded = stored.err().map_or_else(String::new, |error| {
                format!(" (not recorded: {})", error.with_causes())
            });
            format!(
                "{returned} has {count} transactions that {primary} lacks, and is set aside: {transactions}{unrecorded}"
            )
        }
        RejoinClass::NeedsData { count } => format!(
            "{returned} needs {count} transactions that {primary} has purged: provision it anew"
        ),
        RejoinClass::Incomparable => {
            format!("the histories of {returned} and {primary} cannot be compared")
        }
    };
    Err(refused("classify", text))
}
