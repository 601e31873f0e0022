//! The status for operators.

use std::time::Duration;

use crate::FailsafeStore;

/// The state of the local disk and the shared store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailsafeStatus {
    /// For how long the shared store has been away; `None` if it is here.
    pub away_for: Option<Duration>,
    /// Recoveries that the shared store lacks or has in part.
    pub unsent_recoveries: usize,
    /// Recoveries on the local disk, handed over or not. A handed-over recovery is removed shortly
    /// after; if the process restarts before that, it is handed over again, to no effect.
    pub kept_recoveries: usize,
    /// The shared store may lack an intended primary or a route.
    pub unsent_intents: bool,
    /// Audit lines that wait.
    pub unsent_audits: usize,
    /// The last failure of the shared store, whenever that was.
    pub last_error: Option<String>,
    /// The failure of the local disk. It stops nothing while the shared store answers.
    pub disk_error: Option<String>,
}

impl FailsafeStore {
    /// The present status.
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
