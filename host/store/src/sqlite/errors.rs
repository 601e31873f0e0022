//! What SQLite's result codes mean. Codes, never messages: <https://www.sqlite.org/rescode.html>.

use sqlx::error::ErrorKind;

use crate::failure::Failure;

pub(super) const BUSY: i32 = 5;
pub(super) const LOCKED: i32 = 6;
pub(super) const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
pub(super) const CORRUPT: i32 = 11;
pub(super) const FULL: i32 = 13;
pub(super) const CANTOPEN: i32 = 14;
pub(super) const NOTADB: i32 = 26;

/// The primary result code; 0 if the error does not come from SQLite.
pub(super) fn primary_code(error: &sqlx::Error) -> i32 {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    // The upper bytes detail the primary code.
    code.and_then(|code| code.parse::<i32>().ok()).unwrap_or(0) & 0xff
}

/// What an error of a statement means. Nothing of a transaction is done before its commit.
pub(super) fn of_statement(error: sqlx::Error) -> Failure {
    let kind = error
        .as_database_error()
        .map(sqlx::error::DatabaseError::kind);
    match kind {
        Some(ErrorKind::UniqueViolation) => return Failure::Duplicate(error.into()),
        Some(ErrorKind::ForeignKeyViolation) => return Failure::Dangling(error.into()),
        _ => {}
    }
    match primary_code(&error) {
        BUSY | LOCKED | INTERRUPT => Failure::Retry(error.into()),
        _ if matches!(error, sqlx::Error::PoolTimedOut) => Failure::Retry(error.into()),
        // Read-only, full, corrupt, broken disk; and what should never happen.
        _ => Failure::Unavailable(error.into()),
    }
}

/// What an error of a commit means. A disk that failed while the log was being written may have
/// kept it: the process does not see such a transaction, but it can be there after a restart. The
/// same if the connection's thread is gone.
pub(super) fn of_commit(error: sqlx::Error) -> Failure {
    let from_database = error.as_database_error().is_some();
    if primary_code(&error) == IOERR || !from_database {
        return Failure::Unknown(error.into());
    }
    of_statement(error)
}
