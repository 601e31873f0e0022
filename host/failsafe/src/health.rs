//! Whether the shared store is waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug, Default)]
struct State {
    away_since: Option<Instant>,
    last_error: Option<String>,
    disk_error: Option<String>,
}

/// The shared store's state, as its answers show it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// There is something to do for the task that attends to it.
    pub(crate) work: Arc<Notify>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.state().away_since.is_some()
    }

    pub(crate) fn away_for(&self) -> Option<Duration> {
        self.state().away_since.map(|since| since.elapsed())
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    pub(crate) fn disk_error(&self) -> Option<String> {
        self.state().disk_error.clone()
    }

    /// The shared store did not do something in time.
    pub(crate) fn missed(&self, operation: &'static str, error: String) {
        let mut state = self.state();
        let is_news = state.away_since.is_none();
        if is_news {
            tracing::warn!(
                operation,
                error,
                "shared state store away: going on with the local disk"
            );
            state.away_since = Some(Instant::now());
        }
        state.last_error = Some(error);
        drop(state);
        if is_news {
            self.work.notify_one();
        }
    }

    /// The shared store answers again.
    pub(crate) fn back(&self) {
        if let Some(since) = self.state().away_since.take() {
            let away_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(away_ms, "shared state store back");
        }
    }

    /// The local disk failed. While the shared store answers, that stops nothing.
    pub(crate) fn disk_failed(&self, error: String) {
        let mut state = self.state();
        if state.disk_error.is_none() {
            tracing::error!(error, "local journal not written");
        }
        state.disk_error = Some(error);
    }

    pub(crate) fn disk_works(&self) {
        self.state().disk_error = None;
    }
}
