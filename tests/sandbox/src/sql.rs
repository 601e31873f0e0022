//! SQL to the sandbox's servers, blocking, on a runtime of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Value};

use crate::Account;

/// Of its own, so that functions here may be called from inside another runtime too.
static RUNTIME: LazyLock<std::io::Result<tokio::runtime::Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
});

/// One row of an answer, every value as text.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<String>>,
}

/// The rows of an answer.
pub type Rows = Vec<Row>;

impl Row {
    /// The value in a column; `None` if it is NULL or there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.at(index)
    }

    /// The value at a position, from 0; `None` if it is NULL or there is no such column.
    pub fn at(&self, index: usize) -> Option<&str> {
        self.values.get(index)?.as_deref()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

/// An account, or else `root`, over the server's own socket, which no network fault cuts.
pub(crate) fn socket_opts(socket: &Path, account: Option<Account>) -> Opts {
    let socket = socket.to_string_lossy().into_owned();
    let user = account.map_or("root", Account::name);
    let password = account.map(Account::name);
    OptsBuilder::default()
        .user(Some(user))
        .pass(password)
        .socket(Some(socket))
        .into()
}

/// An account over TCP.
pub(crate) fn account_opts(address: SocketAddr, account: Account) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        // Otherwise it moves to the socket after asking the server where that is.
        .prefer_socket(false)
        .user(Some(account.name()))
        .pass(Some(account.name()))
        .into()
}

/// Runs statements, separated by semicolons, and returns the first one's rows.
pub(crate) fn query(opts: Opts, sql: &str, limit: Duration) -> Result<Rows> {
    let statement = sql.to_owned();
    let answer = wait_for(async move {
        tokio::time::timeout(limit, run(opts, &statement))
            .await
            .map_err(|_| anyhow!("no answer within {limit:?}"))?
    })?;
    answer.with_context(|| format!("run {sql:?}"))
}

async fn run(opts: Opts, sql: &str) -> Result<Rows> {
    let mut connection = Conn::new(opts).await.context("connect")?;
    let mut result = connection.query_iter(sql).await?;
    let columns: Arc<[String]> = result
        .columns_ref()
        .iter()
        .map(|column| column.name_str().into_owned())
        .collect();
    let rows: Vec<mysql_async::Row> = result.collect().await?;
    result.drop_result().await?;
    let rows = rows
        .into_iter()
        .map(|row| Row {
            columns: Arc::clone(&columns),
            values: row.unwrap().into_iter().map(text).collect(),
        })
        .collect();
    connection.disconnect().await?;
    Ok(rows)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

fn wait_for<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = RUNTIME
        .as_ref()
        .map_err(|error| anyhow!("start the runtime: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        // The receiver waits below.
        sender.send(future.await).ok();
    });
    receiver.recv().context("the query ended without an answer")
}
