//! One replication channel of a replica: an edge of the topology.

use std::time::Duration;

use crate::gtid::GtidSet;
use crate::ids::Address;

/// State of one replication thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThreadState {
    /// Works (for a receiver: connected to its source).
    Running,
    /// A receiver that is not connected and tries to be.
    Connecting,
    /// Stopped, by a person or an error.
    Stopped,
    /// The server's answer could not be understood.
    Unknown,
}

/// Last error of a replication thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicationError {
    /// MySQL error number; never 0.
    pub number: u32,
    /// The server's text, for people only.
    pub message: String,
}

/// One replication channel as its replica reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Channel (MySQL) or connection (MariaDB) name; empty for the default one.
    pub name: String,
    /// Where the channel points. `None` if the configured host is empty or no valid address.
    pub source: Option<Address>,
    /// `Source_UUID`, where the flavour has it and the receiver has connected once.
    pub source_uid: Option<String>,
    /// `Source_Server_Id`, once connected.
    pub source_server_id: Option<u32>,
    /// Account the receiver uses.
    pub user: String,
    /// Receiver (I/O) thread.
    pub receiver: ThreadState,
    /// Applier (SQL) thread.
    pub applier: ThreadState,
    /// Last error of the receiver.
    pub receiver_error: Option<ReplicationError>,
    /// Last error of the applier.
    pub applier_error: Option<ReplicationError>,
    /// Everything this channel has received, including what is applied already (MySQL: retrieved;
    /// MariaDB: I/O position).
    pub received: GtidSet,
    /// True if the channel positions itself by GTID.
    pub auto_position: bool,
    /// Delay as the server tells it; a hint, not a position. `None` while replication does not run.
    pub lag: Option<Duration>,
    /// Configured delay.
    pub delay: Duration,
    /// Replication filters are in force: this is not a full copy.
    pub filtered: bool,
    /// Source's binary log file and position up to which events were received.
    pub read_position: (String, u64),
    /// Source's binary log file and position up to which events were applied.
    pub applied_position: (String, u64),
    /// Relay log file and position of the applier.
    pub relay_position: (String, u64),
    /// Heartbeats received since the receiver started, where the server tells.
    pub heartbeats: Option<u64>,
    /// Heartbeat period, where the server tells.
    pub heartbeat_period: Option<Duration>,
    /// Uses TLS.
    pub tls: bool,
}

impl Channel {
    /// True if both threads run.
    pub fn is_replicating(&self) -> bool {
        self.receiver == ThreadState::Running && self.applier == ThreadState::Running
    }

    /// True if somebody stopped the receiver: it does not run, and not for an error of its own.
    pub fn is_receiver_stopped(&self) -> bool {
        self.receiver == ThreadState::Stopped && self.receiver_error.is_none()
    }
}
