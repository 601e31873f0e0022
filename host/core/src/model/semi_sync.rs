//! Semi-synchronous replication on one server.

use std::time::Duration;

/// When a source that waits for acknowledgements lets other sessions see a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPoint {
    /// Once it is acknowledged: nobody reads what no replica has.
    AfterSync,
    /// Before that: others read rows that may be on this server only.
    AfterCommit,
}

/// State of semi-synchronous replication on one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a variable of the server, and the servers allow all combinations"
)]
pub struct SemiSync {
    /// Enabled as a source.
    pub source_enabled: bool,
    /// Really waiting for acknowledgements (not fallen back to asynchronous).
    pub source_active: bool,
    /// Acknowledgements waited for.
    pub wait_for: u32,
    /// Replicas that acknowledge now.
    pub clients: u32,
    /// Sessions waiting for an acknowledgement now.
    pub waiting_sessions: u32,
    /// Time after which a source falls back to asynchronous.
    pub timeout: Option<Duration>,
    /// When other sessions see a commit, where the server tells.
    pub wait_point: Option<WaitPoint>,
    /// Waits also while fewer replicas are connected than it waits for, where the server tells.
    pub waits_without_replicas: Option<bool>,
    /// Enabled as a replica.
    pub replica_enabled: bool,
    /// Acknowledging now.
    pub replica_active: bool,
}

impl SemiSync {
    /// Sessions wait for acknowledgements now.
    pub fn has_waiting_sessions(&self) -> bool {
        self.source_enabled && self.source_active && self.waiting_sessions > 0
    }

    /// As a source it acknowledges nothing to its clients for at least so long after its last
    /// replica has left it.
    pub fn holds_commits_for(&self, least: Duration) -> bool {
        self.source_enabled
            && self.source_active
            && self.waits_without_replicas == Some(true)
            && self.timeout.is_some_and(|timeout| timeout >= least)
    }
}
