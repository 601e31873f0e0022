//! What the shared store answered last, for the time in which it does not answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::Downtime;
use baton_ports::{ClusterRow, RecoveryRow, Route, ServerRow};
use tokio::time::Instant;

/// The last answer to one question.
#[derive(Debug)]
pub(super) struct Copy<T>(Mutex<Option<(T, Instant)>>);

impl<T> Default for Copy<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Copy<T> {
    pub(super) fn keep(&self, value: &T) {
        let new = Some((value.clone(), Instant::now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Brings the answer up to date with something that was done since.
    pub(super) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, _)) = kept.as_mut() {
            change(value);
        }
    }

    /// The answer, if it is not older than that.
    pub(super) fn within(&self, age_max: Duration) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept.as_ref().filter(|(_, at)| at.elapsed() <= age_max);
        fresh.map(|(value, _)| value.clone())
    }
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Copies {
    pub(super) switch: Copy<bool>,
    pub(super) servers: Copy<Vec<ServerRow>>,
    pub(super) clusters: Copy<Vec<ClusterRow>>,
    pub(super) downtimes: Copy<Vec<(ServerId, Downtime)>>,
    pub(super) routes: Copy<Vec<Route>>,
    /// The newest recoveries of all clusters.
    pub(super) recoveries: Copy<Vec<RecoveryRow>>,
}
