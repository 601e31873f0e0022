//! Why a database was not opened. Never is a new one made in place of one that cannot be used.

use std::path::PathBuf;

use crate::failure::Cause;

/// Why the state database was not opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No file, and none may be made.
    #[error(
        "state database {path:?} does not exist or is empty: check the path, or allow it to be created"
    )]
    Missing {
        /// Path.
        path: PathBuf,
    },
    /// The directory does not exist.
    #[error(
        "state database {path:?} cannot be opened because its directory does not exist: create the directory"
    )]
    NoDirectory {
        /// Path.
        path: PathBuf,
    },
    /// A directory, a device or the like; or a name SQLite cannot take.
    #[error(
        "state database {path:?} is not a regular file with a name in UTF-8: give the path of a file"
    )]
    NotAFile {
        /// Path.
        path: PathBuf,
    },
    /// The file may not be looked at.
    #[error(
        "state database {path:?} cannot be read: check that its owner and rights let baton read it"
    )]
    Unreadable {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// The file is something else.
    #[error(
        "{path:?} is not a SQLite database: give another path, or move the file away if it is not needed"
    )]
    NotADatabase {
        /// Path.
        path: PathBuf,
    },
    /// The database belongs to another program.
    #[error(
        "{path:?} is a SQLite database of another program (application id {application_id:#x}): give another path"
    )]
    Foreign {
        /// Path.
        path: PathBuf,
        /// What its header says.
        application_id: u32,
    },
    /// The log of a database that is not there any more.
    #[error(
        "state database {path:?} is missing or empty, but {log:?} holds writes of it: restore the database from a backup \
         beside it, or move that file away to begin anew"
    )]
    OrphanedLog {
        /// Path.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// Written by a newer program.
    #[error(
        "state database {path:?} was written by a newer baton (schema {found}, this program knows up to {known}): start \
         that version, or restore a backup made before it was upgraded"
    )]
    Newer {
        /// Path.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version this program knows.
        known: u32,
    },
    /// Damaged.
    #[error(
        "state database {path:?} is damaged ({detail}): restore it from a backup, or move it with its -wal and -shm files \
         away to begin anew"
    )]
    Corrupt {
        /// Path.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "state database {path:?} cannot be written: make the file, its -wal and -shm files and its directory writable"
    )]
    ReadOnly {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// No space.
    #[error("state database {path:?} cannot be written because its disk is full: free some space")]
    Full {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// Another process holds the file for too long.
    #[error("state database {path:?} is locked by another process: end that process, or try again")]
    Locked {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// The file system lacks what the write-ahead log needs.
    #[error(
        "state database {path:?} cannot use a write-ahead log there (mode {mode:?}): put it on a local file system"
    )]
    NoWriteAheadLog {
        /// Path.
        path: PathBuf,
        /// The mode SQLite chose.
        mode: String,
    },
    /// Anything else.
    #[error("opening state database {path:?} failed")]
    Other {
        /// Path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Cause,
    },
}
