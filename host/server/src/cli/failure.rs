//! How a command ends when it does not succeed, and with which exit status.

use std::process::ExitCode;

/// Why a command did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request was refused, or begun and failed.
    Refused(String),
    /// The command line or the configuration is wrong.
    Usage(String),
    /// No node answered.
    Unreachable(String),
}

impl Failure {
    /// For people; several lines at times.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Usage(text) | Self::Unreachable(text) => text,
        }
    }

    /// Exit status: scripts tell the cases apart by it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }
}
