//! What the error numbers of the MySQL protocol mean, on every kind of backend. Numbers first,
//! texts only where one number means opposite things; the facts are those measured on MariaDB with
//! Galera, MySQL with Group Replication, and NDB.

use std::time::Duration;

use crate::failure::Failure;

/// What was asked when the error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A connection: nothing was sent.
    Connect,
    /// A statement inside a transaction, or a read: nothing of it is done before the commit.
    Statement,
    /// The commit, or a statement that commits by itself.
    Commit,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing was done: the whole transaction again, on this node.
    Repeat,
    /// Nothing was done, and this node will not do it.
    Elsewhere,
    /// Done or not: a commit's answer is missing.
    Unknown,
    /// A unique key stands against it.
    Duplicate,
    /// A reference stands against it.
    Dangling,
    /// No node will do it: rights, schema, limits.
    GiveUp,
}

/// A class with what is known about the session, and the word for the selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorVerdict {
    pub(super) class: Class,
    pub(super) word: &'static str,
    /// The session may not be used any more.
    pub(super) lost: bool,
}

const fn verdict(class: Class, word: &'static str) -> ErrorVerdict {
    let lost = matches!(class, Class::Elsewhere | Class::Unknown);
    ErrorVerdict { class, word, lost }
}

/// The node, or what is behind it, went away in the middle: unknown if a commit was on its way.
fn in_doubt(phase: Phase, word: &'static str) -> ErrorVerdict {
    match phase {
        Phase::Commit => verdict(Class::Unknown, word),
        Phase::Connect | Phase::Statement => verdict(Class::Elsewhere, word),
    }
}

/// NDB errors behind 1296 that mean that the data nodes are gone or went while they worked.
const NDB_LOST: [&str; 6] = ["4009", "4008", "4012", "4010", "4028", "157"];

/// What an error number says.
pub(super) fn of_number(number: u16, message: &str, phase: Phase) -> ErrorVerdict {
    match number {
        // Deadlock, or lost certification; lock wait; killed query; a definition that changed; a
        // record that changed.
        1213 | 1205 | 1317 | 1412 | 1615 | 1020 | 3101 | 1297 => verdict(Class::Repeat, "conflict"),
        // Group Replication's lost certification as against Galera's lost quorum.
        1180 if message.contains("149") => verdict(Class::Repeat, "conflict"),
        1180 | 3100 => in_doubt(phase, "no-quorum"),
        1296 if NDB_LOST.iter().any(|code| message.contains(code)) => {
            in_doubt(phase, "cluster-lost")
        }
        1053 | 1927 | 3032 | 1077 | 1079 => in_doubt(phase, "shutting-down"),
        1152 | 1158..=1161 | 2006 | 2013 | 2055 | 4031 => in_doubt(phase, "connection-lost"),
        1047 | 3796 | 3797 => verdict(Class::Elsewhere, "not-ready"),
        1290 | 1792 | 1836 => verdict(Class::Elsewhere, "read-only"),
        1040 | 1203 | 1226 | 1129 => verdict(Class::Elsewhere, "too-many-connections"),
        _ if is_full(number, message) => verdict(Class::Elsewhere, "full"),
        1022 | 1062 | 1169 | 1586 | 1859 => verdict(Class::Duplicate, "duplicate"),
        1216 | 1217 | 1451 | 1452 => verdict(Class::Dangling, "dangling"),
        _ => match phase {
            // Each node has its own accounts: another one may let this program in.
            Phase::Connect => verdict(Class::Elsewhere, "access"),
            Phase::Statement => verdict(Class::GiveUp, "refused"),
            // Nothing is known to refuse a commit for good, so nothing is known about this one.
            Phase::Commit => verdict(Class::Unknown, "unknown-outcome"),
        },
    }
}

/// No space: the server's own error, a table at its limit, and the operating system's number 28
/// behind several others (writing a file, the binary log, and a storage engine's own error).
fn is_full(number: u16, message: &str) -> bool {
    match number {
        1021 | 1114 => true,
        3 | 1026 | 1030 => message.contains(" 28 ") || message.contains("Errcode: 28"),
        _ => false,
    }
}

/// What went wrong on a node.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// No answer.
    #[error("backend node {node} did not answer within {limit:?}")]
    Deadline {
        /// Node.
        node: String,
        /// Limit.
        limit: Duration,
    },
    /// The selection moved on while it had not answered.
    #[error("backend node {node} had not answered when another one was selected")]
    Moved {
        /// Node.
        node: String,
    },
    /// It said no, or the connection broke.
    #[error("backend node {node} failed")]
    Sql {
        /// Node.
        node: String,
        /// Cause.
        #[source]
        source: sqlx::Error,
    },
    /// Its disk, or a table's limit.
    #[error(
        "backend node {node} has no space left for the state: free disk space there, or raise what limits the tables"
    )]
    Full {
        /// Node.
        node: String,
        /// Cause.
        #[source]
        source: sqlx::Error,
    },
    /// All sessions wait for something.
    #[error("none of {sessions} sessions with the backend became free within {limit:?}")]
    Busy {
        /// How many there are.
        sessions: usize,
        /// How long it was waited.
        limit: Duration,
    },
    /// Baton's tables are gone, or were never made.
    #[error(
        "backend node {node} lacks tables of the state store: was it emptied or restored? restart baton to make them anew"
    )]
    NoTables {
        /// Node.
        node: String,
        /// Cause.
        #[source]
        source: sqlx::Error,
    },
    /// The selection gave none.
    #[error("no backend node is fit: {reason}")]
    NoTarget {
        /// What the selection says.
        reason: String,
    },
    /// Written by a newer program.
    #[error(
        "the state store on backend node {node} has schema {found}, this program knows up to {known}: run the newer baton, or restore an older copy"
    )]
    Newer {
        /// Node.
        node: String,
        /// Its schema.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// A copy was begun and not finished.
    #[error(
        "the state store on backend node {node} holds an unfinished copy of another one: move the state again, or drop its tables"
    )]
    Unfinished {
        /// Node.
        node: String,
    },
    /// The transaction has ended.
    #[error("the transaction on backend node {node} has ended")]
    Ended {
        /// Node.
        node: String,
    },
}

const NO_SUCH_TABLE: u16 = 1146;

impl Trouble {
    /// A driver's error, on a node.
    pub(super) fn of(node: &str, source: sqlx::Error) -> Self {
        let node = node.to_owned();
        if number(&source).is_some_and(|(number, _)| number == NO_SUCH_TABLE) {
            return Self::NoTables { node, source };
        }
        if number(&source).is_some_and(|(number, message)| is_full(number, message)) {
            return Self::Full { node, source };
        }
        Self::Sql { node, source }
    }

    /// What it means.
    pub(super) fn verdict(&self, phase: Phase) -> ErrorVerdict {
        match self {
            Self::Deadline { .. } => in_doubt(phase, "deadline"),
            Self::Moved { .. } => in_doubt(phase, "moved"),
            Self::Sql { source, .. } | Self::Full { source, .. } => match number(source) {
                Some((number, message)) => of_number(number, message, phase),
                None => in_doubt(phase, "connection-lost"),
            },
            Self::NoTables { .. }
            | Self::NoTarget { .. }
            | Self::Busy { .. }
            | Self::Newer { .. }
            | Self::Unfinished { .. }
            | Self::Ended { .. } => verdict(Class::GiveUp, "refused"),
        }
    }

    /// The number of the server's error.
    pub(super) fn number(&self) -> Option<u16> {
        match self {
            Self::Sql { source, .. }
            | Self::NoTables { source, .. }
            | Self::Full { source, .. } => number(source).map(|(number, _)| number),
            _ => None,
        }
    }

    /// The failure, by class.
    pub(super) fn into_failure(self, class: Class) -> Failure {
        let cause = Box::new(self);
        match class {
            Class::Repeat => Failure::Retry(cause),
            Class::Elsewhere => Failure::Elsewhere(cause),
            Class::Unknown => Failure::Unknown(cause),
            Class::Duplicate => Failure::Duplicate(cause),
            Class::Dangling => Failure::Dangling(cause),
            Class::GiveUp => Failure::Unavailable(cause),
        }
    }
}

fn number(error: &sqlx::Error) -> Option<(u16, &str)> {
    let error = error
        .as_database_error()?
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some((error.number(), error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_number_and_phase() {
        use Class::{Duplicate, Elsewhere, GiveUp, Repeat, Unknown};
        use Phase::{Commit, Connect, Statement};
        let cases: &[(u16, &str, Phase, Class)] = &[
            (1213, "Deadlock found", Statement, Repeat),
            (1213, "Deadlock found", Commit, Repeat),
            (
                3101,
                "Plugin instructed the server to rollback",
                Commit,
                Repeat,
            ),
            (1180, "Got error 149 - 'Lock deadlock'", Commit, Repeat),
            (
                1180,
                "(provider status: Not connected to Primary Component)",
                Commit,
                Unknown,
            ),
            (
                1180,
                "(provider status: Not connected to Primary Component)",
                Statement,
                Elsewhere,
            ),
            (1047, "WSREP has not yet prepared node", Commit, Elsewhere),
            (1205, "Lock wait timeout exceeded", Statement, Repeat),
            (1297, "Got temporary error 4010", Commit, Repeat),
            (
                1296,
                "Got error 4009 'Cluster Failure' from NDBCLUSTER",
                Commit,
                Unknown,
            ),
            (
                1296,
                "Got error 157 'Connection to NDB failed'",
                Statement,
                Elsewhere,
            ),
            (1296, "Got error 738 'Record too big'", Statement, GiveUp),
            (3100, "Error on observer", Commit, Unknown),
            (1290, "--read-only option", Statement, Elsewhere),
            (2013, "Lost connection", Commit, Unknown),
            (2013, "Lost connection", Statement, Elsewhere),
            (
                1021,
                "Disk full (/tmp); waiting for someone to free some space",
                Statement,
                Elsewhere,
            ),
            (
                1114,
                "The table 'baton_audit' is full",
                Statement,
                Elsewhere,
            ),
            (
                1030,
                "Got error 28 \"No space left on device\" from storage engine InnoDB",
                Statement,
                Elsewhere,
            ),
            (
                1026,
                "Error writing file 'binlog' (Errcode: 28 \"No space left on device\")",
                Statement,
                Elsewhere,
            ),
            (
                1026,
                "Error writing file 'binlog' (Errcode: 5 \"Input/output error\")",
                Statement,
                GiveUp,
            ),
            (1062, "Duplicate entry", Statement, Duplicate),
            (1045, "Access denied", Connect, Elsewhere),
            (1142, "command denied", Statement, GiveUp),
            (1064, "syntax", Statement, GiveUp),
            (9999, "new", Commit, Unknown),
        ];
        for (number, message, phase, class) in cases {
            assert_eq!(
                of_number(*number, message, *phase).class,
                *class,
                "{number} {phase:?}"
            );
        }
    }

    #[test]
    fn silence_at_the_commit_is_unknown_and_before_it_is_nothing() {
        let silent = || Trouble::Deadline {
            node: "n".to_owned(),
            limit: Duration::from_secs(1),
        };
        assert_eq!(silent().verdict(Phase::Commit).class, Class::Unknown);
        assert_eq!(silent().verdict(Phase::Statement).class, Class::Elsewhere);
        assert!(silent().verdict(Phase::Statement).lost);
    }
}
