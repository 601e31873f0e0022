//! One connection that writes, and transactions on it.
//!
//! `BEGIN`, `COMMIT` and `ROLLBACK` are sent as plain statements rather than through sqlx's
//! transactions: SQLite ends a transaction by itself on a full or failing disk, after which sqlx
//! 0.8 believes for ever that it is still inside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Column as _, Connection as _, Executor as _, Row as _, Sqlite as Driver, SqliteConnection,
    ValueRef as _,
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use super::errors::{BUSY, of_commit, of_statement, primary_code};
use crate::failure::Failure;
use crate::session::{Session, Transaction};
use crate::value::{Row, Value};

/// How often a file in which another process writes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The writing connection and what state it is in.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` once it was closed.
    connection: Option<SqliteConnection>,
    /// A transaction may be open that nobody owns any more.
    abandoned: bool,
    /// How long another process that writes is waited for.
    patience: Duration,
}

/// The writing connection, one user at a time, in the order of asking.
pub(super) type Writer = Arc<Mutex<Slot>>;

/// Wraps a connection, which waits that long for another process that writes.
pub(super) async fn writer(
    mut connection: SqliteConnection,
    patience: Duration,
) -> Result<Writer, sqlx::Error> {
    // Beside the write lock it waits for nothing.
    wait_by_itself(&mut connection, Duration::ZERO).await?;
    Ok(Arc::new(Mutex::new(Slot {
        connection: Some(connection),
        abandoned: false,
        patience,
    })))
}

/// How long SQLite itself waits for a lock.
pub(super) async fn wait_by_itself(
    connection: &mut SqliteConnection,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    let pragma = format!("PRAGMA busy_timeout = {}", limit.as_millis());
    connection.execute(sqlx::raw_sql(&pragma)).await?;
    Ok(())
}

/// Takes the write lock, on a connection that does not wait by itself. SQLite gives nobody a turn,
/// and when it waits it looks ever more seldom, in the end each 100 ms (`sqliteDefaultBusyCallback`
/// in its `main.c`): a process that writes without pause would keep all others out.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    let until = Instant::now() + patience;
    loop {
        let begun = sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut *connection)
            .await;
        match begun {
            Err(error) if primary_code(&error) == BUSY && Instant::now() < until => {
                sleep(LOOK_EVERY).await;
            }
            begun => return begun.map(drop),
        }
    }
}

impl Slot {
    /// Ends whatever transaction is open. That there is none is no error: SQLite may have ended it.
    async fn reset(&mut self) {
        if let Ok(connection) = self.open() {
            drop(sqlx::query("ROLLBACK").execute(connection).await);
        }
        self.abandoned = false;
    }

    fn open(&mut self) -> Result<&mut SqliteConnection, Failure> {
        self.connection
            .as_mut()
            .ok_or_else(|| Failure::Unavailable("the store was closed".into()))
    }

    /// The connection, outside any transaction.
    pub(super) async fn clean(&mut self) -> Result<&mut SqliteConnection, Failure> {
        if self.abandoned {
            self.reset().await;
        }
        self.open()
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        self.reset().await;
        if let Some(connection) = self.connection.take() {
            // Closing fails only if statements are still in use, which the slot's single user rules
            // out.
            drop(connection.close().await);
        }
    }
}

/// A transaction on the writing connection; the connection is nobody else's until it ends.
pub(super) struct SqliteTransaction {
    /// `None` once it ended.
    slot: Option<OwnedMutexGuard<Slot>>,
}

impl SqliteTransaction {
    /// Begins. The write lock is taken at once: a transaction that read first could not be
    /// completed if another process wrote in between.
    pub(super) async fn begin(writer: &Writer) -> Result<Self, Failure> {
        let mut slot = Arc::clone(writer).lock_owned().await;
        slot.clean().await?;
        slot.abandoned = true;
        let patience = slot.patience;
        // It owns the slot before anything is sent, so that being dropped while waiting leads to a
        // rollback.
        let mut transaction = Self { slot: Some(slot) };
        let begun = begin(transaction.connection()?, patience).await;
        if let Err(error) = begun {
            transaction.end();
            return Err(of_statement(error));
        }
        Ok(transaction)
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, Failure> {
        match &mut self.slot {
            Some(slot) => slot.open(),
            None => Err(Failure::Unavailable("the transaction has ended".into())),
        }
    }

    /// Gives the connection back as one that is outside any transaction.
    fn end(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.abandoned = false;
        }
    }

    async fn reset(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.reset().await;
        }
    }
}

impl Drop for SqliteTransaction {
    /// Rolls back in a task, so that the lock on the file does not stay until the next writer
    /// comes. Without a runtime the next writer does it.
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Short, and nothing waits for its result but the mutex that it holds.
            drop(runtime.spawn(async move { slot.reset().await }));
        }
    }
}

#[async_trait]
impl Session for SqliteTransaction {
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Failure> {
        let done = bound(sql, values)
            .execute(self.connection()?)
            .await
            .map_err(of_statement)?;
        Ok(done.rows_affected())
    }

    async fn fetch(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure> {
        fetch_on(self.connection()?, sql, values).await
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn commit(mut self: Box<Self>) -> Result<(), Failure> {
        let committed = sqlx::query("COMMIT").execute(self.connection()?).await;
        if let Err(error) = committed {
            self.reset().await;
            return Err(of_commit(error));
        }
        self.end();
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        self.reset().await;
    }

    async fn execute_text(&mut self, sql: &str) -> Result<(), Failure> {
        self.connection()?
            .execute(sqlx::raw_sql(sql))
            .await
            .map_err(of_statement)?;
        Ok(())
    }
}

/// Runs one query on any connection or pool.
pub(super) async fn fetch_on<'c, E>(
    executor: E,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<Row>, Failure>
where
    E: sqlx::Executor<'c, Database = Driver>,
{
    let rows = bound(sql, values)
        .fetch_all(executor)
        .await
        .map_err(of_statement)?;
    rows.iter().map(decode).collect()
}

fn bound(
    sql: &'static str,
    values: Vec<Value>,
) -> sqlx::query::Query<'static, Driver, SqliteArguments<'static>> {
    values
        .into_iter()
        .fold(sqlx::query(sql), |query, value| match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
}

/// A row as stored, whatever the column was declared to be.
fn decode(row: &SqliteRow) -> Result<Row, Failure> {
    let values = row.columns().iter().map(|column| {
        let index = column.ordinal();
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        if sqlx::TypeInfo::name(&*raw.type_info()) == "INTEGER" {
            return row.try_get_unchecked(index).map(Value::Integer);
        }
        row.try_get_unchecked(index).map(Value::Text)
    });
    values
        .collect::<Result<Vec<_>, sqlx::Error>>()
        .map(Row::new)
        .map_err(of_statement)
}
