//! Replication between the sandbox's servers, in each flavour's SQL.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::options::{Access, on_off};
use crate::wait::wait_until;
use crate::{Account, Flavor, Row, Server};

/// Semi-synchronous replication: a commit is acknowledged once a replica has received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemiSync {
    /// After which a source goes on without. Long by default, so that nothing acknowledged
    /// is ever on one server only.
    pub timeout: Duration,
    /// Replicas that must have received a commit. MariaDB knows only 1.
    pub wait_for: u32,
}

impl Default for SemiSync {
    fn default() -> Self {
        Self {
            timeout: Duration::from_hours(1),
            wait_for: 1,
        }
    }
}

impl SemiSync {
    /// The side that matches the role is on. A replica with the source's side on waits for
    /// acknowledgements of what it *applies*, which never come when nobody reads from it: it
    /// stops at the first transaction (seen on MariaDB 10.11 and MySQL 9.7).
    pub(crate) fn arguments(&self, flavor: Flavor, access: Access) -> Vec<String> {
        let is_source = access == Access::Writable;
        let timeout = self.timeout.as_millis();
        let (source, replica) = (on_off(is_source), on_off(!is_source));
        match flavor {
            Flavor::MariaDb => vec![
                format!("--rpl-semi-sync-master-enabled={source}"),
                format!("--rpl-semi-sync-master-timeout={timeout}"),
                "--rpl-semi-sync-master-wait-point=AFTER_SYNC".into(),
                format!("--rpl-semi-sync-slave-enabled={replica}"),
            ],
            Flavor::MySql => vec![
                "--plugin-load-add=semisync_source.so".into(),
                "--plugin-load-add=semisync_replica.so".into(),
                format!("--rpl-semi-sync-source-enabled={source}"),
                format!("--rpl-semi-sync-source-timeout={timeout}"),
                format!(
                    "--rpl-semi-sync-source-wait-for-replica-count={}",
                    self.wait_for
                ),
                format!("--rpl-semi-sync-replica-enabled={replica}"),
            ],
        }
    }
}

/// One replication channel to be set up on a replica.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// The name of the channel (MariaDB: connection); empty is the default one.
    pub name: String,
    /// How often the source sends a heartbeat when it has nothing else; by default the
    /// server's own choice, 30 s.
    pub heartbeat: Option<Duration>,
    /// `SOURCE_DELAY`.
    pub delay: Duration,
    /// The source's host as the replica is given it; by default its address.
    pub source_host: Option<String>,
}

impl Server {
    /// Makes this server a replica of another, by GTID, and starts replication.
    pub fn replicate_from(&self, source: &Server, channel: &Channel) -> Result<()> {
        self.exec(&channel.start_statements(self.flavor(), source))
            .with_context(|| format!("make {self} a replica of {source}"))
    }

    /// The status of each channel; empty on a server that replicates from nobody.
    pub fn replica_status(&self) -> Result<Vec<Row>> {
        self.query(match self.flavor() {
            Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
            Flavor::MySql => "SHOW REPLICA STATUS",
        })
    }

    /// Whether it has channels, and the receiver and applier of each are running.
    pub fn is_replicating(&self) -> Result<bool> {
        let (receiver, applier) = match self.flavor() {
            Flavor::MariaDb => ("Slave_IO_Running", "Slave_SQL_Running"),
            Flavor::MySql => ("Replica_IO_Running", "Replica_SQL_Running"),
        };
        let channels = self.replica_status()?;
        let is_running =
            |row: &Row| row.get(receiver) == Some("Yes") && row.get(applier) == Some("Yes");
        Ok(!channels.is_empty() && channels.iter().all(is_running))
    }

    /// The transactions executed here, as the flavour writes them.
    pub fn executed(&self) -> Result<String> {
        let variable = match self.flavor() {
            Flavor::MariaDb => "@@GLOBAL.gtid_binlog_state",
            Flavor::MySql => "@@GLOBAL.gtid_executed",
        };
        Ok(self
            .scalar(&format!("SELECT {variable}"))?
            .replace('\n', ""))
    }

    /// Waits until this server has executed what `source` has executed now.
    pub fn wait_for(&self, source: &Server, limit: Duration) -> Result<()> {
        let wanted = match self.flavor() {
            Flavor::MariaDb => source.scalar("SELECT @@GLOBAL.gtid_current_pos")?,
            Flavor::MySql => source.executed()?,
        };
        wait_until(&format!("{self} has {wanted} of {source}"), limit, || {
            self.has(&wanted)
        })?;
        Ok(())
    }

    /// Whether these transactions are committed here.
    fn has(&self, wanted: &str) -> Result<bool> {
        match self.flavor() {
            // Not `gtid_binlog_pos`: with semi-sync it runs ahead of what is committed.
            Flavor::MariaDb => {
                let position = self.scalar("SELECT @@GLOBAL.gtid_current_pos")?;
                let has = |(domain, number)| {
                    sequences(&position)
                        .any(|(other, reached)| other == domain && reached >= number)
                };
                Ok(sequences(wanted).all(has))
            }
            Flavor::MySql => {
                let answer = format!("SELECT GTID_SUBSET('{wanted}', @@GLOBAL.gtid_executed)");
                Ok(self.scalar(&answer)? == "1")
            }
        }
    }
}

/// Domain and sequence number of each part of a MariaDB position, `0-1-12,7-3-4`.
fn sequences(position: &str) -> impl Iterator<Item = (&str, u64)> {
    position.split(',').filter_map(|gtid| {
        let mut parts = gtid.split('-');
        Some((parts.next()?, parts.nth(1)?.parse().ok()?))
    })
}

impl Channel {
    fn start_statements(&self, flavor: Flavor, source: &Server) -> String {
        let host = self
            .source_host
            .clone()
            .unwrap_or_else(|| source.address().ip().to_string());
        let account = Account::Repl.name();
        let name = &self.name;
        // Replicas look for a source that is away each second, not each minute.
        let (prefix, by_gtid) = match flavor {
            Flavor::MariaDb => ("MASTER", "MASTER_USE_GTID=slave_pos"),
            Flavor::MySql => (
                "SOURCE",
                "SOURCE_AUTO_POSITION=1, SOURCE_RETRY_COUNT=0, GET_SOURCE_PUBLIC_KEY=1",
            ),
        };
        let mut terms = vec![
            format!("{prefix}_HOST='{host}', {prefix}_PORT={}", source.port()),
            format!("{prefix}_USER='{account}', {prefix}_PASSWORD='{account}'"),
            format!("{prefix}_CONNECT_RETRY=1, {by_gtid}"),
        ];
        if let Some(heartbeat) = self.heartbeat {
            terms.push(format!(
                "{prefix}_HEARTBEAT_PERIOD={}",
                heartbeat.as_secs_f64()
            ));
        }
        if !self.delay.is_zero() {
            terms.push(format!("{prefix}_DELAY={}", self.delay.as_secs()));
        }
        let terms = terms.join(", ");
        match flavor {
            Flavor::MariaDb => format!("CHANGE MASTER '{name}' TO {terms}; START SLAVE '{name}'"),
            Flavor::MySql => format!(
                "CHANGE REPLICATION SOURCE TO {terms} FOR CHANNEL '{name}'; \
                 START REPLICA FOR CHANNEL '{name}'"
            ),
        }
    }
}
