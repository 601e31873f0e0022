//! Limits of the analysis.

use std::time::Duration;

/// Limits that the rules compare facts with. All are durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisSettings {
    /// Lag beyond the configured delay from which a replica is called lagging. Default 30 s. Too
    /// small: findings during each large transaction; too large: a stale replica goes unnoticed.
    pub lag_limit: Duration,
    /// For how long at most a heartbeat, an event or a fresh connection of a replica proves that
    /// its source lives. Default 15 s; less at first (3 s, then as long as it has lived since it
    /// was lost), and where heartbeats come often (two of them and 2 s). Too small: replicas of a
    /// source that only we cannot reach are made to reconnect often; too large: a source that hangs
    /// long after it was lost, just after a sign of life, is believed for that long.
    pub receiver_silence: Duration,
    /// Time a receiver that was made to reconnect gets before "still connecting" counts as "cannot
    /// connect", and that a receiver gets to notice a closed connection. Default 500 ms. Too small:
    /// a slow but living source is called hung; too large: it is added to each failover from a hung
    /// source.
    pub reconnect_patience: Duration,
    /// A commit that waits for longer makes a primary useless. Default 10 s. Too small: a burst of
    /// writes is taken for a failed disk; too large: writers wait that long.
    pub commit_stall_limit: Duration,
    /// Time without any commit, while sessions wait for acknowledgements, after which semi-sync has
    /// locked the primary; if its replicas cannot reach it, it is replaced then. Default 5 s. Too
    /// small: a slow network is taken for a cut one; too large: writers wait that long.
    pub semi_sync_stall_limit: Duration,
    /// A primary whose replicas were cut off from it until a moment ago, and that accepts
    /// connections without letting anybody in, is not called hung for so long. Default 20 s.
    /// MariaDB does that when semi-synchronous replicas return: for 3.6 s after a cut of 20 s, for
    /// 15.5 s after one of 40 s.
    pub return_patience: Duration,
}

impl Default for AnalysisSettings {
    fn default() -> Self {
        Self {
            lag_limit: Duration::from_secs(30),
            receiver_silence: Duration::from_secs(15),
            reconnect_patience: Duration::from_millis(500),
            commit_stall_limit: Duration::from_secs(10),
            semi_sync_stall_limit: Duration::from_secs(5),
            return_patience: Duration::from_secs(20),
        }
    }
}
