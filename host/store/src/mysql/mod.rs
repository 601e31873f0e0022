//! Database nodes that speak the MySQL protocol: single servers, pairs, Galera, NDB, Group
//! Replication.
//!
//! There is one node at a time, the *target*; which one is somebody else's choice. Each
//! transaction, and each read, happens on one node. When the target changes, no session of the old
//! one is used again, and what it has not answered soon is treated as lost. An operation that
//! failed is done once more from its beginning, on the same node or on the next one, by the class
//! of its failure; if the answer to a commit is missing, the operation looks first. What cannot be
//! decided in time is reported as such.

mod errors;
mod home;
mod link;
mod options;
mod prepare;
mod transaction;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::policy::backend::BackendKind;
use baton_ports::{StoreError, Target};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout_at};

pub use options::{HalfCopies, MySqlOptions};

use self::errors::Phase;
use self::home::Home;
use self::transaction::MySqlTransaction;
use crate::failure::{Cause, Failure};
use crate::session::{Attempts, Backend, Transaction};
use crate::store::MySqlStore;
use crate::value::{Row, Value};

/// Times that a transaction in conflict with another is repeated.
const CONFLICTS_MAX: u32 = 5;
/// While the selection stays, the same node is tried again after this time: it may have come back.
const RECHECK: Duration = Duration::from_millis(250);

/// Who chooses the node, as far as the store has to do with it.
pub trait Selector: Send + Sync {
    /// Something failed on the target of that generation, for more reasons than a conflict. The
    /// classes: `connection-lost`, `deadline`, `moved`, `not-ready`, `no-quorum`, `cluster-lost`,
    /// `read-only`, `shutting-down`, `too-many-connections`, `full`, `access`, `unknown-outcome`.
    fn failed(&self, generation: u64, class: &'static str);
    /// Why there is no target.
    fn reason(&self) -> String {
        "none was selected".to_owned()
    }
}

/// While it lives, a store does nothing.
#[derive(Debug)]
pub struct Hold {
    _permits: OwnedSemaphorePermit,
}

/// Nobody who wants to know.
impl Selector for () {
    fn failed(&self, _generation: u64, _class: &'static str) {}
}

/// The engine.
#[derive(Clone)]
pub struct MySql {
    home: Arc<Home>,
}

impl std::fmt::Debug for MySql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MySql").finish_non_exhaustive()
    }
}

impl MySqlStore {
    /// A store on the node that is selected, as it changes. Connects when it is used, and then
    /// makes the tables or brings them up to date, once for each backend.
    pub fn follow(
        targets: watch::Receiver<Option<Target>>,
        selector: Arc<dyn Selector>,
        options: MySqlOptions,
    ) -> Self {
        let audit = options.audit;
        let home = Arc::new(Home::new(targets, selector, options));
        Self {
            backend: MySql { home },
            audit,
        }
    }

    /// Waits until nothing is under way, and keeps everything from beginning until the hold is
    /// dropped: calls wait, as long as they are patient. `None` if something was still under way
    /// after `limit`.
    pub async fn hold(&self, limit: Duration) -> Option<Hold> {
        let permits = self.backend.home.all_permits(limit).await?;
        Some(Hold { _permits: permits })
    }

    /// Connects, and makes the tables or brings them up to date. Gives the schema that was found; 0
    /// if there was none.
    ///
    /// # Errors
    /// Names the node, and what to do.
    pub async fn prepare(&self) -> Result<u32, StoreError> {
        let mut attempts = self.backend.attempts();
        loop {
            match self.backend.home.prepared().await {
                Ok(found) => return Ok(found),
                Err(failure) => {
                    self.again(&mut attempts, "preparing the tables", failure)
                        .await?;
                }
            }
        }
    }
}

#[async_trait]
impl Backend for MySql {
    fn attempts(&self) -> Attempts {
        Attempts {
            place: self.home.generation(),
            ..Attempts::default()
        }
    }

    async fn again(&self, attempts: &mut Attempts, failure: Failure) -> Result<(), Failure> {
        let since = *attempts.failing_since.get_or_insert_with(Instant::now);
        let deadline = since + self.home.options.patience;
        let repeat = match &failure {
            // A row that stands against an insertion is found by the operation when it looks again.
            Failure::Retry(_) | Failure::Duplicate(_) => {
                attempts.conflicts += 1;
                let pause = self.pause();
                let repeat =
                    attempts.conflicts <= CONFLICTS_MAX && Instant::now() + pause < deadline;
                if repeat {
                    sleep(pause).await;
                }
                repeat
            }
            Failure::Elsewhere(_) => self.next_target(attempts.place, deadline).await,
            Failure::Unknown(_) => {
                attempts.in_doubt = true;
                self.next_target(attempts.place, deadline).await
            }
            Failure::Unavailable(_) | Failure::Dangling(_) => false,
        };
        if !repeat {
            return Err(give_up(attempts, failure));
        }
        attempts.place = self.home.generation();
        Ok(())
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, Failure> {
        let (link, permit) = self.home.begin().await?;
        let home = Arc::clone(&self.home);
        Ok(Box::new(MySqlTransaction::new(home, link, permit)))
    }

    async fn fetch(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure> {
        let _permit = self.home.permit().await?;
        loop {
            let (mut link, is_fresh) = self.home.take().await?;
            match link.fetch(sql, values.clone()).await {
                Ok(rows) => {
                    self.home.give_back(link);
                    return Ok(rows);
                }
                Err(trouble) => {
                    let generation = link.generation;
                    let is_stale = !is_fresh && Home::is_lost(&trouble);
                    let (failure, lost) =
                        self.home
                            .blame(trouble, generation, Phase::Statement, is_stale);
                    if !lost {
                        self.home.give_back(link);
                    }
                    if !is_stale {
                        return Err(failure);
                    }
                }
            }
        }
    }
}

impl MySql {
    /// Until another target is there, or the same one is worth another try. False if time is up.
    async fn next_target(&self, place: u64, deadline: Instant) -> bool {
        let mut targets = self.home.targets.clone();
        let recheck = deadline.min(Instant::now() + RECHECK);
        let is_other = |target: &Option<Target>| {
            target
                .as_ref()
                .is_some_and(|target| target.generation != place)
        };
        if let Ok(Ok(_)) = timeout_at(recheck, targets.wait_for(is_other)).await {
            return true;
        }
        if targets.borrow().is_some() {
            return Instant::now() < deadline;
        }
        matches!(
            timeout_at(deadline, targets.wait_for(Option::is_some)).await,
            Ok(Ok(_))
        )
    }

    /// Between repetitions, different on each node; NDB's temporary errors last longer than
    /// deadlocks.
    fn pause(&self) -> Duration {
        let ceiling = match self.home.kind() {
            Some(BackendKind::Ndb) => 200,
            _ => 50,
        };
        let random = RandomState::new().build_hasher().finish();
        Duration::from_millis(5 + random % ceiling)
    }
}

/// What the caller is told: an earlier attempt that may have been done makes the whole unknown.
fn give_up(attempts: &Attempts, failure: Failure) -> Failure {
    if !attempts.in_doubt {
        return failure;
    }
    let cause: Cause = match failure {
        Failure::Retry(cause)
        | Failure::Elsewhere(cause)
        | Failure::Unknown(cause)
        | Failure::Unavailable(cause)
        | Failure::Duplicate(cause)
        | Failure::Dangling(cause) => cause,
    };
    Failure::Unknown(cause)
}
