//! A store that goes on while the shared store is away or stalls.
//!
//! [`FailsafeStore`] decorates the shared store. It writes what a leader records in a recovery to a
//! local disk and to the shared store at the same time, and waits for the shared store only
//! briefly. After the first miss the shared store counts as *away*: nothing waits for it until a
//! check succeeds, and reads return the last answers. What is only on the local disk is handed over
//! later by the node that wrote it, leader or not, because each record carries its epoch.
//!
//! The decorator changes nothing about who may write. A refusal of the shared store counts as soon
//! as it arrives, whether the store is away or not. An epoch that the shared store never granted is
//! accepted only while it is away (see `rights`). What is written under such an epoch stays on the
//! local disk until it is handed over under the epoch that is held then. That only one node acts on
//! a cluster in the meantime is decided by the votes of the cluster's own servers.
//!
//! Leases, registered nodes and voters exist in the shared store only. So do operators' settings,
//! with one exception: recoveries that cannot be switched off in the shared store are switched off
//! on this node.

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

/// Time limits of the decorator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailsafeOptions {
    /// Name by which this node checks the shared store.
    pub node: NodeName,
    /// For a write of a recovery to reach the shared store. Default 120 ms: several times what a
    /// healthy cluster takes. A larger limit adds to the time without a primary when the shared
    /// store fails together with it; a smaller one hands over what would have arrived.
    pub write: Duration,
    /// For an answer of the shared store when there is an earlier one to go by. Default 1 s.
    pub read: Duration,
    /// For a claim or a renewal of a lease, before the shared store counts as away; the call itself
    /// goes on. Default 250 ms: less than the control loop waits before it acts without the shared
    /// store.
    pub claim: Duration,
    /// Between two checks of a shared store that is away. Default 100 ms.
    pub retry: Duration,
    /// For the local disk. Default 5 s: a disk that hangs must not stop the work of the shared
    /// store or an operator's request.
    pub local: Duration,
    /// How long the last reading of the global switch counts. Default 24 h: an outage is noticed by
    /// then, and no fleet should be acted upon for longer while nobody can read its switch.
    pub switch_age_max: Duration,
}

impl FailsafeOptions {
    /// The defaults, for a node.
    pub fn of(node: NodeName) -> Self {
        Self {
            node,
            write: Duration::from_millis(120),
            read: Duration::from_secs(1),
            claim: Duration::from_millis(250),
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
    /// What the disk does now, possibly for another caller.
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
        // Without an earlier answer there is only the shared store, with its own limits.
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

    /// Waits for the shared store for a limited time. A failure makes it count as away; a refusal
    /// does not.
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

    /// Calls the shared store, unless it is away: then the call would have to wait for it.
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

/// True if the store works and refused the call.
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
