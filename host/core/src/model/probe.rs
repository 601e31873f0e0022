//! What probing a server from this node has shown. Each kind of failure is its own fact.

use std::time::Duration;

use crate::time::Timestamp;

/// In which phase of a probe no answer came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeoutPhase {
    /// The TCP connection was not established: packets vanish.
    Connect,
    /// TCP was accepted (perhaps by the kernel alone) and no greeting came: hung, or not a MySQL
    /// server.
    Handshake,
    /// An established session got no answer to a statement.
    Statement,
}

/// Why a probe was not answered in full.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeFailure {
    /// Nobody listens on the port: the process is not there (or a firewall says so).
    Refused,
    /// An established connection was closed or reset by the other side.
    Reset,
    /// No answer in time.
    Timeout(TimeoutPhase),
    /// The network says that there is no way to the host.
    NoRoute,
    /// The host name does not resolve.
    Dns,
    /// TLS could not be agreed.
    Tls,
    /// The server refused user or password (1045, 1044, 1698 ...).
    Authentication {
        /// MySQL error number.
        number: u16,
    },
    /// Error 1040 or 1203: no free connection.
    TooManyConnections,
    /// Error 1129 or 1130: this host may not connect.
    HostBlocked,
    /// Error 1053 or 1927/1077-class: the server is going down.
    ShuttingDown,
    /// What answers is not a MySQL-protocol server, or garbled.
    NotMysql,
    /// The session works but a statement of the probe was refused.
    Statement {
        /// MySQL error number.
        number: u16,
    },
    /// MariaDB: a receiver waits for space for its relay log. What shows its state, or stops it,
    /// hangs until there is some (measured on MariaDB 10.11: `SHOW SLAVE STATUS`, `SHOW STATUS LIKE
    /// 'Slave%'`, `STOP SLAVE`).
    ReceiverWaitsForSpace,
    /// Anything else; the text is for people.
    Other(String),
}

impl ProbeFailure {
    /// All words.
    pub const WORDS: [&'static str; 16] = [
        "refused",
        "reset",
        "timeout-connect",
        "timeout-handshake",
        "timeout",
        "no-route",
        "dns",
        "tls",
        "authentication",
        "too-many-connections",
        "host-blocked",
        "shutting-down",
        "not-mysql",
        "statement",
        "receiver-waits-for-space",
        "other",
    ];

    /// Stable kebab-case word of the failure, as policies and the API see it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout(TimeoutPhase::Connect) => "timeout-connect",
            Self::Timeout(TimeoutPhase::Handshake) => "timeout-handshake",
            Self::Timeout(TimeoutPhase::Statement) => "timeout",
            Self::NoRoute => "no-route",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Authentication { .. } => "authentication",
            Self::TooManyConnections => "too-many-connections",
            Self::HostBlocked => "host-blocked",
            Self::ShuttingDown => "shutting-down",
            Self::NotMysql => "not-mysql",
            Self::Statement { .. } => "statement",
            Self::ReceiverWaitsForSpace => "receiver-waits-for-space",
            Self::Other(_) => "other",
        }
    }

    /// The MySQL error number, if the server itself answered with one.
    pub fn error_number(&self) -> Option<u16> {
        match self {
            Self::Authentication { number } | Self::Statement { number } => Some(*number),
            Self::TooManyConnections => Some(1040),
            Self::HostBlocked => Some(1129),
            Self::ShuttingDown => Some(1053),
            Self::Refused
            | Self::Reset
            | Self::Timeout(_)
            | Self::NoRoute
            | Self::Dns
            | Self::Tls
            | Self::NotMysql
            | Self::ReceiverWaitsForSpace
            | Self::Other(_) => None,
        }
    }

    /// True if a living server produced this failure: it answers, although not usefully to us.
    /// Such a server is never called dead.
    pub fn shows_life(&self) -> bool {
        match self {
            Self::Authentication { .. }
            | Self::TooManyConnections
            | Self::HostBlocked
            | Self::Statement { .. }
            | Self::ReceiverWaitsForSpace
            | Self::Tls => true,
            Self::Refused
            | Self::Reset
            | Self::Timeout(_)
            | Self::NoRoute
            | Self::Dns
            | Self::ShuttingDown
            | Self::NotMysql
            | Self::Other(_) => false,
        }
    }
}

/// How a server answers this node, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// No probe has finished since this process started. Neither alive nor dead.
    NotProbed,
    /// The last probe was answered in full.
    Answering,
    /// The last probe failed in a way that shows a living server (authentication, too many
    /// connections ...).
    Partial,
    /// The last probe failed without a sign of life.
    Silent,
}

/// History of probing one server from this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// When the reading of the last full answer began.
    pub answered_at: Option<Timestamp>,
    /// When the last attempt that finished (either way) ended.
    pub attempted_at: Option<Timestamp>,
    /// When the present run of failures began: the first failed attempt, or the loss of the
    /// connection.
    pub failing_since: Option<Timestamp>,
    /// Since when every attempt has failed because a receiver waits for space.
    pub receiver_stuck_since: Option<Timestamp>,
    /// When it answered again after the last run of failures: the beginning of that reading.
    pub back_at: Option<Timestamp>,
    /// Why the last attempt failed; `None` if it was answered.
    pub failure: Option<ProbeFailure>,
    /// Failed attempts since the last full answer.
    pub failures: u32,
    /// Full answers since the last failed attempt.
    pub successes: u32,
    /// Round trip of the last full answer, without the pause requested from the server.
    pub round_trip: Option<Duration>,
}

impl Probe {
    /// The state in one word.
    pub fn reach(&self) -> Reach {
        match (&self.failure, self.attempted_at) {
            (_, None) => Reach::NotProbed,
            (None, Some(_)) => Reach::Answering,
            (Some(failure), Some(_)) if failure.shows_life() => Reach::Partial,
            (Some(_), Some(_)) => Reach::Silent,
        }
    }

    /// Its host says that nobody listens there: the process has ended.
    pub fn is_refused(&self) -> bool {
        self.failure == Some(ProbeFailure::Refused)
    }

    /// Notes a full answer whose reading began at `began` and ended at `ended`.
    pub fn answered(&mut self, began: Timestamp, ended: Timestamp, round_trip: Duration) {
        self.answered_at = Some(began);
        self.attempted_at = Some(ended);
        if self.failing_since.take().is_some() {
            self.back_at = Some(began);
        }
        self.receiver_stuck_since = None;
        self.failure = None;
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        self.round_trip = Some(round_trip);
    }

    /// Notes a failed attempt that ended at `ended`.
    pub fn failed(&mut self, ended: Timestamp, failure: ProbeFailure) {
        self.attempted_at = Some(ended);
        self.failing_since.get_or_insert(ended);
        let is_stuck = failure == ProbeFailure::ReceiverWaitsForSpace;
        let since = self.receiver_stuck_since.unwrap_or(ended);
        self.receiver_stuck_since = is_stuck.then_some(since);
        self.failure = Some(failure);
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
    }
}
