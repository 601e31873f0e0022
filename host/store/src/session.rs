//! What an engine must offer so that the operations can run on it.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::value::{Row, Value};

/// A conversation with the database inside one transaction. After the first error nothing more may
/// be asked of it but to be rolled back: several engines end the transaction on any error and would
/// let a later `COMMIT` succeed.
#[async_trait]
pub trait Session: Send {
    /// Runs a statement; gives how many rows it matched.
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Failure>;
    /// Runs a query.
    async fn fetch(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure>;
}

/// A transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait Transaction: Session {
    /// Makes it durable. Its error counts as much as those of the statements: nothing was granted
    /// before it is `Ok`.
    async fn commit(self: Box<Self>) -> Result<(), Failure>;
    /// Gives it up.
    async fn rollback(self: Box<Self>);
    /// Runs a statement of a migration, whose text is put together at run time.
    async fn execute_text(&mut self, sql: &str) -> Result<(), Failure>;
}

/// One operation's attempts, as the engine counts them.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Where the present one is made, in the engine's own numbering.
    pub(crate) place: u64,
    /// Attempts that ended in a conflict.
    pub(crate) conflicts: u32,
    /// When the first one failed.
    pub(crate) failing_since: Option<Instant>,
    /// An earlier one may have been done after all: look before doing it again.
    pub(crate) in_doubt: bool,
}

/// An engine.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// At the beginning of an operation.
    fn attempts(&self) -> Attempts {
        Attempts::default()
    }
    /// After a failed attempt: waits as long as it is good, and returns when the operation is to be
    /// done once more, from its beginning.
    ///
    /// # Errors
    /// With what the caller is to be told, if it is not to be repeated.
    async fn again(&self, _attempts: &mut Attempts, failure: Failure) -> Result<(), Failure> {
        Err(failure)
    }
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn Transaction>, Failure>;
    /// Runs one query, outside any transaction, that sees all that was committed before.
    async fn fetch(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure>;
}
