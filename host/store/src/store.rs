//! The port, implemented for any engine: each call is one transaction, or one query.

mod audit;
mod intents;
mod inventory;
mod leases;
mod nodes;
mod recovery_log;
mod settings;

use std::time::Duration;

use baton_ports::StoreError;

use crate::failure::{Failure, Refusal};
use crate::session::{Attempts, Backend, Transaction};
use crate::value::{Row, Value};

/// How much of the audit log is kept; what exceeds either limit goes, oldest first, whenever a line
/// is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLimits {
    /// Most lines. Default 100,000, about 20 MB. Too small loses evidence, too large costs disk.
    pub rows_max: u64,
    /// Greatest age, against the newest line. Default 365 days; [`Duration::MAX`] for no limit.
    pub age_max: Duration,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            rows_max: 100_000,
            age_max: Duration::from_hours(365 * 24),
        }
    }
}

/// The state store on the engine `B`.
#[derive(Debug)]
pub struct SqlStore<B> {
    pub(crate) backend: B,
    pub(crate) audit: AuditLimits,
}

/// The state store in a SQLite file or in memory.
pub type SqliteStore = SqlStore<crate::sqlite::Sqlite>;

/// The state store on the database node that is selected, whichever that is.
pub type MySqlStore = SqlStore<crate::mysql::MySql>;

impl<B: Backend> SqlStore<B> {
    /// All rows of a query.
    pub(crate) async fn all<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
        read: fn(Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(operation, sql, values).await?;
        let read: Result<Vec<T>, Failure> = rows.into_iter().map(read).collect();
        read.map_err(|failure| failure.during(operation))
    }

    async fn rows(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut attempts = self.backend.attempts();
        loop {
            match self.backend.fetch(sql, values.clone()).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => self.again(&mut attempts, operation, failure).await?,
            }
        }
    }

    /// Returns when the operation is to be attempted once more.
    pub(crate) async fn again(
        &self,
        attempts: &mut Attempts,
        operation: &'static str,
        failure: Failure,
    ) -> Result<(), StoreError> {
        let repeat = self.backend.again(attempts, failure).await;
        repeat.map_err(|failure| failure.during(operation))
    }

    /// The only row of a query, if there is one.
    pub(crate) async fn one<T>(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
        read: fn(Row) -> Result<T, Failure>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(operation, sql, values, read).await?.pop())
    }
}

/// Commits what succeeded, rolls back what did not.
pub(crate) async fn finish<T>(
    transaction: Box<dyn Transaction>,
    result: Result<T, Refusal>,
) -> Result<T, Refusal> {
    match result {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(refusal) => {
            transaction.rollback().await;
            Err(refusal)
        }
    }
}

/// Runs one operation in one transaction, as often as the engine says, and gives the result of the
/// port's call. An operation that must not be done twice is told whether an earlier attempt may
/// have been done.
macro_rules! write {
    ($store:expr, $operation:literal, |$session:ident| $work:expr) => {
        write!($store, $operation, |$session, _in_doubt| $work)
    };
    ($store:expr, $operation:literal, |$session:ident, $in_doubt:ident| $work:expr) => {{
        let mut attempts = $store.backend.attempts();
        loop {
            let $in_doubt = attempts.in_doubt;
            let result = match $store.backend.begin().await {
                Ok(mut transaction) => {
                    let $session = &mut *transaction;
                    let result = $work.await;
                    finish(transaction, result).await
                }
                Err(failure) => Err(failure.into()),
            };
            match result {
                Ok(value) => break Ok(value),
                Err(Refusal::Failed(failure)) => {
                    $store.again(&mut attempts, $operation, failure).await?;
                }
                Err(refusal) => break Err(refusal.during($operation)),
            }
        }
    }};
}

pub(crate) use write;
