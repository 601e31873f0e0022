//! What can go wrong below an operation, and what it means for the caller of the port.

use baton_core::ids::LeaseEpoch;
use baton_ports::StoreError;

/// What lies behind a failure.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a statement or a commit did not do what was asked, by what it means.
#[derive(Debug)]
pub enum Failure {
    /// Busy or interrupted; nothing was done; the whole transaction may be repeated.
    Retry(Cause),
    /// Nothing was done, and this node of the database will not do it; another one may.
    Elsewhere(Cause),
    /// It may have been done or not.
    Unknown(Cause),
    /// Read-only, full, corrupt, or gone; nothing was done.
    Unavailable(Cause),
    /// A unique key stands against it; nothing was done.
    Duplicate(Cause),
    /// It refers to a row that does not exist, or would leave such a reference; nothing was done.
    Dangling(Cause),
}

/// Why an operation was not carried out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The database did not do it.
    Failed(Failure),
    /// The lease is not held under this epoch.
    Fenced(LeaseEpoch),
    /// What stands against it.
    Conflict(String),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Refusal {
    /// The port's error, with the name of the operation.
    pub(crate) fn during(self, operation: &'static str) -> StoreError {
        match self {
            Self::Fenced(epoch) => StoreError::Fenced { operation, epoch },
            Self::Conflict(conflict) => StoreError::Conflict {
                operation,
                conflict,
            },
            Self::Failed(failure) => failure.during(operation),
        }
    }
}

impl Failure {
    /// A row that the schema puts in place, or that was just written, is not there.
    pub(crate) fn missing_row(column: &'static str) -> Self {
        Malformed {
            column,
            found: "no row".to_owned(),
            expected: "a value",
        }
        .into()
    }

    /// The port's error, with the name of the operation.
    pub(crate) fn during(self, operation: &'static str) -> StoreError {
        match self {
            Self::Retry(source) => StoreError::Retry { operation, source },
            Self::Unknown(source) => StoreError::OutcomeUnknown { operation, source },
            Self::Elsewhere(source) | Self::Unavailable(source) => {
                StoreError::Unavailable { operation, source }
            }
            Self::Duplicate(source) => StoreError::Conflict {
                operation,
                conflict: format!("such a row exists already ({source})"),
            },
            Self::Dangling(source) => StoreError::Conflict {
                operation,
                conflict: format!("it refers to something that is not recorded ({source})"),
            },
        }
    }
}

/// A stored value that the program cannot read: the database was changed by other hands.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of the state store holds {found}, which is not readable as {expected}")]
pub(crate) struct Malformed {
    /// Column.
    pub(crate) column: &'static str,
    /// What it holds.
    pub(crate) found: String,
    /// What it should hold.
    pub(crate) expected: &'static str,
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Unavailable(Box::new(malformed))
    }
}
