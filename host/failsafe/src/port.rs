//! The port, one file per concern.

mod audit;
mod intents;
mod inventory;
mod leases;
mod nodes;
mod recovery_log;
mod settings;

use std::time::Duration;

/// For answers that count at any age: what they say changes rarely, and is checked against the
/// servers themselves.
const ANY_AGE: Duration = Duration::MAX;
/// The number of recoveries that an answer must cover to stand for the whole list.
pub(crate) const NEWEST: u32 = 200;
