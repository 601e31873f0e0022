//! Detects that this process did not run for a while.

use std::time::Duration;

use crate::time::Timestamp;

/// A process that was not seen to run for longer than this may have been stopped: the other nodes
/// begin to replace it soon after.
const STALL_LIMIT: Duration = Duration::from_secs(1);
/// By then every peer that is alive has answered, or is known to be silent.
pub(super) const PEER_ANSWER_LIMIT: Duration = Duration::from_millis(1500);

/// Whether this process has run all the time. One that was stopped (SIGSTOP, a suspended virtual
/// machine) continues with a lease that another node may hold by now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StallDetector {
    last_run: Timestamp,
    /// Since when what is held is in doubt.
    doubt_since: Option<Timestamp>,
    /// When the last stall was noticed.
    noticed: Option<Timestamp>,
}

impl StallDetector {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            last_run: now,
            doubt_since: None,
            noticed: None,
        }
    }

    /// Records that the process runs. Gives the length of the pause if it was a stall: from then on
    /// what is held is in doubt.
    pub(super) fn note_run(&mut self, now: Timestamp) -> Option<Duration> {
        let missed = now.since(self.last_run);
        self.last_run = now;
        if missed <= STALL_LIMIT {
            return None;
        }
        self.doubt_since = Some(now);
        self.noticed = Some(now);
        Some(missed)
    }

    /// The store has answered a request that was sent at `sent_at`.
    pub(super) fn note_answer(&mut self, sent_at: Timestamp) {
        self.doubt_since.take_if(|since| sent_at >= *since);
    }

    /// The store is away, so only the peers can be asked. They have answered by now if the doubt is
    /// old enough.
    pub(super) fn note_store_away(&mut self, now: Timestamp) {
        self.doubt_since
            .take_if(|since| now.since(*since) > PEER_ANSWER_LIMIT);
    }

    /// True if the process stalled and has not asked since who leads.
    pub(super) fn is_in_doubt(&self, now: Timestamp) -> bool {
        self.doubt_since.is_some() || now.since(self.last_run) > STALL_LIMIT
    }

    /// True if the process stalled after `since`.
    pub(super) fn stalled_since(&self, since: Timestamp, now: Timestamp) -> bool {
        self.noticed.is_some_and(|at| at >= since) || self.is_in_doubt(now)
    }
}
