//! A move from its first step to its last, and the end of a move that stands still.

use std::time::Duration;

use baton_ports::{LeaseState, StoreError};
use tokio::time::{Instant, sleep, timeout};

use super::{Move, MovedLease};
use crate::session::Backend;
use crate::store::SqlStore;

/// How long the steps of a move may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveLimits {
    /// For the copy. Default 15 s: neither the lease nor a caller that waits for a write lasts
    /// longer.
    pub copy: Duration,
    /// For repeating a step whose outcome matters: whether the old store has ended, and the opening
    /// of the copy. Default 10 s.
    pub repeat: Duration,
    /// Between two attempts. Default 200 ms.
    pub pause: Duration,
}

impl Default for MoveLimits {
    fn default() -> Self {
        Self {
            copy: Duration::from_secs(15),
            repeat: Duration::from_secs(10),
            pause: Duration::from_millis(200),
        }
    }
}

/// Why a move did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The copy took too long; the state is where it was.
    #[error("the copy was not done within {} s", .0.as_secs())]
    Late(Duration),
    /// A step failed before the old store ended, or it is unknown whether it ended.
    #[error(transparent)]
    Unmoved(StoreError),
    /// The old store has ended. [`Relocation::finish`] opens the copy later.
    #[error("the state in {from} has ended and its copy in {to} could not be opened yet")]
    Unopened {
        /// The backend that held the state.
        from: String,
        /// The one that has the copy.
        to: String,
        /// Why it was not opened.
        #[source]
        source: StoreError,
    },
}

/// A move between two stores. Writes to the old one are held by the caller meanwhile.
#[derive(Debug)]
pub struct Relocation<'a, A, B> {
    /// The store that holds the state.
    pub old: &'a SqlStore<A>,
    /// The store that gets it.
    pub new: &'a SqlStore<B>,
    /// How long the steps may take.
    pub limits: MoveLimits,
}

impl<A: Backend, B: Backend> Relocation<'_, A, B> {
    /// Copies the state, ends the old store, opens the new one. Gives the number of rows, and the
    /// lease as it stands in the new store.
    ///
    /// # Errors
    /// With what holds afterwards: see [`MoveError`].
    pub async fn carry_out(
        &self,
        of: &Move,
        lease: &MovedLease,
    ) -> Result<(usize, LeaseState), MoveError> {
        let rows = self.copy(of, &lease.name).await?;
        self.end(of, &lease.name).await?;
        Ok((rows, self.open(of, lease).await?))
    }

    /// Puts a closed copy into the new store, and gives the number of its rows.
    ///
    /// # Errors
    /// The old store goes on.
    pub async fn copy(&self, of: &Move, lease: &str) -> Result<usize, MoveError> {
        let copied = async {
            let copy = self.old.dump(Some((lease, of.epoch))).await?;
            self.new.receive(&copy, of).await?;
            Ok(copy.rows())
        };
        let copied = timeout(self.limits.copy, copied).await;
        let copied = copied.map_err(|_| MoveError::Late(self.limits.copy))?;
        copied.map_err(MoveError::Unmoved)
    }

    /// Ends the old store. While it is unknown whether it ended, it is asked again.
    ///
    /// # Errors
    /// The old store goes on, or it is still unknown whether it ended.
    pub async fn end(&self, of: &Move, lease: &str) -> Result<(), MoveError> {
        let begun = Instant::now();
        loop {
            match self.old.hand_over(lease, of).await {
                Ok(()) => return Ok(()),
                Err(StoreError::OutcomeUnknown { .. }) if begun.elapsed() < self.limits.repeat => {
                    sleep(self.limits.pause).await;
                }
                Err(error) => return Err(MoveError::Unmoved(error)),
            }
        }
    }

    /// Opens the copy. The old store has ended, so every error is met with another attempt.
    ///
    /// # Errors
    /// If no attempt succeeded in time.
    pub async fn open(&self, of: &Move, lease: &MovedLease) -> Result<LeaseState, MoveError> {
        let begun = Instant::now();
        loop {
            match self.new.open_copy(of, lease).await {
                Ok(state) => return Ok(state),
                Err(source) if begun.elapsed() > self.limits.repeat => {
                    return Err(MoveError::Unopened {
                        from: of.from.clone(),
                        to: of.to.clone(),
                        source,
                    });
                }
                Err(_) => sleep(self.limits.pause).await,
            }
        }
    }

    /// Finishes a move whose node died after the old store had ended. Nobody holds the lease `name`
    /// then. Gives `None` if the old store has not ended.
    ///
    /// # Errors
    /// If a store does not answer, or the copy is not of that move.
    pub async fn finish(
        &self,
        (from, to): (&str, &str),
        name: &str,
    ) -> Result<Option<LeaseState>, StoreError> {
        let Some((_, epoch)) = self.old.moved_to().await? else {
            return Ok(None);
        };
        let of = Move {
            from: from.to_owned(),
            to: to.to_owned(),
            epoch,
        };
        let lease = MovedLease {
            name: name.to_owned(),
            holder: None,
            ttl: Duration::ZERO,
        };
        self.new.open_copy(&of, &lease).await.map(Some)
    }
}
