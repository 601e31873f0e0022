//! What a server understands. Found out once per session by asking for it, never by comparing
//! versions.

use std::fmt::Write as _;
use std::time::Duration;

use baton_core::model::{Flavor, ProbeFailure};
use tokio::time::Instant;

use crate::facts::{flavor, is_receiver_stuck};
use crate::rows::Table;
use crate::session::Session;

/// Variables that cannot change while the server runs (or whose change may wait until the next
/// session).
const FIXED: [&str; 15] = [
    "version",
    "version_comment",
    "hostname",
    "port",
    "report_host",
    "report_port",
    "server_uuid",
    "server_uid",
    "gtid_domain_id",
    "log_bin",
    "log_slave_updates",
    "log_replica_updates",
    "performance_schema",
    "datadir",
    "relay_log_recovery",
];

/// Variables read each time, where they exist.
const CHANGING: [&str; 32] = [
    "server_id",
    "read_only",
    "super_read_only",
    "gtid_mode",
    "gtid_executed",
    "gtid_purged",
    "gtid_binlog_state",
    "gtid_slave_pos",
    "gtid_current_pos",
    "binlog_format",
    "binlog_row_image",
    "max_connections",
    "event_scheduler",
    "rpl_semi_sync_source_enabled",
    "rpl_semi_sync_source_timeout",
    "rpl_semi_sync_source_wait_for_replica_count",
    "rpl_semi_sync_source_wait_point",
    "rpl_semi_sync_source_wait_no_replica",
    "rpl_semi_sync_replica_enabled",
    "rpl_semi_sync_master_enabled",
    "rpl_semi_sync_master_timeout",
    "rpl_semi_sync_master_wait_for_slave_count",
    "rpl_semi_sync_master_wait_point",
    "rpl_semi_sync_master_wait_no_slave",
    "rpl_semi_sync_slave_enabled",
    "sync_binlog",
    "innodb_flush_log_at_trx_commit",
    "sync_relay_log",
    "max_execution_time",
    "max_statement_time",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
];

/// Among [`CHANGING`], those that only tell what a session can set.
const SESSION_ONLY: [&str; 4] = [
    "max_execution_time",
    "max_statement_time",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
];

/// Counters. MariaDB's `SHOW MASTER STATUS` waits for commits that wait for an acknowledgement, its
/// counters do not.
pub(crate) const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime','Threads_connected','Threads_running',\
'Rpl_semi_sync_source_status','Rpl_semi_sync_source_clients','Rpl_semi_sync_source_wait_sessions','Rpl_semi_sync_replica_status',\
'Rpl_semi_sync_master_status','Rpl_semi_sync_master_clients','Rpl_semi_sync_master_wait_sessions','Rpl_semi_sync_slave_status',\
'Binlog_snapshot_file','Binlog_snapshot_position')";

const HEARTBEATS: &str = "SELECT s.CHANNEL_NAME,s.COUNT_RECEIVED_HEARTBEATS,c.HEARTBEAT_INTERVAL \
FROM performance_schema.replication_connection_status s \
JOIN performance_schema.replication_connection_configuration c ON c.CHANNEL_NAME=s.CHANNEL_NAME";

/// Options of channels that their status does not show. All columns, since versions differ in them.
const CHANNEL_OPTIONS: &str = "SELECT c.*,a.* \
FROM performance_schema.replication_connection_configuration c \
JOIN performance_schema.replication_applier_configuration a ON a.CHANNEL_NAME=c.CHANNEL_NAME";

/// Scheduled events. MariaDB's table itself, for the reason given with [`DUMP_THREADS`].
const EVENTS_MARIADB: &str = "SELECT db AS event_schema,name AS event_name,status,originator,definer,\
character_set_client,collation_connection FROM mysql.event";
const EVENTS_MYSQL: &str = "SELECT EVENT_SCHEMA AS event_schema,EVENT_NAME AS event_name,STATUS AS status,\
ORIGINATOR AS originator,DEFINER AS definer,CHARACTER_SET_CLIENT AS character_set_client,\
COLLATION_CONNECTION AS collation_connection FROM information_schema.EVENTS";

/// Names of transactions as `XA COMMIT` takes them (MariaDB documentation, "XA Transactions").
const PREPARED_MARIADB: &str = "XA RECOVER FORMAT='SQL'";

/// Names of transactions in hexadecimal digits. Needs `XA_RECOVER_ADMIN` (MySQL manual, "XA
/// Transaction SQL Statements").
pub(crate) const PREPARED_MYSQL: &str = "XA RECOVER CONVERT XID";

/// How channels are shown and commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    /// MariaDB: `SHOW ALL SLAVES STATUS`, `STOP SLAVE 'name'`.
    Connections,
    /// MySQL: `SHOW REPLICA STATUS`, `STOP REPLICA FOR CHANNEL 'name'`.
    Replica,
    /// MySQL before: `SHOW SLAVE STATUS`, `STOP SLAVE FOR CHANNEL 'name'`.
    Slave,
}

impl Wording {
    /// The statement that shows all channels.
    pub(crate) fn show(self) -> &'static str {
        match self {
            Self::Connections => "SHOW ALL SLAVES STATUS",
            Self::Replica => "SHOW REPLICA STATUS",
            Self::Slave => "SHOW SLAVE STATUS",
        }
    }

    /// `REPLICA` or `SLAVE`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Connections | Self::Slave => "SLAVE",
            Self::Replica => "REPLICA",
        }
    }
}

/// How much is to be read of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    All,
    /// Not the end of its binary log, which is not told while a commit waits for space there
    /// (MySQL). Not the channels, if a receiver waits for space for its relay log (MariaDB): see
    /// [`ProbeFailure::ReceiverWaitsForSpace`].
    Needed,
}

/// Everything found out about one server.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    /// Lineage.
    pub(crate) flavor: Flavor,
    /// One row of [`FIXED`] variables.
    pub(crate) fixed: Table,
    /// How channels are shown and commanded.
    pub(crate) wording: Wording,
    /// `SELECT @@global…` of all changing variables that exist.
    pub(crate) variables: String,
    /// Shows heartbeats, if the channels do not.
    pub(crate) heartbeats: Option<&'static str>,
    /// Shows options of channels, if the channels do not.
    pub(crate) channel_options: Option<&'static str>,
    /// Shows scheduled events, if the account may look.
    pub(crate) events: Option<&'static str>,
    /// Shows prepared XA transactions, if the account may look.
    pub(crate) prepared: Option<&'static str>,
    /// Shows the end of the binary log, if the counters do not.
    pub(crate) binlog: Option<&'static str>,
    /// Shows registered replicas.
    pub(crate) registered: Option<&'static str>,
    /// Shows threads that send the binary log.
    pub(crate) dump_threads: Option<&'static str>,
    /// Shows who waits for space on the disk.
    pub(crate) space: Option<&'static str>,
    /// Columns of the channels.
    pub(crate) channel_columns: Table,
    names: Vec<String>,
}

impl Dialect {
    /// Asks an open session, and sets it up so that nobody's server-wide settings get in the way.
    pub(crate) async fn discover(
        session: &mut Session,
        extent: Extent,
        deadline: Instant,
    ) -> Result<Self, ProbeFailure> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let listed = session.tables(&list_variables(), left()).await?;
        let row = Table::from_pairs(listed.first().ok_or(ProbeFailure::NotMysql)?);
        let fixed = pick(&row, |name| FIXED.contains(&name));
        let names: Vec<_> = row
            .columns
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        session.tables(&set_up(&names), left()).await?;
        let flavor = flavor(&fixed);
        if extent == Extent::Needed && flavor == Flavor::Mariadb {
            let sessions = session.attempt(SESSIONS, left()).await?;
            if sessions.is_some_and(|sessions| is_receiver_stuck(&sessions)) {
                return Err(ProbeFailure::ReceiverWaitsForSpace);
            }
        }
        let (wording, channel_columns) = channels(session, deadline).await?;
        let status = session.attempt(STATUS, left()).await?.unwrap_or_default();
        let counted = Table::from_pairs(&status).has_column("Binlog_snapshot_file");
        let binlog = match fixed.first().and_then(|record| record.flag(&["log_bin"])) {
            Some(true) if !counted && extent == Extent::All => {
                first_known(
                    session,
                    &["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"],
                    left(),
                )
                .await?
            }
            Some(_) | None => None,
        };
        let heartbeats = if channel_columns.has_column("Slave_received_heartbeats") {
            None
        } else {
            first_known(session, &[HEARTBEATS], left()).await?
        };
        let channel_options = match heartbeats {
            Some(_) => first_known(session, &[CHANNEL_OPTIONS], left()).await?,
            None => None,
        };
        let events = match flavor {
            Flavor::Mariadb => EVENTS_MARIADB,
            Flavor::Mysql | Flavor::Percona | Flavor::Other => EVENTS_MYSQL,
        };
        let events = first_known(session, &[events], left()).await?;
        let prepared = match flavor {
            Flavor::Mariadb => PREPARED_MARIADB,
            Flavor::Mysql | Flavor::Percona | Flavor::Other => PREPARED_MYSQL,
        };
        let prepared = first_known(session, &[prepared], left()).await?;
        let registered =
            first_known(session, &["SHOW REPLICAS", "SHOW SLAVE HOSTS"], left()).await?;
        let instrumented = fixed
            .first()
            .and_then(|record| record.flag(&["performance_schema"]))
            == Some(true);
        let threads = if instrumented {
            &DUMP_THREADS[..]
        } else {
            &DUMP_THREADS[1..]
        };
        let dump_threads = first_known(session, threads, left()).await?;
        let space = match flavor {
            Flavor::Mariadb => Some(SESSIONS),
            Flavor::Mysql | Flavor::Percona | Flavor::Other => {
                first_known(session, &[SPACE_MYSQL], left()).await?
            }
        };
        Ok(Self {
            flavor,
            variables: select_variables(&names),
            channel_columns: Table {
                columns: channel_columns.columns,
                rows: Vec::new(),
            },
            fixed,
            wording,
            heartbeats,
            channel_options,
            events,
            prepared,
            binlog,
            registered,
            dump_threads,
            space,
            names,
        })
    }

    /// Whether the server has that variable.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether counters show a plugin that was loaded after this was found out.
    pub(crate) fn is_outdated_by(&self, status: &Table) -> bool {
        let shows = |counter: &str| status.has_column(counter);
        let source = shows("Rpl_semi_sync_source_status") || shows("Rpl_semi_sync_master_status");
        let replica = shows("Rpl_semi_sync_replica_status") || shows("Rpl_semi_sync_slave_status");
        let known = |new: &str, old: &str| self.has(new) || self.has(old);
        source
            && !known(
                "rpl_semi_sync_source_enabled",
                "rpl_semi_sync_master_enabled",
            )
            || replica
                && !known(
                    "rpl_semi_sync_replica_enabled",
                    "rpl_semi_sync_slave_enabled",
                )
    }
}

/// Threads that send the binary log, cheapest first. The first is empty on a server without
/// instruments.
///
/// Never `information_schema.processlist`: MariaDB 10.11.19 was seen to crash in freeing the
/// temporary table that it makes for that while `read_only` was being set. `SHOW PROCESSLIST` makes
/// none.
const DUMP_THREADS: [&str; 2] = [
    "SELECT HOST, COMMAND FROM performance_schema.processlist WHERE COMMAND IN ('Binlog Dump','Binlog Dump GTID')",
    SESSIONS,
];

/// MySQL, whose sessions do not show that they wait for space: all who commit show the same state,
/// also behind a large transaction. Its error log does: the first who waits writes MY-000035
/// (EE_DISK_FULL_WITH_RETRY_MSG), and is still at the same statement. MY-012144 is InnoDB's word
/// for a file that could not be made larger; the statement fails then. Codes, never texts.
const SPACE_MYSQL: &str = "SELECT (SELECT COUNT(DISTINCT t.PROCESSLIST_ID) FROM performance_schema.error_log l \
JOIN performance_schema.threads t ON t.PROCESSLIST_ID=l.THREAD_ID WHERE l.ERROR_CODE='MY-000035' \
AND t.PROCESSLIST_STATE='waiting for handler commit' \
AND t.PROCESSLIST_TIME+1>=TIMESTAMPDIFF(SECOND,l.LOGGED,NOW(6))) AS space_sessions,\
TIMESTAMPDIFF(MICROSECOND,MIN(r.LOGGED),NOW(6)) AS space_first,TIMESTAMPDIFF(MICROSECOND,MAX(r.LOGGED),NOW(6)) AS space_last \
FROM performance_schema.error_log r WHERE r.ERROR_CODE='MY-012144' AND r.LOGGED>NOW(6)-INTERVAL 10 SECOND";

/// All sessions.
pub(crate) const SESSIONS: &str = "SHOW PROCESSLIST";

async fn channels(
    session: &mut Session,
    deadline: Instant,
) -> Result<(Wording, Table), ProbeFailure> {
    let mut refused = ProbeFailure::NotMysql;
    // MariaDB knows the second, too, but shows only the default connection then.
    for wording in [Wording::Connections, Wording::Replica, Wording::Slave] {
        match session
            .tables(
                wording.show(),
                deadline.saturating_duration_since(Instant::now()),
            )
            .await
        {
            Ok(tables) => return Ok((wording, tables.into_iter().next().unwrap_or_default())),
            Err(failure @ ProbeFailure::Statement { number }) => {
                // "Not allowed" says more than the "unknown statement" of the other wordings.
                if refused == ProbeFailure::NotMysql || number != crate::failure::number::SYNTAX {
                    refused = failure;
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    Err(refused)
}

async fn first_known(
    session: &mut Session,
    statements: &[&'static str],
    limit: Duration,
) -> Result<Option<&'static str>, ProbeFailure> {
    for statement in statements {
        if session.attempt(statement, limit).await?.is_some() {
            return Ok(Some(statement));
        }
    }
    Ok(None)
}

fn list_variables() -> String {
    let names = FIXED
        .iter()
        .chain(&CHANGING)
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(",");
    format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
}

fn pick(row: &Table, wanted: impl Fn(&str) -> bool) -> Table {
    let mut picked = Table {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    };
    let cells = row.rows.first().into_iter().flatten();
    for (name, cell) in row.columns.iter().zip(cells) {
        if let (true, Some(values)) = (
            wanted(name.to_ascii_lowercase().as_str()),
            picked.rows.first_mut(),
        ) {
            picked.columns.push(name.clone());
            values.push(cell.clone());
        }
    }
    picked
}

/// A selection by name costs a fifth of `SHOW GLOBAL VARIABLES`, which fills a table with all of
/// them first.
fn select_variables(names: &[String]) -> String {
    let mut sql = String::from("SELECT ");
    let wanted = CHANGING.iter().filter(|name| !SESSION_ONLY.contains(name));
    for (at, name) in wanted
        .filter(|name| names.iter().any(|known| known == *name))
        .enumerate()
    {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String does not fail.
        let _ok = write!(sql, "{comma}@@global.{name} AS {name}");
    }
    sql
}

fn set_up(names: &[String]) -> String {
    let mut sql =
        String::from("SET SESSION sql_mode='', time_zone='+00:00', autocommit=1, wait_timeout=300");
    for limit in ["max_execution_time", "max_statement_time"] {
        if names.iter().any(|known| known == limit) {
            let _ok = write!(sql, ", {limit}=0");
        }
    }
    sql
}
