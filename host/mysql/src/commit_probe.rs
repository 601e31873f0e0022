//! A tiny write that must really commit: tells a server that answers from one that is of use.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use baton_core::ids::Address;
use baton_core::model::{CommitProbe, ServerFacts};
use baton_core::time::Timestamp;
use mysql_async::Error;
use tokio::task::JoinSet;

use crate::servers::Access;
use crate::session::Session;
use crate::settings::CommitProbeSettings;

/// Tries commits beside the readings, on a session of its own: a stalled commit must not look like
/// a hung server.
///
/// Dropping it ends the attempt under way.
pub(crate) struct CommitProber {
    access: Access,
    address: Address,
    settings: CommitProbeSettings,
    begun: Option<Timestamp>,
    shared: Arc<Shared>,
    attempts: JoinSet<()>,
}

struct Shared {
    last: Mutex<CommitProbe>,
    session: tokio::sync::Mutex<Option<Session>>,
}

impl fmt::Debug for CommitProber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitProber")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl CommitProber {
    pub(crate) fn new(access: Access, address: Address, settings: CommitProbeSettings) -> Self {
        let shared = Arc::new(Shared {
            last: Mutex::new(CommitProbe::NotTried),
            session: tokio::sync::Mutex::new(None),
        });
        Self {
            access,
            address,
            settings,
            begun: None,
            shared,
            attempts: JoinSet::new(),
        }
    }

    /// The last outcome, or that one is overdue.
    pub(crate) fn state(&mut self) -> CommitProbe {
        while self.attempts.try_join_next().is_some() {}
        if let (Some(begun), false) = (self.begun, self.attempts.is_empty()) {
            let waited = self.access.clock.now().since(begun);
            if waited >= self.settings.limit {
                return CommitProbe::Stalled { waited };
            }
        }
        self.shared
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Begins an attempt if it is time and the server is one that should take writes.
    pub(crate) fn consider(&mut self, facts: &ServerFacts) {
        if facts.read_only || !facts.channels.is_empty() {
            // What was seen when it was a primary says nothing about it now.
            if self.attempts.is_empty() {
                *self
                    .shared
                    .last
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = CommitProbe::NotTried;
            }
            return;
        }
        let now = self.access.clock.now();
        let due = self
            .begun
            .is_none_or(|at| now.since(at) >= self.settings.interval);
        if due && self.attempts.is_empty() {
            self.begun = Some(now);
            let (access, address) = (self.access.clone(), self.address.clone());
            let (shared, settings) = (Arc::clone(&self.shared), self.settings.clone());
            self.attempts
                .spawn(async move { attempt(&access, &address, &settings, &shared).await });
        }
    }
}

async fn attempt(
    access: &Access,
    address: &Address,
    settings: &CommitProbeSettings,
    shared: &Shared,
) {
    let mut kept = shared.session.lock().await;
    let session = match kept.take() {
        Some(session) => Ok(session),
        None => access.open(address, settings.limit).await,
    };
    // That the server cannot be reached is the watch's finding, not this one's.
    let Ok(mut session) = session else { return };
    let begun = access.clock.now();
    // No limit: a commit that stalls stays begun, and is seen as such, until it ends or the server
    // does.
    let outcome = session.send(&settings.statement, || {}).await;
    let probe = match outcome.error {
        None => CommitProbe::Committed {
            took: access.clock.now().since(begun),
        },
        Some(Error::Server(error)) => CommitProbe::Refused { number: error.code },
        // The session is gone; the next attempt opens another.
        Some(Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Url(_)) => return,
    };
    *kept = Some(session);
    *shared.last.lock().unwrap_or_else(PoisonError::into_inner) = probe;
}
