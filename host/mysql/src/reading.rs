//! One reading: which statements, in which order, and what their answers are.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use baton_core::model::{ProbeFailure, ServerFacts, TimeoutPhase};
use baton_core::time::Timestamp;
use baton_ports::{Clock, WatchAnswer};
use tokio::time::{Instant, timeout_at};

use crate::channel_options::SeenChannel;
use crate::dialect::{Dialect, STATUS};
use crate::facts::{Answers, Beside, Garbled, facts};
use crate::failure::{Stage, probe_failure};
use crate::recent::Recent;
use crate::rows::Table;
use crate::session::{Outcome, Session};

/// A watch reads what changes slowly (registered replicas; counters without semi-sync) this seldom.
const SLOW_EVERY: Duration = Duration::from_millis(4500);

/// So long a full reading relies on what another session of the server read: a watch has read it
/// anew by then, if it lives. On MySQL the list of events alone takes as long as half of all else.
const RELIED_ON: Duration = Duration::from_secs(6);

/// The same for the list of sessions, which costs the server time in proportion to their number. It
/// finds only replicas that do not report their host.
const SESSIONS_EVERY: Duration = Duration::from_secs(15);

/// A pause is slept in so many naps. The end of each arrives by itself, so a server that hangs is
/// noticed a fraction of the pause after it should have woken, without another round trip.
const NAPS: u32 = 3;

/// How much of a requested pause is relied on. Server and node measure it by different clocks.
const PAUSE_TRUST_PERCENT: u32 = 99;

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything; of what costs the server most, what no other session was told lately.
    Full,
    /// What can wait only if it is due.
    Due,
}

/// What of the things that can wait is read this time.
#[derive(Clone, Copy, Debug)]
struct Due {
    slow: bool,
    sessions: bool,
    events: bool,
    space: bool,
}

/// The statements of a reading and which table each one's answer is.
struct Batch {
    sql: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Sleep,
    Variables,
    Channels,
    Heartbeats,
    ChannelOptions,
    Events,
    Prepared,
    Status,
    Binlog,
    Registered,
    DumpThreads,
    Space,
    Lag,
}

/// Reads one server again and again, keeping what changes slowly.
#[derive(Debug)]
pub(crate) struct Reader {
    dialect: Dialect,
    answers: Answers,
    /// When the session was opened.
    opened: Timestamp,
    /// What other sessions of the server were told.
    recent: Recent,
    /// When the events among the answers were read.
    events_at: Option<Timestamp>,
    slow_at: Option<Timestamp>,
    sessions_at: Option<Timestamp>,
    /// Nothing was executed between the last two readings.
    still: bool,
    lag_query: Option<String>,
    /// The channels with their options, until they are taken.
    seen_channels: Option<Vec<SeenChannel>>,
}

impl Reader {
    /// A reader for a session that was opened at `opened`.
    pub(crate) fn new(
        dialect: Dialect,
        lag_query: Option<String>,
        opened: Timestamp,
        recent: Recent,
    ) -> Self {
        let answers = Answers {
            fixed: dialect.fixed.clone(),
            ..Answers::default()
        };
        Self {
            dialect,
            answers,
            opened,
            recent,
            events_at: None,
            slow_at: None,
            sessions_at: None,
            still: false,
            lag_query,
            seen_channels: None,
        }
    }

    /// Begins anew with what has been found out about the server since.
    pub(crate) fn renew(&mut self, dialect: Dialect) {
        let recent = self.recent.clone();
        *self = Self::new(dialect, self.lag_query.take(), self.opened, recent);
    }

    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// True if a plugin was loaded that this reader does not know how to read.
    pub(crate) fn is_outdated(&self) -> bool {
        self.dialect.is_outdated_by(&self.answers.status)
    }

    /// Pauses, then reads, in one round trip.
    pub(crate) async fn read(
        &mut self,
        session: &mut Session,
        clock: &dyn Clock,
        ask: Ask,
    ) -> Result<Evaluated, ProbeFailure> {
        let sent = clock.now();
        let full = ask.depth == Depth::Full;
        let due =
            |at: Option<Timestamp>, every| full || at.is_none_or(|at| sent.since(at) >= every);
        let slow = due(self.slow_at, SLOW_EVERY);
        let sessions = due(self.sessions_at, SESSIONS_EVERY);
        let due = Due {
            slow,
            sessions,
            events: self.are_events_due(full, sent),
            space: self.is_space_due((full, slow, sessions), sent),
        };
        let batch = self.batch(ask.pause, due);
        let (naps, woke) = (AtomicU32::new(0), AtomicU64::new(0));
        // The first rows are those of the naps.
        let noted = || {
            if naps.load(Ordering::Relaxed) < NAPS {
                naps.fetch_add(1, Ordering::Relaxed);
                woke.store(clock.now().micros(), Ordering::Relaxed);
            }
        };
        let outcome = in_time(ask, &naps, session.send(&batch.sql, noted)).await?;
        let ended = clock.now();
        self.take(&batch, outcome, sent)?;
        if slow {
            self.slow_at = Some(sent);
            self.seen_channels = Some(self.channels_with_options());
        }
        if sessions {
            self.sessions_at = Some(sent);
        }
        let woke = Timestamp::from_micros(woke.into_inner());
        let began = if ask.pause.is_zero() {
            sent
        } else {
            began(sent, ask.pause, woke)
        };
        Ok(Evaluated {
            began,
            round_trip: ended.since(sent.plus(ask.pause)),
        })
    }

    /// A full reading asks a server that takes writes: its clients may have changed events a moment
    /// ago. If another session of the server was told, its answer is taken.
    fn are_events_due(&mut self, full: bool, now: Timestamp) -> bool {
        if self.dialect.events.is_none() || full && self.recent.takes_writes() {
            return true;
        }
        let Some((at, events)) = self.recent.events(self.opened, now, relied_on(full)) else {
            return true;
        };
        if self.events_at != Some(at) {
            self.events_at = Some(at);
            self.answers.events = Some(events);
        }
        false
    }

    /// A server whose disk is full executes nothing, so a busy one is not asked. One that takes
    /// writes and stands still is asked each time.
    fn is_space_due(&self, (full, slow, sessions): (bool, bool, bool), now: Timestamp) -> bool {
        let sometimes = if self.lists_sessions() {
            sessions || slow && self.still
        } else {
            !self.recent.knows_space(self.opened, now, relied_on(full))
        };
        sometimes || self.still && self.takes_writes()
    }

    fn takes_writes(&self) -> bool {
        let now = self.answers.variables.first();
        now.and_then(|record| record.flag(&["read_only"])) == Some(false)
    }

    /// One list of sessions says it all.
    fn lists_sessions(&self) -> bool {
        self.dialect.space.is_some() && self.dialect.space == self.dialect.dump_threads
    }

    fn channels_with_options(&self) -> Vec<SeenChannel> {
        SeenChannel::all(&self.answers.channels, &self.answers.channel_options)
    }

    /// The channels with their options, if they were read since this was asked last.
    pub(crate) fn take_seen_channels(&mut self) -> Option<Vec<SeenChannel>> {
        self.seen_channels.take()
    }

    /// The facts in the last answers.
    pub(crate) fn facts(&self, beside: Beside) -> Result<ServerFacts, Garbled> {
        facts(&self.answers, beside)
    }

    fn batch(&self, pause: Duration, due: Due) -> Batch {
        let Due {
            slow,
            sessions,
            events,
            space,
        } = due;
        let mut batch = Batch {
            sql: String::new(),
            parts: Vec::new(),
        };
        if !pause.is_zero() {
            let nap = pause / NAPS;
            let sql = format!("SELECT SLEEP({}.{:06})", nap.as_secs(), nap.subsec_micros());
            for _ in 0..NAPS {
                batch.add(Part::Sleep, &sql);
            }
        }
        batch.add(Part::Variables, &self.dialect.variables);
        batch.add(Part::Channels, self.dialect.wording.show());
        if let Some(sql) = self
            .dialect
            .heartbeats
            .filter(|_| slow || !self.answers.channels.rows.is_empty())
        {
            batch.add(Part::Heartbeats, sql);
        }
        if let Some(sql) = self.dialect.channel_options.filter(|_| slow) {
            batch.add(Part::ChannelOptions, sql);
        }
        if let Some(sql) = self.dialect.events.filter(|_| events) {
            batch.add(Part::Events, sql);
        }
        if slow || self.semi_sync_on() {
            batch.add(Part::Status, STATUS);
        }
        // It does not move while nothing is executed, and is not told while a commit waits for
        // space.
        let knows_end = self.still && !self.answers.binlog.rows.is_empty();
        let listed = self.lists_sessions();
        let rest = [
            (Part::Space, self.dialect.space.filter(|_| space)),
            (
                Part::Binlog,
                self.dialect.binlog.filter(|_| slow && !knows_end),
            ),
            (Part::Registered, self.dialect.registered.filter(|_| slow)),
            (
                Part::DumpThreads,
                self.dialect.dump_threads.filter(|_| sessions && !listed),
            ),
        ];
        for (part, sql) in rest {
            if let Some(sql) = sql {
                batch.add(part, sql);
            }
        }
        // Last: if one of them is refused, everything else has been read.
        if let Some(sql) = self.dialect.prepared.filter(|_| slow) {
            batch.add(Part::Prepared, sql);
        }
        if let Some(sql) = &self.lag_query {
            batch.add(Part::Lag, sql);
        }
        batch
    }

    fn semi_sync_on(&self) -> bool {
        let switches = [
            "rpl_semi_sync_source_enabled",
            "rpl_semi_sync_master_enabled",
            "rpl_semi_sync_replica_enabled",
            "rpl_semi_sync_slave_enabled",
        ];
        let Some(record) = self.answers.variables.first() else {
            return true;
        };
        switches
            .iter()
            .any(|switch| record.flag(&[switch]) == Some(true))
    }

    fn take(
        &mut self,
        batch: &Batch,
        outcome: Outcome,
        sent: Timestamp,
    ) -> Result<(), ProbeFailure> {
        let needed = batch
            .parts
            .iter()
            .filter(|part| !matches!(part, Part::Prepared | Part::Lag))
            .count();
        if let Some(error) = outcome.error {
            let failure = probe_failure(&error, Stage::Established);
            let refused = batch.parts.get(outcome.tables.len());
            let is_refusal = matches!(
                failure,
                ProbeFailure::Statement { .. } | ProbeFailure::Authentication { .. }
            );
            if !is_refusal || outcome.tables.len() < needed {
                return Err(failure);
            }
            if refused == Some(&Part::Prepared) {
                // Its privilege was taken away: MySQL looks at it each time.
                self.dialect.prepared = None;
                self.answers.prepared = None;
            }
            self.answers.lag = Table::default();
        } else if outcome.tables.len() < needed {
            return Err(ProbeFailure::NotMysql);
        }
        self.answers.space = None;
        for (part, table) in batch.parts.iter().zip(outcome.tables) {
            match part {
                Part::Sleep => {}
                Part::Variables => {
                    self.still = executed(&table)
                        .is_some_and(|new| executed(&self.answers.variables) == Some(new));
                    self.answers.variables = table;
                    self.recent.note_writable(self.takes_writes());
                }
                Part::Channels => self.answers.channels = table,
                Part::Heartbeats => self.answers.heartbeats = table,
                Part::Events => {
                    self.recent.note_events(sent, &table);
                    self.events_at = Some(sent);
                    self.answers.events = Some(table);
                }
                Part::Prepared => self.answers.prepared = Some(table),
                Part::ChannelOptions => self.answers.channel_options = table,
                Part::Status => self.answers.status = Table::from_pairs(&table),
                Part::Binlog => self.answers.binlog = table,
                Part::Registered => self.answers.registered = table,
                Part::DumpThreads => self.answers.dump_threads = table,
                Part::Space => {
                    if self.lists_sessions() {
                        self.answers.dump_threads = table.clone();
                    }
                    self.recent.note_space(sent);
                    self.answers.space = Some(table);
                }
                Part::Lag => self.answers.lag = table,
            }
        }
        Ok(())
    }
}

/// How old an answer to another session may be.
fn relied_on(full: bool) -> Duration {
    if full { RELIED_ON } else { SLOW_EVERY }
}

/// What the server has written, as a text.
fn executed(variables: &Table) -> Option<&str> {
    variables
        .first()?
        .text(&["gtid_executed", "gtid_binlog_state"])
}

impl Batch {
    fn add(&mut self, part: Part, sql: &str) {
        if !self.sql.is_empty() {
            self.sql.push(';');
        }
        self.sql.push_str(sql.trim().trim_end_matches(';'));
        self.parts.push(part);
    }
}

/// Parameters of one reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Time for the server to sleep first, in naps.
    pub(crate) pause: Duration,
    /// From the end of the pause to the last byte.
    pub(crate) limit: Duration,
    /// How much.
    pub(crate) depth: Depth,
}

/// Waits for the answers. Each nap's end is a sign of life that must not be late by more than the
/// limit.
async fn in_time(
    ask: Ask,
    naps: &AtomicU32,
    work: impl Future<Output = Outcome>,
) -> Result<Outcome, ProbeFailure> {
    let sent = Instant::now();
    let mut work = pin!(work);
    loop {
        let over = naps.load(Ordering::Relaxed);
        let due = (ask.pause / NAPS * (over + 1)).min(ask.pause) + ask.limit;
        match timeout_at(sent + due, &mut work).await {
            Ok(outcome) => return Ok(outcome),
            Err(_) if naps.load(Ordering::Relaxed) > over => {}
            Err(_) => return Err(ProbeFailure::Timeout(TimeoutPhase::Statement)),
        }
    }
}

/// When a reading was evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluated {
    began: Timestamp,
    round_trip: Duration,
}

impl Evaluated {
    pub(crate) fn answer(self, facts: ServerFacts) -> WatchAnswer {
        WatchAnswer {
            began: self.began,
            round_trip: self.round_trip,
            facts,
        }
    }
}

/// The latest instant at which the server had certainly not begun to evaluate what follows its
/// pause.
///
/// The server cannot have begun before the statement was sent. It slept afterwards, by its own
/// clock; a percent is taken off for the difference of the clocks. When the end of the sleep is
/// known to have come sooner than that (a step of its clock, or somebody interrupted it), only the
/// first is certain. The arrival of the sleep's own row is *not* such an instant: it may have been
/// delayed while the rest was evaluated.
fn began(sent: Timestamp, pause: Duration, woke: Timestamp) -> Timestamp {
    let trusted = pause * PAUSE_TRUST_PERCENT / 100;
    if woke.since(sent) >= trusted {
        sent.plus(trusted)
    } else {
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_never_dated_later_than_it_was_evaluated() {
        let sent = Timestamp::from_millis(5_000);
        let pause = Duration::from_secs(1);
        assert_eq!(
            began(sent, pause, Timestamp::from_millis(6_001)),
            Timestamp::from_millis(5_990)
        );
        assert_eq!(
            began(sent, pause, Timestamp::from_millis(9_000)),
            Timestamp::from_millis(5_990)
        );
        assert_eq!(
            began(sent, pause, Timestamp::from_millis(5_400)),
            sent,
            "an interrupted sleep counts for nothing"
        );
        assert_eq!(began(sent, pause, Timestamp::from_millis(0)), sent);
    }
}
