//! Why a store did not do what it was asked.

use baton_core::ids::LeaseEpoch;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Busy or interrupted; nothing was done; the same call may be repeated.
    #[error("{operation} on the state store was interrupted; it can be repeated")]
    Retry {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The outcome is unknown: read again before repeating.
    #[error("{operation} on the state store has an unknown outcome")]
    OutcomeUnknown {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller's lease epoch is not the present one.
    #[error("{operation} was refused by the state store: lease epoch {epoch} is over")]
    Fenced {
        /// What was attempted.
        operation: &'static str,
        /// The caller's epoch.
        epoch: LeaseEpoch,
    },
    /// Read-only, full, corrupt, or gone: nothing was done, and repeating will not help soon.
    #[error("{operation} on the state store failed")]
    Unavailable {
        /// What was attempted.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A conflicting record exists (for example: another recovery of the cluster is running).
    #[error("{operation} was refused by the state store: {conflict}")]
    Conflict {
        /// What was attempted.
        operation: &'static str,
        /// What stands against it.
        conflict: String,
    },
}

impl StoreError {
    /// The error with its causes, on one line.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
