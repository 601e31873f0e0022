//! Stable words of the API for values that have none of their own.

use baton_core::analysis::Severity;
use baton_core::model::{Flavor, LogFormat, Reach, Switch, ThreadState};

pub(crate) fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::NotProbed => "not-probed",
        Reach::Answering => "answering",
        Reach::Partial => "partial",
        Reach::Silent => "silent",
    }
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

pub(super) fn thread(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "running",
        ThreadState::Connecting => "connecting",
        ThreadState::Stopped => "stopped",
        ThreadState::Unknown => "unknown",
    }
}

pub(super) fn flavor(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Mysql => "mysql",
        Flavor::Percona => "percona",
        Flavor::Mariadb => "mariadb",
        Flavor::Other => "other",
    }
}

pub(super) fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Statement => "statement",
        LogFormat::Mixed => "mixed",
        LogFormat::Row => "row",
    }
}

pub(super) fn switch(switch: Switch) -> &'static str {
    match switch {
        Switch::On => "on",
        Switch::Off => "off",
        Switch::Unreadable => "unreadable",
    }
}
