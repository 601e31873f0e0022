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
/// - `EVENT`, `SET USER`, `SELECT ON mysql.event`: events run where the primary is, and keep their
///   definers
const MARIADB: &str = "\
GRANT REPLICATION SLAVE, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICA MONITOR, \
BINLOG MONITOR, BINLOG ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, PROCESS, RELOAD, \
EVENT, SET USER ON *.* TO 'baton'@'%';
GRANT SELECT ON mysql.event TO 'baton'@'%';
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
/// - `EVENT`, `SET_ANY_DEFINER`, `ALLOW_NONEXISTENT_DEFINER`: events run where the primary is, and
///   keep their definers (those that have `SYSTEM_USER`, such as `root`, need that, too)
/// - `XA_RECOVER_ADMIN`: `XA RECOVER`
const MYSQL: &str = "\
GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, RELOAD ON *.* TO 'baton'@'%';
GRANT REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN ON *.* TO 'baton'@'%';
GRANT SELECT ON performance_schema.* TO 'baton'@'%';
GRANT EVENT ON *.* TO 'baton'@'%';
GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, XA_RECOVER_ADMIN ON *.* TO 'baton'@'%';
";

/// Statements for a node of Baton's own database: the schema `baton`, and the accounts
///
/// - `baton`, with the least that Baton needs there: its tables, and sight of the node's
///   status. Neither `SUPER` nor `READ ONLY ADMIN`: it must not write on a fenced node.
/// - `repl`, for replicas and joining members
/// - `haproxy` (MariaDB only), without a password, for `option mysql-check`, which cannot log
///   in to MySQL 9 at all
pub(crate) fn backend_statements(flavor: Flavor) -> String {
    let own = match flavor {
        Flavor::MariaDb => BACKEND_MARIADB,
        Flavor::MySql => BACKEND_MYSQL,
    };
    let users = [Account::Baton, Account::Repl].map(|account| {
        let name = account.name();
        format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{name}';\n")
    });
    let shared = "CREATE DATABASE baton;\n\
                  GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES \
                  ON baton.* TO 'baton'@'%';\n\
                  GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';\n";
    format!("{}{shared}{own}", users.concat())
}

/// `REPLICA MONITOR` is for `SHOW ALL SLAVES STATUS`; everybody sees `GLOBAL_STATUS`.
const BACKEND_MARIADB: &str = "\
GRANT REPLICA MONITOR ON *.* TO 'baton'@'%';
CREATE USER 'haproxy'@'%';
DELETE FROM mysql.global_priv WHERE user = '';
FLUSH PRIVILEGES;
";

/// `REPLICATION CLIENT` is for `SHOW REPLICA STATUS`, the performance schema has the members
/// of a group. `repl` also receives the data of whoever it joins.
const BACKEND_MYSQL: &str = "\
GRANT REPLICATION CLIENT ON *.* TO 'baton'@'%';
GRANT SELECT ON performance_schema.* TO 'baton'@'%';
GRANT BACKUP_ADMIN, GROUP_REPLICATION_STREAM, CONNECTION_ADMIN ON *.* TO 'repl'@'%';
";
