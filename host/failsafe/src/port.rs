//! The port, one file per concern.

mod audit;
mod intents;
mod inventory;
mod leases;
mod nodes;
mod recovery_log;
mod settings;

use std::time::Duration;

/// Last answers that count however old they are: what they say changes rarely, and is checked against the servers themselves.
const ANY_AGE: Duration = Duration::MAX;
/// Recoveries that the last answer must hold to stand for the list.
pub(crate) const NEWEST: u32 = 200;
