//! The port to managed servers.

use async_trait::async_trait;
use baton_core::command::{Guard, ServerCommand};
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, ServerFacts};
use baton_core::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// A full reading.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchAnswer {
    /// When the server began to evaluate it, as far as this node can tell: after the requested
    /// pause.
    pub began: Timestamp,
    /// Time from then to the last byte.
    pub round_trip: Duration,
    /// What the server says.
    pub facts: ServerFacts,
}

/// A persistent session for reading only.
///
/// Dropping a future of it midway leaves the session unusable: drop the session, too.
#[async_trait]
pub trait Watch: Send {
    /// Lets the server pause for `pause`, then reads everything, in one round trip where the
    /// protocol allows. Because the session waits for the server all the time, the end of the
    /// server's process is noticed at once.
    ///
    /// # Errors
    /// `limit` counts from the end of the pause. After an error the session must be dropped.
    async fn read(&mut self, pause: Duration, limit: Duration)
    -> Result<WatchAnswer, ProbeFailure>;
}

/// State of the advisory lock of a cluster on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// This session holds it.
    Held,
    /// Another session holds it.
    HeldBy {
        /// Its connection id.
        connection: u64,
    },
    /// Nobody holds it.
    Free,
}

/// Why a statement did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The server refused it: nothing was done.
    #[error("{command} was refused with error {number}: {message}")]
    Refused {
        /// The command's word.
        command: &'static str,
        /// MySQL error number.
        number: u16,
        /// Server's text.
        message: String,
    },
    /// The guard did not hold: lock lost or too late. Nothing was done.
    #[error("{command} was not executed: the lock was lost or it came too late")]
    GuardFailed {
        /// The command's word.
        command: &'static str,
    },
    /// The condition waited for did not come true in time. Nothing is unknown.
    #[error("{command} did not finish within {limit:?}")]
    NotReached {
        /// The command's word.
        command: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// No answer: the outcome is unknown, observe again. The session is gone.
    #[error("{command} gave no answer ({failure}); its outcome is unknown")]
    OutcomeUnknown {
        /// The command's word.
        command: &'static str,
        /// What happened to the session.
        failure: FailureWord,
    },
}

/// Word of a [`ProbeFailure`], for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureWord(pub ProbeFailure);

impl fmt::Display for FailureWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())
    }
}

/// A standing session that holds (or wants) the cluster's advisory lock on one server. Every change
/// goes through it.
///
/// Dropping a future of it midway leaves the session unusable and the outcome of a change unknown:
/// drop the session, too. Dropping the session ends it, which frees the lock.
#[async_trait]
pub trait ActSession: Send {
    /// Reads everything now.
    ///
    /// # Errors
    /// After an error the session must be dropped.
    async fn read(&mut self, limit: Duration) -> Result<WatchAnswer, ProbeFailure>;

    /// Takes the lock if it is free; says who holds it.
    ///
    /// # Errors
    /// After an error the session must be dropped.
    async fn take_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure>;

    /// Says whether this session still holds the lock; also keeps the session alive.
    ///
    /// # Errors
    /// After an error the session must be dropped.
    async fn verify_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure>;

    /// Ends the session that holds the lock, so that it can be taken: for a holder whose term is
    /// over. When the lock is free, nothing of that session runs on the server any more.
    ///
    /// # Errors
    /// After an error the session must be dropped. A holder that is gone already is no error.
    async fn evict(&mut self, connection: u64, limit: Duration) -> Result<(), ProbeFailure>;

    /// Sets the server-side deadline that guarded commands check. To be sent *before* the locks
    /// elsewhere are verified.
    ///
    /// # Errors
    /// After an error the session must be dropped.
    async fn arm(&mut self, guard: Guard, limit: Duration) -> Result<(), ProbeFailure>;

    /// Performs one change. `limit` bounds the whole call.
    ///
    /// # Errors
    /// After `OutcomeUnknown` the session must be dropped.
    async fn perform(
        &mut self,
        command: &ServerCommand,
        limit: Duration,
    ) -> Result<(), StatementError>;
}

/// Both kinds of session to one server.
pub type Session = Box<dyn ActSession>;

/// A fence that can be left for a server that hangs: its sessions stand open, and nothing was sent
/// on them since. So its statements wait in the server's sockets, and are the first that it carries
/// out when it goes on.
#[async_trait]
pub trait StandbyFence: Send {
    /// Sends the fence and waits until it is carried out. The server refuses it if somebody else
    /// holds the lock by then.
    ///
    /// # Errors
    /// As for any change.
    async fn fence(self: Box<Self>, limit: Duration) -> Result<(), StatementError>;
}

/// Opens sessions to managed servers.
#[async_trait]
pub trait Servers: Send + Sync {
    /// Opens a session for reading.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    async fn watch(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Box<dyn Watch>, ProbeFailure>;

    /// Opens a session for acting, for the lock named `lock` (at most 64 bytes). Does not take the
    /// lock yet.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    async fn act(
        &self,
        address: &Address,
        lock: &str,
        limit: Duration,
    ) -> Result<Session, ProbeFailure>;

    /// Opens what a fence needs to wait for a server that hangs. The lock named `lock` must be held
    /// there by a session of ours.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    async fn standby(
        &self,
        address: &Address,
        lock: &str,
        limit: Duration,
    ) -> Result<Box<dyn StandbyFence>, ProbeFailure>;

    /// IP literals of a host name, so that two names of one server can be told.
    /// Empty if the name does not resolve.
    async fn resolve(&self, host: &str) -> Vec<String>;
}
