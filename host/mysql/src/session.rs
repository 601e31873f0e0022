//! One connection: text in, tables out.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use baton_core::model::{ProbeFailure, TimeoutPhase};
use futures::FutureExt as _;
use mysql_async::prelude::{AsQuery, Queryable as _};
use mysql_async::{Conn, Error, Row, TextProtocol, Value};
use tokio::time::timeout;

use crate::failure::{Stage, probe_failure};
use crate::rows::Table;

/// An established connection. Dropping it ends the session at the server at once.
#[derive(Debug)]
pub(crate) struct Session {
    conn: Conn,
}

/// What came back before the first error.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One table per statement that ended well. A statement without rows gives an empty one, but
    /// for the last.
    pub(crate) tables: Vec<Table>,
    /// What ended it.
    pub(crate) error: Option<Error>,
}

impl Session {
    pub(crate) fn new(conn: Conn) -> Self {
        Self { conn }
    }

    /// The server's number of this connection.
    pub(crate) fn id(&self) -> u32 {
        self.conn.id()
    }

    /// Sends one or more statements and reads all answers. `on_row` is called when a row arrives.
    pub(crate) async fn send(&mut self, sql: impl AsQuery, on_row: impl FnMut() + Send) -> Outcome {
        let mut tables = Vec::new();
        let work = read_all(&mut self.conn, sql, on_row, &mut tables);
        // The protocol library asserts what a well-behaved server sends; whatever a server sends
        // must not end this process.
        let error = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(result) => result.err(),
            Err(_panic) => Some(Error::Driver(mysql_async::DriverError::PacketOutOfOrder)),
        };
        Outcome { tables, error }
    }

    /// Sends statements; all must end well within `limit`.
    pub(crate) async fn tables(
        &mut self,
        sql: &str,
        limit: Duration,
    ) -> Result<Vec<Table>, ProbeFailure> {
        let outcome = within(limit, self.send(sql, || {})).await?;
        match outcome.error {
            None => Ok(outcome.tables),
            Some(error) => Err(probe_failure(&error, Stage::Established)),
        }
    }

    /// Sends one statement that the server may not know or not allow: then `Ok(None)`.
    pub(crate) async fn attempt(
        &mut self,
        sql: &str,
        limit: Duration,
    ) -> Result<Option<Table>, ProbeFailure> {
        match self.tables(sql, limit).await {
            Ok(mut tables) => Ok(if tables.is_empty() {
                None
            } else {
                Some(tables.swap_remove(0))
            }),
            Err(ProbeFailure::Statement { .. } | ProbeFailure::Authentication { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Waits for an answer of an established session.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ProbeFailure> {
    timeout(limit, work)
        .await
        .map_err(|_| ProbeFailure::Timeout(TimeoutPhase::Statement))
}

async fn read_all(
    conn: &mut Conn,
    sql: impl AsQuery,
    mut on_row: impl FnMut(),
    tables: &mut Vec<Table>,
) -> Result<(), Error> {
    let mut result = conn.query_iter(sql).await?;
    loop {
        let columns = names(&result);
        let mut rows = Vec::new();
        let read = result.for_each(|row| {
            on_row();
            rows.push(cells(row));
        });
        // The error of the next statement comes with the end of this one's rows: they are whole.
        let ended = read.await;
        tables.push(Table { columns, rows });
        ended?;
        if result.is_empty() {
            // The error of a statement that is not the first one is kept back until it is asked
            // for.
            return result.drop_result().await;
        }
    }
}

fn names(result: &mysql_async::QueryResult<'_, '_, TextProtocol>) -> Vec<String> {
    result
        .columns_ref()
        .iter()
        .map(|column| column.name_str().into_owned())
        .collect()
}

fn cells(row: Row) -> Vec<Option<String>> {
    row.unwrap_raw()
        .into_iter()
        .map(|cell| cell.and_then(text))
        .collect()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(garbled) => String::from_utf8_lossy(garbled.as_bytes()).into_owned(),
        }),
        other => Some(other.as_sql(true)),
    }
}
