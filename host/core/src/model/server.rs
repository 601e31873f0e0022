//! What one server says about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::channel::{Channel, ThreadState};
use super::cluster::{Downtime, PromotionRule};
use super::event::Events;
use super::probe::{Probe, Reach};
use super::semi_sync::SemiSync;
use crate::gtid::GtidSet;
use crate::ids::{Address, ServerId};
use crate::time::{Observed, Timestamp};

/// Lineage of a server. For what it can do, see the capabilities probed by the edge, never this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavor {
    /// MySQL.
    Mysql,
    /// Percona Server.
    Percona,
    /// MariaDB.
    Mariadb,
    /// Speaks the protocol, unknown lineage.
    Other,
}

/// Version as numbers, for "not newer than most"; never for guessing at features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number.
    pub patch: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Binary log format, ordered by what a replica of it must be able to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFormat {
    /// Statements.
    Statement,
    /// Statements or rows.
    Mixed,
    /// Rows.
    Row,
}

/// A place in a binary log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinlogPosition {
    /// File name.
    pub file: String,
    /// Byte position.
    pub position: u64,
}

/// A replica as its source sees it: a dump thread or a registered replica.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachedReplica {
    /// Host as registered (`report_host`) or as connected from.
    pub host: String,
    /// Port as registered (`report_port`); `None` if only the dump thread is seen.
    pub port: Option<u16>,
    /// Server id as registered.
    pub server_id: Option<u32>,
    /// Server UUID as registered (MySQL).
    pub uid: Option<String>,
}

/// Settings that decide what a crash leaves of what a server wrote or acknowledged; `None` where it
/// does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durability {
    /// `sync_binlog`: 1 = the binary log is on the disk before a commit returns.
    pub sync_binlog: Option<u64>,
    /// `innodb_flush_log_at_trx_commit`: 1 = so is the engine's log.
    pub flush_log_at_commit: Option<u64>,
    /// `sync_relay_log`: 1 = each event is on the disk before it is acknowledged.
    pub sync_relay_log: Option<u64>,
    /// `relay_log_recovery`: what is received and not applied is thrown away at a restart.
    pub relay_log_recovery: Option<bool>,
}

/// Outcome of the configured commit probe: a tiny write that must really commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitProbe {
    /// Not configured, or not a server that should take writes.
    NotTried,
    /// Committed.
    Committed {
        /// How long it took.
        took: Duration,
    },
    /// The server refused the write (full disk, read-only file system, read_only ...).
    Refused {
        /// MySQL error number.
        number: u16,
    },
    /// No answer in time: commits stall.
    Stalled {
        /// How long it was waited for.
        waited: Duration,
    },
}

/// Whether the storage under a server has room, as far as the server itself shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// Nothing says that it has none, or the server does not tell.
    #[default]
    NoSign,
    /// Statements wait for space. The server tries again only after a minute.
    Awaited {
        /// How many, at least.
        sessions: u32,
    },
    /// The engine could not make its files larger, and refused what needed that.
    Refused {
        /// Age of the first refusal of the last ten seconds.
        first: Duration,
        /// Age of the last one.
        last: Duration,
    },
}

/// Signs that a server does useful work, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// Uptime.
    pub uptime: Option<Duration>,
    /// Open connections.
    pub connections: Option<u32>,
    /// Most connections allowed.
    pub connections_max: Option<u32>,
    /// Threads at work.
    pub threads_running: Option<u32>,
    /// Last commit probe.
    pub commit: CommitProbe,
    /// Room under it.
    pub space: Space,
}

/// Everything one full reading of a server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Globally unique identity the server itself has: `server_uuid`, MariaDB's `server_uid`, else
    /// host, port and id joined.
    pub uid: String,
    /// `server_id`.
    pub server_id: u32,
    /// Lineage.
    pub flavor: Flavor,
    /// Version as numbers.
    pub version: Version,
    /// Version as the server writes it.
    pub version_text: String,
    /// `version_comment`.
    pub version_comment: String,
    /// `hostname` as the server knows it.
    pub hostname: String,
    /// `port` as the server knows it.
    pub port: u16,
    /// `report_host`, if set.
    pub report_host: Option<String>,
    /// `report_port`, if set.
    pub report_port: Option<u16>,
    /// `read_only` is on: ordinary accounts cannot write.
    pub read_only: bool,
    /// `super_read_only`, where the flavour has it.
    pub super_read_only: Option<bool>,
    /// Binary log is on.
    pub log_bin: bool,
    /// Replicated changes are written to it, too.
    pub log_updates: bool,
    /// Format of the binary log.
    pub log_format: LogFormat,
    /// `binlog_row_image`.
    pub row_image: String,
    /// `gtid_mode` (MySQL) or `ON` (MariaDB), as text for people and the compatible API.
    pub gtid_mode: String,
    /// Transactions executed (MySQL `gtid_executed`; MariaDB `gtid_binlog_state` joined with
    /// `gtid_current_pos`).
    pub executed: GtidSet,
    /// Transactions no longer in the binary logs (MySQL), where known.
    pub purged: Option<GtidSet>,
    /// End of the binary log, where it is on.
    pub binlog: Option<BinlogPosition>,
    /// Channels, ordered by name.
    pub channels: Vec<Channel>,
    /// Replicas attached to it.
    pub replicas: Vec<AttachedReplica>,
    /// Semi-synchronous replication; `None` if not available.
    pub semi_sync: Option<SemiSync>,
    /// What a crash leaves.
    pub durability: Durability,
    /// Signs of useful work.
    pub vitals: Vitals,
    /// Scheduled events; `None` if Baton's account may not look.
    pub events: Option<Events>,
    /// Prepared XA transactions, each as `XA COMMIT` takes it; `None` if Baton's account may not
    /// look.
    pub prepared: Option<BTreeSet<String>>,
    /// Data centre, region and environment as the configured queries tell them.
    pub place: Option<Place>,
    /// Cluster name suggested by the configured query.
    pub cluster_hint: Option<String>,
    /// Accounts that may write in spite of a fence, without our own and those of the server's own
    /// host; `None` if our account may not see that.
    pub privileged_writers: Option<Vec<String>>,
}

impl ServerFacts {
    /// True if ordinary accounts can write.
    pub fn is_writable(&self) -> bool {
        !self.read_only
    }

    /// True if its receiver on a channel is connected and acknowledges what it receives.
    pub fn acknowledges_on(&self, channel: &Channel) -> bool {
        let semi_sync = self.semi_sync.as_ref();
        channel.receiver == ThreadState::Running && semi_sync.is_some_and(|own| own.replica_active)
    }

    /// Executed or received through any channel: what this server could have acknowledged.
    pub fn possessed(&self) -> GtidSet {
        self.channels
            .iter()
            .fold(self.executed.clone(), |all, channel| {
                all.union(&channel.received)
            })
    }
}

/// Where a server stands; empty texts = not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Data centre.
    pub data_center: String,
    /// Region.
    pub region: String,
    /// Environment.
    pub environment: String,
}

/// How a server that should take writes came to be read-only, as far as this node saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closed {
    /// It takes writes, or nobody saw how it was closed.
    #[default]
    Unknown,
    /// It was seen writable, and read-only later in the same run of its process: somebody closed
    /// it.
    WhileRunning,
    /// It was seen writable, and came back read-only after a restart: its configuration says so.
    ByRestart,
    /// It started a short time before this node read it first, read-only.
    AtStart,
}

/// So long before this node lost a source another one may have lost it and halted a receiver:
/// probes are made about once per second, and one that hangs ends with its time limit.
const HALTED_BEFORE: Duration = Duration::from_secs(5);

/// Who coordinates a transaction ends it within moments of preparing it. After so long the
/// coordinator is in trouble.
const PREPARED_FOR: Duration = Duration::from_mins(1);

/// One server of a cluster: identity, what probing shows, what operators said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Stable identity.
    pub id: ServerId,
    /// Where it is reached now.
    pub address: Address,
    /// History of probing it.
    pub probe: Probe,
    /// Last full reading; kept while the server is silent. `None`: never read (which is *unknown*,
    /// not *empty*).
    pub facts: Option<Observed<ServerFacts>>,
    /// For each channel, by name, the latest instant *after which* something arrived from its
    /// source (a heartbeat was counted, or the received set grew): when the reading before the one
    /// that saw it began. A lower bound, so that what arrived just before a loss is never taken for
    /// a sign of life after it.
    pub heartbeat_moved: Vec<(String, Timestamp)>,
    /// For each channel, by name, when Baton last made its receiver connect anew: the end of the
    /// statement that started it. A receiver that a later reading shows running was accepted by its
    /// source after this instant.
    pub reconnected: Vec<(String, Timestamp)>,
    /// For each channel, by name, when a receiver that Baton wanted to connect anew was not even
    /// let go by its source. It says as much as a receiver that connects in vain.
    pub reconnect_failed: Vec<(String, Timestamp)>,
    /// For each channel, by name, when Baton last severed its receiver: from then on it received
    /// nothing, although its thread may still show as running for a while.
    pub severed: Vec<(String, Timestamp)>,
    /// For each channel, by name, the delay that it had before Baton lifted it.
    pub lifted: Vec<(String, Duration)>,
    /// For each channel, by name, when the last reading that showed its receiver at work (running
    /// or connecting) began.
    pub receiver_ran: Vec<(String, Timestamp)>,
    /// For each channel, by name, when the last reading began that showed its receiver connected
    /// and acknowledging.
    pub acknowledged: Vec<(String, Timestamp)>,
    /// How it came to be read-only.
    pub closed: Closed,
    /// For each channel, its latest run of readings that showed a receiver which does not reach its
    /// source.
    pub outages: Vec<Outage>,
    /// For each channel, by name, since when its receiver has shown as running without receiving
    /// anything, although its source had more for it.
    pub starving: Vec<(String, Timestamp)>,
    /// When the executed set last grew.
    pub progressed_at: Option<Timestamp>,
    /// Since when every reading showed sessions that wait for acknowledgements, and nothing was
    /// executed.
    pub commits_wait_since: Option<Timestamp>,
    /// Since when every reading showed statements that wait for disk space, and nothing was
    /// executed.
    pub space_awaited_since: Option<Timestamp>,
    /// Since when every reading showed an XA transaction as prepared.
    pub prepared_since: BTreeMap<String, Timestamp>,
    /// Errant transactions found by reading this server before its source.
    pub errant: Option<GtidSet>,
    /// Promotion rule set by operators.
    pub promotion: PromotionRule,
    /// Where it stands.
    pub place: Place,
    /// Operators said "ignore".
    pub downtime: Option<Downtime>,
    /// A person or another plan is working on it.
    pub maintenance: bool,
    /// Configured free words, as pairs.
    pub tags: Vec<(String, String)>,
    /// Set aside with errant transactions after a failover: never a candidate, never rejoined by
    /// itself.
    pub quarantined: bool,
}

/// A run of readings that showed a receiver which does not reach its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Name of the channel.
    pub channel: String,
    /// When its first reading began.
    pub since: Timestamp,
    /// When its last reading began.
    pub last: Timestamp,
}

impl Server {
    /// See [`starving`](Self::starving).
    pub fn starving_since(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.starving, channel)
    }

    /// XA transactions that have been prepared for more than a minute.
    pub fn long_prepared(&self, now: Timestamp) -> impl Iterator<Item = &String> {
        let long = self
            .prepared_since
            .iter()
            .filter(move |(_, since)| now.since(**since) > PREPARED_FOR);
        long.map(|(name, _)| name)
    }

    /// See [`heartbeat_moved`](Self::heartbeat_moved).
    pub fn heard_on(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.heartbeat_moved, channel)
    }

    /// See [`reconnected`](Self::reconnected).
    pub fn reconnected_on(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.reconnected, channel)
    }

    /// See [`severed`](Self::severed).
    pub fn severed_on(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.severed, channel)
    }

    /// The delay to be set back on a channel, from which Baton has lifted it.
    pub fn lifted_on(&self, channel: &Channel) -> Option<Duration> {
        let mut lifted = self.lifted.iter();
        let found = lifted.find(|(name, _)| *name == channel.name);
        // Somebody else may have set one since.
        found
            .map(|(_, delay)| *delay)
            .filter(|_| channel.delay.is_zero())
    }

    /// See [`acknowledged`](Self::acknowledged).
    pub fn acknowledged_on(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.acknowledged, channel)
    }

    /// See [`reconnect_failed`](Self::reconnect_failed).
    pub fn reconnect_failed_on(&self, channel: &str) -> Option<Timestamp> {
        latest(&self.reconnect_failed, channel)
    }

    /// Whether the channel's receiver, and nothing but it, is stopped without an error, and was at
    /// work until about `lost_at`, when its source was lost, or later. That is how the test of a
    /// hung source leaves a receiver if the node that did it ends in the middle: a person stops a
    /// receiver at some other time, or the applier with it, and may have declared that the server
    /// is worked on.
    pub fn was_halted_on(&self, channel: &Channel, lost_at: Timestamp) -> bool {
        let ran = latest(&self.receiver_ran, &channel.name);
        channel.is_receiver_stopped()
            && channel.applier == ThreadState::Running
            && ran.is_some_and(|ran| ran.plus(HALTED_BEFORE) >= lost_at)
            && !self.maintenance
            && self.downtime.is_none()
    }

    /// The last reading, if it began after `instant`.
    pub fn facts_after(&self, instant: Timestamp) -> Option<&ServerFacts> {
        self.facts
            .as_ref()
            .filter(|facts| facts.at > instant)
            .map(|facts| &facts.value)
    }

    /// Whether its last probe was answered in full.
    pub fn answers(&self) -> bool {
        self.probe.reach() == Reach::Answering
    }

    /// The last reading, if the server answers now.
    pub fn current_facts(&self) -> Option<&ServerFacts> {
        self.last_facts().filter(|_| self.answers())
    }

    /// The last reading, however old.
    pub fn last_facts(&self) -> Option<&ServerFacts> {
        self.facts.as_ref().map(|facts| &facts.value)
    }
}

fn latest(instants: &[(String, Timestamp)], channel: &str) -> Option<Timestamp> {
    instants
        .iter()
        .filter(|(name, _)| name == channel)
        .map(|(_, at)| *at)
        .max()
}
