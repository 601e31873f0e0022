//! How servers are started: small, with GTIDs everywhere, reachable on one address only.

use std::net::SocketAddr;
use std::path::Path;

use crate::{Flavor, Host, SemiSync};

/// Whether a server takes writes from ordinary accounts when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It does.
    #[default]
    Writable,
    /// `read_only`, and on MySQL `super_read_only`.
    ReadOnly,
}

/// How a server is started. The defaults make a small primary with GTIDs.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// By default the next number in the sandbox, from 1.
    pub server_id: Option<u32>,
    /// At each start, also after a promotion.
    pub access: Access,
    /// Loads semi-synchronous replication and switches on the side that `access` says.
    pub semi_sync: Option<SemiSync>,
    /// By default on for MySQL, where receivers' heartbeats show nowhere else (with small
    /// tables: 305 MB resident instead of 533), and off for MariaDB, whose status has them.
    pub performance_schema: Option<bool>,
    /// The host it runs on, with port 3306; by default this machine, on a free port of its
    /// loopback interface.
    pub host: Option<Host>,
    /// What it says its address is; by default the real one.
    pub report_host: Option<String>,
    /// Options added after all others, and so stronger.
    pub extra: Vec<String>,
}

/// Where one server lives.
pub(crate) struct Home<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) server_id: u32,
}

impl ServerOptions {
    /// The command line for a server of this flavour.
    pub(crate) fn arguments(&self, flavor: Flavor, home: &Home<'_>) -> Vec<String> {
        let folder = home.folder.display();
        let reported = self
            .report_host
            .clone()
            .unwrap_or_else(|| home.address.ip().to_string());
        let mut arguments = vec![
            format!("--datadir={folder}/data"),
            format!("--socket={folder}/socket"),
            format!("--pid-file={folder}/pid"),
            format!("--bind-address={}", home.address.ip()),
            format!("--port={}", home.address.port()),
            format!("--report-host={reported}"),
            format!("--report-port={}", home.address.port()),
            format!("--server-id={}", home.server_id),
        ];
        arguments.extend(COMMON.iter().map(ToString::to_string));
        let performance_schema = self.performance_schema.unwrap_or(flavor == Flavor::MySql);
        arguments.push(format!(
            "--performance-schema={}",
            on_off(performance_schema)
        ));
        match flavor {
            Flavor::MariaDb => {
                arguments.extend(MARIADB.iter().map(ToString::to_string));
                if self.access == Access::ReadOnly {
                    arguments.push("--read-only=ON".into());
                }
            }
            Flavor::MySql => {
                arguments.extend(MYSQL.iter().map(ToString::to_string));
                if self.access == Access::ReadOnly {
                    arguments.push("--super-read-only=ON".into());
                }
            }
        }
        if let Some(semi_sync) = &self.semi_sync {
            arguments.extend(semi_sync.arguments(flavor, self.access));
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }

    /// What makes a server start closed, whatever it was: stronger than [`Self::arguments`].
    pub(crate) fn closed_arguments(&self, flavor: Flavor) -> Vec<String> {
        let mut arguments = vec![
            match flavor {
                Flavor::MariaDb => "--read-only=ON",
                Flavor::MySql => "--super-read-only=ON",
            }
            .to_owned(),
        ];
        if let Some(semi_sync) = &self.semi_sync {
            let sides = semi_sync.arguments(flavor, Access::ReadOnly);
            // The plugins are loaded by the arguments of every start.
            arguments.extend(
                sides
                    .into_iter()
                    .filter(|side| !side.contains("plugin-load")),
            );
        }
        arguments
    }
}

pub(crate) fn on_off(value: bool) -> &'static str {
    if value { "ON" } else { "OFF" }
}

/// A commit is on the disk, or what stands for it, before it is acknowledged: otherwise a
/// killed server would lose writes by itself.
const COMMON: &[&str] = &[
    "--log-bin=binlog",
    "--relay-log=relay",
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=16M",
    "--key-buffer-size=1M",
    "--table-open-cache=200",
    "--skip-name-resolve",
];

const MARIADB: &[&str] = &[
    "--log-slave-updates=ON",
    "--binlog-format=ROW",
    "--gtid-strict-mode=ON",
    "--gtid-domain-id=0",
    "--aria-pagecache-buffer-size=1M",
    "--innodb-log-file-size=8M",
];

/// The performance schema is there for its replication tables, which need no instruments.
const MYSQL: &[&str] = &[
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--log-replica-updates=ON",
    // Builds for NDB do not know it.
    "--loose-mysqlx=OFF",
    "--innodb-redo-log-capacity=8M",
    "--temptable-max-ram=4M",
    "--table-definition-cache=400",
    "--performance-schema-instrument=%=OFF",
    "--performance-schema-max-thread-instances=300",
    "--performance-schema-max-mutex-instances=500",
    "--performance-schema-max-table-instances=200",
    "--performance-schema-max-table-handles=100",
    "--performance-schema-max-index-stat=50",
    "--performance-schema-max-memory-classes=10",
    "--performance-schema-max-program-instances=10",
    "--performance-schema-max-prepared-statements-instances=50",
    "--performance-schema-digests-size=100",
    "--performance-schema-error-size=10",
    "--performance-schema-accounts-size=20",
    "--performance-schema-hosts-size=20",
    "--performance-schema-users-size=20",
    "--performance-schema-events-waits-history-long-size=10",
    "--performance-schema-events-stages-history-long-size=10",
    "--performance-schema-events-statements-history-long-size=10",
    "--performance-schema-events-transactions-history-long-size=10",
];
