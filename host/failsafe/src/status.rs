//! What people are shown.

use std::time::Duration;

use crate::FailsafeStore;

/// How things stand between the local disk and the shared store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailsafeStatus {
    /// For how long the shared store has been away; `None` if it is here.
    pub away_for: Option<Duration>,
    /// Recoveries that are not, or not wholly, in the shared store.
    pub unsent_recoveries: usize,
    /// Recoveries on the local disk, handed over or not: what is removed a moment after it arrived would be handed over again, to no effect, by a
    /// process that was started in between.
    pub kept_recoveries: usize,
    /// An intended primary or a route is not in the shared store, or may not be.
    pub unsent_intents: bool,
    /// Audit lines that wait.
    pub unsent_audits: usize,
    /// The last thing that the shared store failed to do, whenever that was.
    pub last_error: Option<String>,
    /// What is wrong with the local disk; with the shared store here that stops nothing.
    pub disk_error: Option<String>,
}

impl FailsafeStore {
    /// How things stand.
    pub fn status(&self) -> FailsafeStatus {
        let (unsent_recoveries, kept_recoveries, unsent_intents, audits) = {
            let mirror = self.disk.mirror();
            (
                mirror.unsent.len(),
                mirror.recoveries.len(),
                mirror.intents_unsent.is_some(),
                mirror.audits,
            )
        };
        FailsafeStatus {
            away_for: self.health.away_for(),
            unsent_recoveries,
            kept_recoveries,
            unsent_intents,
            unsent_audits: usize::try_from(audits).unwrap_or(usize::MAX),
            last_error: self.health.last_error(),
            disk_error: self.health.disk_error(),
        }
    }
}
