//! What an error of a connection means. Decided by kind and number, never by text.

use std::io::ErrorKind;

use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_ports::{FailureWord, StatementError};
use mysql_async::{DriverError, Error, IoError, ServerError};

/// Error numbers of MySQL and MariaDB, each named once.
pub(crate) mod number {
    /// Too many connections.
    pub(crate) const TOO_MANY_CONNECTIONS: u16 = 1040;
    /// Access denied to a schema.
    pub(crate) const SCHEMA_DENIED: u16 = 1044;
    /// Access denied: user, host or password.
    pub(crate) const ACCESS_DENIED: u16 = 1045;
    /// Shutdown in progress.
    pub(crate) const SHUTDOWN: u16 = 1053;
    /// Syntax error: the server does not know the statement.
    pub(crate) const SYNTAX: u16 = 1064;
    /// No such thread.
    pub(crate) const NO_SUCH_THREAD: u16 = 1094;
    /// Not owner of the thread.
    pub(crate) const KILL_DENIED: u16 = 1095;
    /// Host blocked after too many connection errors.
    pub(crate) const HOST_BLOCKED: u16 = 1129;
    /// Host not allowed.
    pub(crate) const HOST_NOT_ALLOWED: u16 = 1130;
    /// Unknown system variable.
    pub(crate) const UNKNOWN_VARIABLE: u16 = 1193;
    /// Access denied to a table.
    pub(crate) const TABLE_DENIED: u16 = 1142;
    /// The server's options do not allow it: it is read-only.
    pub(crate) const READ_ONLY: u16 = 1290;
    /// No such event.
    pub(crate) const NO_SUCH_EVENT: u16 = 1539;
    /// This server is no replica.
    pub(crate) const NOT_A_REPLICA: u16 = 1200;
    /// Account has too many connections.
    pub(crate) const TOO_MANY_USER_CONNECTIONS: u16 = 1203;
    /// Lock wait timeout.
    pub(crate) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    /// Account used up a resource.
    pub(crate) const USER_LIMIT: u16 = 1226;
    /// A subquery returned more than one row: the guard's way of saying no.
    pub(crate) const GUARD: u16 = 1242;
    /// Client's authentication protocol too old.
    pub(crate) const AUTH_PROTOCOL: u16 = 1251;
    /// Statement interrupted.
    pub(crate) const INTERRUPTED: u16 = 1317;
    /// Authentication plugin not loaded.
    pub(crate) const PLUGIN_NOT_LOADED: u16 = 1524;
    /// MariaDB: no such replication connection.
    pub(crate) const NO_SUCH_CONNECTION: u16 = 1617;
    /// Access denied, authentication plugin of the operating system's users.
    pub(crate) const ACCESS_DENIED_NO_PASSWORD: u16 = 1698;
    /// Password must be changed.
    pub(crate) const MUST_CHANGE_PASSWORD: u16 = 1820;
    /// Password expired, sandbox not possible.
    pub(crate) const PASSWORD_EXPIRED: u16 = 1862;
    /// MariaDB: this connection was killed.
    pub(crate) const CONNECTION_KILLED: u16 = 1927;
    /// CR_AUTH_PLUGIN_CANNOT_LOAD: used for plugins that our client lacks.
    pub(crate) const CLIENT_PLUGIN: u16 = 2059;
    /// MySQL: no such channel.
    pub(crate) const NO_SUCH_CHANNEL: u16 = 3074;
    /// MySQL: account locked.
    pub(crate) const ACCOUNT_LOCKED: u16 = 3118;
    /// MySQL: only encrypted connections are allowed.
    pub(crate) const TLS_REQUIRED: u16 = 3159;
    /// MySQL: this session was killed.
    pub(crate) const SESSION_KILLED: u16 = 3169;
    /// MySQL: account blocked after wrong passwords.
    pub(crate) const ACCOUNT_BLOCKED: u16 = 3955;
    /// MySQL: session ended for inactivity.
    pub(crate) const SESSION_IDLE: u16 = 4031;
    /// MariaDB: account locked.
    pub(crate) const MARIADB_ACCOUNT_LOCKED: u16 = 4151;
}

/// How far a session had come when the error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Connecting, plain.
    Connecting,
    /// Connecting, with TLS.
    ConnectingTls,
    /// In use.
    Established,
}

/// The fact behind an error.
pub(crate) fn probe_failure(error: &Error, stage: Stage) -> ProbeFailure {
    match error {
        Error::Server(server) => from_server(server),
        Error::Io(IoError::Tls(_)) => ProbeFailure::Tls,
        Error::Io(IoError::Io(io)) => from_io(io, stage),
        Error::Driver(driver) => from_driver(driver),
        Error::Other(other) => ProbeFailure::Other(other.to_string()),
        Error::Url(url) => ProbeFailure::Other(url.to_string()),
    }
}

fn from_server(error: &ServerError) -> ProbeFailure {
    match error.code {
        number::TOO_MANY_CONNECTIONS | number::TOO_MANY_USER_CONNECTIONS | number::USER_LIMIT => {
            ProbeFailure::TooManyConnections
        }
        number::HOST_BLOCKED | number::HOST_NOT_ALLOWED => ProbeFailure::HostBlocked,
        number::ACCESS_DENIED
        | number::SCHEMA_DENIED
        | number::ACCESS_DENIED_NO_PASSWORD
        | number::AUTH_PROTOCOL
        | number::PLUGIN_NOT_LOADED
        | number::MUST_CHANGE_PASSWORD
        | number::PASSWORD_EXPIRED
        | number::ACCOUNT_LOCKED
        | number::ACCOUNT_BLOCKED
        | number::MARIADB_ACCOUNT_LOCKED => ProbeFailure::Authentication { number: error.code },
        number::TLS_REQUIRED => ProbeFailure::Tls,
        number::SHUTDOWN => ProbeFailure::ShuttingDown,
        number::CONNECTION_KILLED | number::SESSION_KILLED | number::SESSION_IDLE => {
            ProbeFailure::Reset
        }
        number => ProbeFailure::Statement { number },
    }
}

fn from_io(error: &std::io::Error, stage: Stage) -> ProbeFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => ProbeFailure::Reset,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable
        | ErrorKind::PermissionDenied => ProbeFailure::NoRoute,
        ErrorKind::TimedOut => ProbeFailure::Timeout(match stage {
            Stage::Connecting | Stage::ConnectingTls => TimeoutPhase::Connect,
            Stage::Established => TimeoutPhase::Statement,
        }),
        // rustls reports every disagreement as invalid data, the packet parser every garbled
        // packet.
        ErrorKind::InvalidData if stage == Stage::ConnectingTls => ProbeFailure::Tls,
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            ProbeFailure::NotMysql
        }
        _ => ProbeFailure::Other(error.to_string()),
    }
}

fn from_driver(error: &DriverError) -> ProbeFailure {
    match error {
        DriverError::ConnectionClosed | DriverError::PoolDisconnected => ProbeFailure::Reset,
        DriverError::NoClientSslFlagFromServer => ProbeFailure::Tls,
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled => ProbeFailure::Authentication {
            number: number::CLIENT_PLUGIN,
        },
        DriverError::CantParseServerVersion { .. }
        | DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::PacketTooLarge
        | DriverError::BadCompressedPacketHeader
        | DriverError::FromValue { .. }
        | DriverError::FromRow { .. } => ProbeFailure::NotMysql,
        other => ProbeFailure::Other(other.to_string()),
    }
}

/// What became of a statement.
pub(crate) fn statement_error(error: &Error, command: &'static str) -> StatementError {
    match error {
        Error::Server(server) if server.code == number::GUARD => {
            StatementError::GuardFailed { command }
        }
        // The session was ended before the statement began, or while it ran: nobody knows.
        Error::Server(server)
            if matches!(
                server.code,
                number::CONNECTION_KILLED
                    | number::SESSION_KILLED
                    | number::SESSION_IDLE
                    | number::SHUTDOWN
            ) =>
        {
            unknown(command, from_server(server))
        }
        Error::Server(server) => StatementError::Refused {
            command,
            number: server.code,
            message: server.message.clone(),
        },
        Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Url(_) => {
            unknown(command, probe_failure(error, Stage::Established))
        }
    }
}

/// The outcome of `command` is not known.
pub(crate) fn unknown(command: &'static str, failure: ProbeFailure) -> StatementError {
    StatementError::OutcomeUnknown {
        command,
        failure: FailureWord(failure),
    }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
