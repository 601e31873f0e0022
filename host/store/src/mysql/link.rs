//! One session on a node, each call on it bounded by a deadline of this side: no server-side limit
//! ends a commit that waits for its group.

use std::future::Future;
use std::str::FromStr as _;
use std::time::Duration;

use baton_core::policy::backend::BackendKind;
use baton_ports::Target;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlRow};
use sqlx::{
    Column as _, ConnectOptions as _, Executor as _, MySql as Driver, MySqlConnection, Row as _,
    ValueRef as _,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::errors::Trouble;
use super::options::MySqlOptions;
use crate::value::{Row, Value};

/// Time for a goodbye or a rollback: what they end, ends by itself soon after.
const SHORT: Duration = Duration::from_secs(1);

/// A session.
pub(super) struct Link {
    connection: MySqlConnection,
    pub(super) node: String,
    pub(super) kind: BackendKind,
    pub(super) generation: u64,
    targets: watch::Receiver<Option<Target>>,
    grace: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

impl Link {
    /// Connects to a target.
    pub(super) async fn connect(
        target: &Target,
        targets: &watch::Receiver<Option<Target>>,
        options: &MySqlOptions,
    ) -> Result<Self, Trouble> {
        let node = target.node_id.clone();
        let connect = connect_options(&target.url).map_err(|source| Trouble::of(&node, source))?;
        let establish = async {
            let mut connection = connect.connect().await?;
            connection
                .execute(sqlx::raw_sql(session_sql(target.kind)))
                .await?;
            Ok(connection)
        };
        let limit = options.connect;
        let connection = bounded(
            &node,
            limit,
            moved(targets.clone(), target.generation, options.grace),
            establish,
        )
        .await?;
        Ok(Self {
            connection,
            node,
            kind: target.kind,
            generation: target.generation,
            targets: targets.clone(),
            grace: options.grace,
            read: options.read,
            write: options.write_of(target.kind),
        })
    }

    /// Runs a statement whose text is no secret of anybody: `BEGIN`, `COMMIT`, definitions. Gives
    /// the rows it matched.
    pub(super) async fn run(&mut self, sql: &str, limit: Duration) -> Result<u64, Trouble> {
        let moved = moved(self.targets.clone(), self.generation, self.grace);
        let call = self.connection.execute(sqlx::raw_sql(sql));
        let done = bounded(&self.node, limit, moved, call).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement; gives how many rows it matched.
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, Trouble> {
        let moved = moved(self.targets.clone(), self.generation, self.grace);
        let call = bound(sql, values).execute(&mut self.connection);
        let done = bounded(&self.node, self.write, moved, call).await?;
        Ok(done.rows_affected())
    }

    /// Runs a query.
    pub(super) async fn fetch(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Trouble> {
        let moved = moved(self.targets.clone(), self.generation, self.grace);
        let call = async {
            let rows = bound(sql, values).fetch_all(&mut self.connection).await?;
            rows.iter()
                .map(decode)
                .collect::<Result<Vec<Row>, sqlx::Error>>()
        };
        bounded(&self.node, self.read, moved, call).await
    }

    /// Rolls back; false if the session cannot be used any more.
    pub(super) async fn reset(&mut self) -> bool {
        self.run("ROLLBACK", SHORT).await.is_ok()
    }
}

/// Ends a while after another choice was published: what has not been answered by then is treated
/// as lost. While there is no choice at all, the present node is as good as any.
async fn moved(mut targets: watch::Receiver<Option<Target>>, generation: u64, grace: Duration) {
    let other = |target: &Option<Target>| {
        target
            .as_ref()
            .is_some_and(|target| target.generation != generation)
    };
    if targets.wait_for(other).await.is_err() {
        // Nobody chooses any more.
        std::future::pending::<()>().await;
    }
    sleep(grace).await;
}

async fn bounded<T>(
    node: &str,
    limit: Duration,
    moved: impl Future<Output = ()>,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Trouble> {
    let node_id = || node.to_owned();
    tokio::select! {
        biased;
        done = call => done.map_err(|source| Trouble::of(node, source)),
        () = moved => Err(Trouble::Moved { node: node_id() }),
        () = sleep(limit) => Err(Trouble::Deadline { node: node_id(), limit }),
    }
}

fn connect_options(url: &str) -> Result<MySqlConnectOptions, sqlx::Error> {
    // The session's settings are sent in one statement of our own.
    Ok(MySqlConnectOptions::from_str(url)?
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .disable_statement_logging())
}

/// Strict, `READ COMMITTED`, and limits behind our own deadlines. Where it can be had, a read sees
/// all that was committed on any node before.
fn session_sql(kind: BackendKind) -> &'static str {
    macro_rules! settings {
        ($more:literal) => {
            concat!(
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; ",
                "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', ",
                "SESSION innodb_lock_wait_timeout = 3, SESSION lock_wait_timeout = 5",
                $more
            )
        };
    }
    match kind {
        BackendKind::Galera => settings!(", SESSION wsrep_sync_wait = 1"),
        BackendKind::GroupReplication => {
            settings!(", SESSION group_replication_consistency = 'BEFORE'")
        }
        BackendKind::Sqlite | BackendKind::MasterMaster | BackendKind::Ndb => settings!(""),
    }
}

fn bound(
    sql: &'static str,
    values: Vec<Value>,
) -> sqlx::query::Query<'static, Driver, MySqlArguments> {
    values
        .into_iter()
        .fold(sqlx::query(sql), |query, value| match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
}

/// A row as stored: integers of any width are numbers, all else is text.
fn decode(row: &MySqlRow) -> Result<Row, sqlx::Error> {
    let values = row.columns().iter().map(|column| {
        let index = column.ordinal();
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info();
        if sqlx::TypeInfo::name(&*kind).contains("INT") {
            return row.try_get_unchecked(index).map(Value::Integer);
        }
        row.try_get_unchecked(index).map(Value::Text)
    });
    values
        .collect::<Result<Vec<_>, sqlx::Error>>()
        .map(Row::new)
}
