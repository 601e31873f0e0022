//! A store that goes on while the database that it shares with other nodes is away or stalls.
//!
//! [`FailsafeStore`] stands in front of the shared store. What a leader writes in a recovery goes to the local disk and to the shared
//! store at the same time, and is waited for there only briefly: after the first miss the shared store counts as *away*, and nothing
//! waits for it until it was found to do again what it is asked. Reads are answered with the last answer meanwhile. What is on the
//! local disk only is handed over later, by whichever node wrote it, leader or not, since each row carries its epoch.
//!
//! Who may write is decided as before: a refusal of the shared store is a refusal, and counts whether the shared store is away or
//! not as soon as it was heard. An epoch that the shared store never granted is accepted only while it is away (see `rights`); what
//! is written under it stays on the local disk until it is handed over under the epoch that is held then. That only one node acts
//! on a cluster meanwhile is not this store's doing: the cluster's own servers grant it.
//!
//! Leases, registered nodes and recorded members are the shared store's alone; so are the words of operators, except that this
//! node heeds a global switch that could not be turned off elsewhere.

mod copies;
mod disk;
mod handover;
mod health;
mod overlay;
mod port;
mod rights;
mod status;
mod writing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::NodeName;
use baton_ports::{LocalStore, Store, StoreError};
use tokio::time::timeout;

pub use status::FailsafeStatus;

use crate::copies::{Copies, Copy};
use crate::disk::Disk;
use crate::health::Health;
use crate::rights::Rights;

/// How long things are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailsafeOptions {
    /// Name by which this node checks the shared store.
    pub node: NodeName,
    /// For a write of a recovery to reach the shared store. Default 120 ms: several times what a healthy cluster takes; too large adds
    /// to the time without a primary when the shared store dies together with it, too small hands over what would have arrived.
    pub write: Duration,
    /// For an answer of the shared store when there is an earlier one to go by. Default 1 s.
    pub read: Duration,
    /// For a bid for a lease, before the shared store counts as away; the bid itself goes on. Default 250 ms: less than the control
    /// loop waits before it acts without the shared store.
    pub bid: Duration,
    /// Between two looks at a shared store that is away. Default 100 ms.
    pub retry: Duration,
    /// For the local disk. Default 5 s: a disk that hangs must stop neither the shared store's work nor an operator's order.
    pub local: Duration,
    /// How long the global switch counts as it was last read. Default 24 h: an outage is noticed by then, and a fleet whose switch nobody
    /// can read should not be acted upon for ever.
    pub switch_age_max: Duration,
}

impl FailsafeOptions {
    /// The defaults, for a node.
    pub fn of(node: NodeName) -> Self {
        Self {
            node,
            write: Duration::from_millis(120),
            read: Duration::from_secs(1),
            bid: Duration::from_millis(250),
            retry: Duration::from_millis(100),
            local: Duration::from_secs(5),
            switch_age_max: Duration::from_hours(24),
        }
    }
}

/// A shared store with a local disk beside it.
pub struct FailsafeStore {
    shared: Arc<dyn Store>,
    options: FailsafeOptions,
    disk: Disk,
    rights: Mutex<Rights>,
    copies: Copies,
    health: Health,
}

impl std::fmt::Debug for FailsafeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailsafeStore")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The shared store did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {}", brief(*.0))]
struct Late(Duration);

/// The local disk did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the local disk did not answer within {}; {doing}", brief(*.limit))]
struct Hangs {
    limit: Duration,
    /// What it does, not always for the one that waits.
    doing: String,
}

/// The shared store is known to be away.
#[derive(Debug, thiserror::Error)]
#[error("the shared database is away ({0})")]
struct Away(String);

impl FailsafeStore {
    /// A store in front of `shared`, with `local` beside it. What an earlier process left in
    /// `local` is handed over by [`Self::attend`].
    ///
    /// # Errors
    /// If the local store cannot be read.
    pub async fn open(
        shared: Arc<dyn Store>,
        local: Arc<dyn LocalStore>,
        options: FailsafeOptions,
    ) -> Result<Self, StoreError> {
        let health = Health::default();
        let work = Arc::clone(&health.work);
        let (disk, rights) = Disk::open(local, work).await?;
        Ok(Self {
            shared,
            options,
            disk,
            rights: Mutex::new(rights),
            copies: Copies::default(),
            health,
        })
    }

    /// For a clean stop: nothing of this store is called after it.
    pub async fn close(&self) {
        self.disk.close().await;
    }

    fn rights(&self) -> MutexGuard<'_, Rights> {
        self.rights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared store's answer; the last one if it does not answer soon.
    async fn read<T: Clone>(
        &self,
        operation: &'static str,
        (copy, age_max): (&Copy<T>, Duration),
        shared: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let kept = copy.within(age_max);
        if let Some(kept) = kept.clone().filter(|_| self.health.is_away()) {
            return Ok(kept);
        }
        // Without anything to go by there is only the shared store, with its own limits.
        let limit = if kept.is_some() {
            self.options.read
        } else {
            Duration::MAX
        };
        let asked = copy.ask();
        match self.within(operation, limit, shared).await {
            Ok(answer) => Ok(copy.keep(asked, answer)),
            Err(error) if is_refusal(&error) => Err(error),
            // It may have been changed meanwhile.
            Err(error) => copy.within(age_max).ok_or(error),
        }
    }

    /// Waits for the shared store for a limited time. Whatever it fails to do makes it count as away; a refusal does not.
    async fn within<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        shared: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(limit, shared).await;
        let late = |_| StoreError::OutcomeUnknown {
            operation,
            source: Box::new(Late(limit)),
        };
        let answer = answer.map_err(late).and_then(|answer| answer);
        if let Err(error) = &answer
            && !is_refusal(error)
        {
            self.health.missed(operation, error.with_causes());
        }
        answer
    }

    /// Waits for the local disk for a limited time.
    async fn on_disk<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = self.options.local;
        let done = timeout(limit, work).await;
        done.unwrap_or_else(|_| {
            Err(StoreError::OutcomeUnknown {
                operation,
                source: Box::new(Hangs {
                    limit,
                    doing: self.disk.doing(),
                }),
            })
        })
    }

    /// What only the shared store can do is not tried while it is away: it would be waited for.
    async fn pass<T>(
        &self,
        operation: &'static str,
        shared: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.health.is_away() {
            let error = self.health.last_error().unwrap_or_default();
            return Err(StoreError::Unavailable {
                operation,
                source: Box::new(Away(error)),
            });
        }
        self.within(operation, Duration::MAX, shared).await
    }
}

/// A duration for people: whole milliseconds below 10 seconds, else whole seconds.
fn brief(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}

/// True if the store works, and says no.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Fenced { .. } | StoreError::Conflict { .. } => true,
        StoreError::Retry { .. }
        | StoreError::OutcomeUnknown { .. }
        | StoreError::Unavailable { .. } => false,
    }
}

#[cfg(test)]
mod tests;
