//! Snapshots drawn as text, for tests: one line per server.
//!
//! ```text
//! cluster  auto lease=7                     # optional line about the cluster
//! p1 primary silent refused 2s              # recorded as primary, not answering for 2 s
//! r1 <- p1 io=connecting missing=3          # read 100 ms ago, lacks the last 3 transactions
//! r2 <- p1 io=running heartbeat=500ms dc=b
//! r3 <- r2@main lag=45s <- p1@side rw       # two named channels
//! ```
//!
//! A line is a name followed by words; `#` begins a comment. A server's identity is its name, its
//! address `name:3306`. All servers share a history of 1000 transactions of the first server. What
//! is not said is healthy: answering, read 100 ms ago, both threads running, MySQL 8.4 with GTID,
//! read-only unless recorded as primary.
//!
//! | Server word | Meaning |
//! | --- | --- |
//! | `primary` | the store records it as primary; writable |
//! | `unprobed` | no probe has finished |
//! | `unread` | never read |
//! | `back=T` | it answers again since then |
//! | `silent`, `partial`, a word of [`ProbeFailure`](crate::model::ProbeFailure) such as `timeout-handshake` or `authentication:1044`, a time | not answering, why, for how long (`refused` or `authentication:1045`, `2s`) |
//! | `read=T` | age of the last reading; for a failing server, 1 s more than it has failed |
//! | `rw`, `ro`, `sro` | writable, read-only, `super_read_only` |
//! | `closed`, `restarted`, `started` | how it came to be read-only: while it ran, by a restart, at a start just before it was read first |
//! | `wrote=N`, `foreign=N` | wrote N transactions as a primary; has the history of server number N instead of the shared one |
//! | `missing=N`, `unapplied=N`, `ahead=N`, `errant=N`, `errant=unknown` | position against the shared history |
//! | `progressed=T` | age of the last growth of the executed set |
//! | `mariadb`, `percona`, `version=8.0.36`, `format=mixed`, `nolog`, `noupdates`, `gtid_mode=OFF` | what it is |
//! | `dc=X`, `region=X`, `env=X`, `must`, `prefer`, `neutral`, `prefer_not`, `must_not` | where it stands, whether it should take over |
//! | `downtime`, `maintenance`, `quarantined` | what operators said |
//! | `commit=ok`, `commit=refused:1021`, `commit=stalled:12s`, `connections=100/151` | vitals |
//! | `space=waits:N`, `space=refused:T..T`, `awaited=T` | N sessions wait for disk space; ages of the first and last refusal for want of it; since when every reading showed that sessions wait |
//! | `ss=source`, `ss=replica`, `ss=both`, `ss=fallback`, `ss=locked`, `wait_for=N`, `clients=N`, `waiting=N`, `timeout=T`, `wait_point=after_commit`, `stalled=T` | semi-synchronous replication; for how long sessions have waited |
//! | `sync_binlog=N`, `flush=N`, `sync_relay_log=N`, `relay_log_recovery=on` | what a crash leaves |
//! | `events=a,b:disabled,c:replica,d:here`, `scheduler=off` | scheduled events of the schema `app`: enabled, disabled, disabled as on a replica by its source or by somebody here; their scheduler |
//! | `prepared=x,y:2m`, `prepared=` | prepared XA transactions, and for how long readings have shown each; none |
//! | `alias=HOST:PORT`, `attached=NAME,NAME` | other addresses; replicas registered with it |
//!
//! | Channel word, after `<- SOURCE` or `<- SOURCE@CHANNEL` | Meaning |
//! | --- | --- |
//! | `io=running`, `io=connecting`, `io=connecting:1045`, `io=stopped`, `io=stopped:1236`, `io=unknown` | receiver, with error |
//! | `sql=running`, `sql=stopped`, `sql=stopped:1062`, `sql=unknown` | applier, with error |
//! | `lag=T`, `delay=T`, `lifted=T`, `heartbeat=T`, `period=T`, `reconnected=T`, `reconnect-failed=T`, `severed=T`, `ran=T`, `acked=T`, `cut=T..T`, `starving=T` | lag, configured delay, the delay that Baton lifted, age of the last sign, time between heartbeats, ages of the reconnect Baton made, of one in vain, of the severing, of the last reading that showed its receiver at work, that showed it acknowledging (by default that of a connected replica with `ss=replica`), of the first and last one that showed it unable to connect, of the first one that showed it running without receiving what its source had |
//! | `brings=N` | what it received was written by server number N |
//! | `nogtid`, `filtered`, `user=X` | how it replicates |
//!
//! A source that is no server of the sketch is an address outside; `<- ?` is a channel without a
//! source.
//!
//! | Cluster word | Meaning |
//! | --- | --- |
//! | `auto`, `off`, `unreadable`, `lease=N` | automatic; switched off; switch unreadable; lease held |
//! | `name=X`, `epoch=N`, `clusters=N`, `elsewhere=CODE:N`, `poll=T`, `watching=T` | record and fleet |
//! | `risk=WORD`, `seen=N` | what may be risked; how much of the shared history was seen somewhere |
//! | `active=KIND:SERVER`, `past=KIND:OUTCOME:FAILED:SUCCESSOR:AGE` | recoveries (automatic; acknowledged if followed by `:ack`; failed after it had promoted its successor if by `:promoted`; the old primary did not follow if by `:left-behind`) |

mod build;
mod cluster;
mod server;

use crate::model::Snapshot;
use crate::time::{Timestamp, WallTime};

/// "Now" of every sketch.
pub const NOW: Timestamp = Timestamp::from_millis(100_000_000);
/// "Now" of every sketch by the wall clock: 2026-11-24T05:20:00Z.
pub const WALL: WallTime = WallTime::from_millis(1_795_497_600_000);

/// What is wrong with a sketch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sketch line {line:?}: {problem}")]
pub struct SketchError {
    /// The line.
    pub line: String,
    /// What is wrong.
    pub problem: String,
}

/// The snapshot that `text` draws.
///
/// # Panics
/// If the text is not a sketch: it is part of a test's own source.
pub fn snapshot(text: &str) -> Snapshot {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The snapshot that `text` draws.
///
/// # Errors
/// Names the line that is not understood.
pub fn parse(text: &str) -> Result<Snapshot, SketchError> {
    let mut cluster = cluster::ClusterSketch::default();
    let mut servers = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        let words: Vec<&str> = words.collect();
        let outcome = if name == "cluster" {
            cluster.words(&words)
        } else {
            server::ServerSketch::from_words(name, &words).map(|server| servers.push(server))
        };
        outcome.map_err(|problem| SketchError {
            line: line.to_owned(),
            problem,
        })?;
    }
    Ok(build::snapshot(&cluster, &servers))
}

/// Reads `250ms`, `2s`, `10m`, `3h` or `1d`.
fn duration(text: &str) -> Option<std::time::Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(std::time::Duration::from_millis(
        number.saturating_mul(millis),
    ))
}

fn need_duration(text: &str) -> Result<std::time::Duration, String> {
    duration(text).ok_or_else(|| format!("{text:?} is no time"))
}

fn need_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests;
