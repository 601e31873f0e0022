//! The accounts that each server has, and the least that each needs.

use crate::Flavor;

/// An account on each server of the sandbox. Name and password are the same word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Baton itself.
    Baton,
    /// Replicas reading from their source.
    Repl,
    /// An application, with everything in the schema `app`.
    App,
}

impl Account {
    /// Both its name and its password.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baton => "baton",
            Self::Repl => "repl",
            Self::App => "app",
        }
    }
}

/// Statements that create the accounts in a new data directory.
pub(crate) fn statements(flavor: Flavor) -> String {
    let grants = match flavor {
        Flavor::MariaDb => MARIADB,
        Flavor::MySql => MYSQL,
    };
    let users = [Account::Baton, Account::Repl, Account::App].map(|account| {
        let name = account.name();
        format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{name}';\n")
    });
    let shared = "CREATE DATABASE app;\nGRANT ALL ON app.* TO 'app'@'%';\n\
                  GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';\n";
    format!("{}{shared}{grants}", users.concat())
}

/// What Baton needs on MariaDB (names and meaning: MariaDB documentation, `GRANT`, "Global
/// Privileges", as split up in 10.5):
///
/// - `REPLICATION SLAVE ADMIN`: `CHANGE MASTER`, `START`/`STOP SLAVE`, `gtid_slave_pos`,
///   semi-sync's replica side
/// - `REPLICATION MASTER ADMIN`: `SHOW SLAVE HOSTS`, semi-sync's source side
/// - `REPLICA MONITOR`, `BINLOG MONITOR`: `SHOW ALL SLAVES STATUS`, `SHOW MASTER STATUS`
/// - `BINLOG ADMIN`: `SET sql_log_bin`, for repairs that must not replicate
/// - `READ_ONLY ADMIN`: `read_only`, and writing while it is set
/// - `CONNECTION ADMIN`: ending others' connections, and a connection beyond `max_connections`
/// - `PROCESS`: the process list, where attached replicas show
/// - `RELOAD`: `RESET SLAVE ALL`, `FLUSH`
/// - `REPLICATION SLAVE`: what `SHOW SLAVE HOSTS` wanted before 10.5
const MARIADB: &str = "\
GRANT REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICA MONITOR, \
BINLOG MONITOR, BINLOG ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, PROCESS, RELOAD \
ON *.* TO 'baton'@'%';
DELETE FROM mysql.global_priv WHERE user = '';
FLUSH PRIVILEGES;
";

/// What Baton needs on MySQL (names and meaning: MySQL manual, "Privileges Provided by MySQL"):
///
/// - `REPLICATION_SLAVE_ADMIN`: `CHANGE REPLICATION SOURCE`, `START`/`STOP REPLICA`
/// - `SYSTEM_VARIABLES_ADMIN`: `read_only`, `super_read_only`, semi-sync, `SET PERSIST`
/// - `CONNECTION_ADMIN`: ending others' connections, a connection beyond `max_connections`,
///   and writing while `read_only` (not `super_read_only`) is set
/// - `REPLICATION CLIENT`, `REPLICATION SLAVE`: `SHOW REPLICA STATUS`, `SHOW REPLICAS`
/// - `PROCESS`: the process list, where attached replicas show
/// - `RELOAD`: `RESET REPLICA ALL`, `FLUSH`
/// - `SELECT ON performance_schema.*`: receivers' heartbeats and errors per worker
const MYSQL: &str = "\
GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, RELOAD ON *.* TO 'baton'@'%';
GRANT REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN ON *.* TO 'baton'@'%';
GRANT SELECT ON performance_schema.* TO 'baton'@'%';
";
