//! Standing sessions that hold a cluster's advisory lock on its servers. Every change goes through
//! one of them, never through a pool. The lock ends with the session, so the holder of the lock
//! knows that no statement of an earlier holder still runs there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::{ClusterId, ServerId};
use baton_core::model::ProbeFailure;
use baton_core::time::Timestamp;
use baton_ports::{Clock, LockState, Servers, Session, StatementError, WatchAnswer};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::clusters::prepared_fence::PreparedFence;
use crate::inventory::Registry;
use crate::leadership::LeaseKeeper;
use crate::locking::lock;

/// How often a standing session is pinged, so that its `wait_timeout` of some ten seconds does not
/// end it.
const PING: Duration = Duration::from_secs(3);

/// How long a lock that another session holds is waited for, and the pause between two tries.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Pause before the next try: after a lock that was not released, and after a server that did not
/// answer.
const LOCK_RETRY: Duration = Duration::from_millis(100);
const OPEN_RETRY: Duration = Duration::from_secs(1);
/// How long the holder may take to release the lock before its connection is killed.
const EVICT_AFTER: Duration = Duration::from_millis(100);
/// A lock's holder is killed at most this often, so that two nodes that cannot reach each other do
/// not kill each other's sessions without end.
const EVICT_EVERY: Duration = Duration::from_secs(2);

type Slot = Arc<AsyncMutex<Option<Session>>>;

/// Sessions of one cluster.
pub(crate) struct Sessions {
    registry: Arc<Registry>,
    servers: Arc<dyn Servers>,
    lease: Arc<LeaseKeeper>,
    clock: Arc<dyn Clock>,
    lock_name: String,
    prepared_fence: PreparedFence,
    slots: Mutex<BTreeMap<ServerId, Slot>>,
    /// When each lock was gained, and when a holder was last sent away.
    gained: Mutex<BTreeMap<ServerId, Timestamp>>,
    evicted: Mutex<BTreeMap<ServerId, Timestamp>>,
}

/// Why there is no session with the lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSession {
    #[error("no session to {server} ({})", failure.word())]
    Unreachable {
        server: ServerId,
        failure: ProbeFailure,
    },
    #[error(
        "the lock of the cluster on {server} is held by connection {connection}: another node acts"
    )]
    Locked { server: ServerId, connection: u64 },
    #[error("{server} is not known any more")]
    Forgotten { server: ServerId },
}

impl Sessions {
    pub(crate) fn new(
        registry: Arc<Registry>,
        servers: Arc<dyn Servers>,
        (lease, clock): (Arc<LeaseKeeper>, Arc<dyn Clock>),
        cluster: &ClusterId,
    ) -> Self {
        let lock_name = format!("baton:{cluster}");
        let prepared_fence = PreparedFence::new(cluster.clone(), lock_name.clone());
        Self {
            prepared_fence,
            registry,
            servers,
            lease,
            clock,
            lock_name,
            slots: Mutex::default(),
            gained: Mutex::default(),
            evicted: Mutex::default(),
        }
    }

    /// When the lock on a server was gained by the present session.
    pub(crate) fn gained(&self, server: &ServerId) -> Option<Timestamp> {
        lock(&self.gained).get(server).copied()
    }

    /// True if a session with the lock is open, or is in use.
    pub(crate) fn holds(&self, server: &ServerId) -> bool {
        let slot = lock(&self.slots).get(server).cloned();
        slot.is_some_and(|slot| match slot.try_lock() {
            Ok(guard) => guard.is_some(),
            Err(_) => self.gained(server).is_some(),
        })
    }

    fn slot(&self, server: &ServerId) -> Slot {
        let mut slots = lock(&self.slots);
        Arc::clone(slots.entry(server.clone()).or_default())
    }

    /// Ends all sessions, which frees the locks.
    pub(crate) fn close(&self) {
        self.prepared_fence.close();
        lock(&self.slots).clear();
        lock(&self.gained).clear();
    }

    async fn open(&self, server: &ServerId, limit: Duration) -> Result<Session, NoSession> {
        let forgotten = || NoSession::Forgotten {
            server: server.clone(),
        };
        let unreachable = |failure| NoSession::Unreachable {
            server: server.clone(),
            failure,
        };
        let address = self.registry.address(server).ok_or_else(forgotten)?;
        let mut session = self
            .servers
            .act(&address, &self.lock_name, limit)
            .await
            .map_err(unreachable)?;
        self.take(server, &mut session, limit).await?;
        lock(&self.gained).insert(server.clone(), self.clock.now());
        Ok(session)
    }

    /// Takes the lock. The holder may be about to end: the session of a process that was killed a
    /// moment ago. A holder that stays while this node leads is of an earlier term, or this node's
    /// own session from before a network failure that the server has not noticed. Its connection is
    /// killed.
    async fn take(
        &self,
        server: &ServerId,
        session: &mut Session,
        limit: Duration,
    ) -> Result<(), NoSession> {
        let unreachable = |failure| NoSession::Unreachable {
            server: server.clone(),
            failure,
        };
        let mut waited = Duration::ZERO;
        loop {
            let state = session.take_lock(limit).await.map_err(unreachable)?;
            match state {
                LockState::Held => return Ok(()),
                LockState::HeldBy { connection }
                    if waited >= EVICT_AFTER && self.may_evict(server, limit) =>
                {
                    tracing::warn!(%server, connection, "the holder of the cluster's lock is sent away");
                    session
                        .evict(connection, limit)
                        .await
                        .map_err(unreachable)?;
                }
                LockState::HeldBy { .. } | LockState::Free
                    if waited < LOCK_PATIENCE.min(limit / 2) =>
                {
                    sleep(LOCK_PAUSE).await;
                    waited += LOCK_PAUSE;
                }
                LockState::HeldBy { connection } => {
                    return Err(NoSession::Locked {
                        server: server.clone(),
                        connection,
                    });
                }
                LockState::Free => {
                    return Err(unreachable(ProbeFailure::Other(
                        "the lock was not granted".to_owned(),
                    )));
                }
            }
        }
    }

    /// True if this node leads and did not evict a holder there a moment ago.
    fn may_evict(&self, server: &ServerId, limit: Duration) -> bool {
        let now = self.clock.now();
        let mut evicted = lock(&self.evicted);
        let lately = evicted
            .get(server)
            .is_some_and(|at| now.since(*at) < EVICT_EVERY);
        let may = self.lease.epoch_for(limit).is_some() && !lately;
        if may {
            evicted.insert(server.clone(), now);
        }
        may
    }

    /// Keeps a standing session to `server` until dropped: when this node stops leading, or the
    /// server is forgotten.
    pub(crate) async fn stand(&self, server: ServerId) {
        loop {
            let pause = self.stand_once(&server).await;
            if self.holds(&server) {
                let now = self.clock.now();
                let ports = (self.registry.as_ref(), self.servers.as_ref());
                self.prepared_fence.refresh(&server, ports, now).await;
            }
            sleep(pause).await;
        }
    }

    /// Pings the session, or opens one, unless it is in use. Holds the slot while it opens a
    /// session, so that a step that needs one waits for it and does not find the lock taken by its
    /// own node. Gives the pause until the next call.
    async fn stand_once(&self, server: &ServerId) -> Duration {
        let settings = &self.registry.settings;
        let slot = self.slot(server);
        let Ok(mut guard) = slot.try_lock() else {
            return PING;
        };
        if let Some(session) = guard.as_mut() {
            let state = session.verify_lock(settings.read_limit).await;
            if matches!(state, Ok(LockState::Held)) {
                return PING;
            }
            *guard = None;
        }
        match self.open(server, settings.connect_limit).await {
            Ok(session) => {
                *guard = Some(session);
                PING
            }
            Err(NoSession::Locked { .. }) => LOCK_RETRY,
            Err(NoSession::Unreachable { .. } | NoSession::Forgotten { .. }) => OPEN_RETRY,
        }
    }

    /// Sends the fence that is prepared for `server`; false if there is none.
    pub(crate) fn leave_fence(&self, server: &ServerId) -> bool {
        self.prepared_fence.leave(server)
    }

    /// Ends the session to a server that refuses connections, so that nothing uses it when the
    /// server is back.
    pub(crate) fn end(&self, server: &ServerId) {
        if let Ok(mut guard) = self.slot(server).try_lock() {
            *guard = None;
        }
    }

    /// Reads a server through its standing session, or a new one.
    pub(crate) async fn read(
        &self,
        server: &ServerId,
        limit: Duration,
    ) -> Result<WatchAnswer, ProbeFailure> {
        let slot = self.slot(server);
        if let Ok(mut guard) = slot.try_lock()
            && let Some(session) = guard.as_mut()
        {
            match session.read(limit).await {
                Err(failure) => {
                    *guard = None;
                    // A reset means that the server was restarted; it says nothing about the server
                    // now.
                    if !matches!(failure, ProbeFailure::Reset) {
                        return Err(failure);
                    }
                }
                answer => return answer,
            }
        }
        // Without a session at hand a plain reading session will do; reading needs no lock.
        let address = self.registry.address(server);
        let address = address.ok_or_else(|| ProbeFailure::Other("forgotten".to_owned()))?;
        let mut watch = self.servers.watch(&address, limit).await?;
        watch.read(Duration::ZERO, limit).await
    }

    /// Lends the session of `server` for exclusive use, opening one if there is none.
    pub(crate) async fn lend(&self, server: &ServerId, limit: Duration) -> Result<Lent, WorkError> {
        let slot = self.slot(server);
        let lending = async {
            let mut guard = slot.lock_owned().await;
            let session = match guard.take() {
                Some(session) => session,
                None => self.open(server, limit).await?,
            };
            Ok(Lent { guard, session })
        };
        let timed_out = || WorkError::NotOpened {
            server: server.clone(),
            limit,
        };
        timeout(limit, lending)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }
}

/// A session in exclusive use. Dropping it ends the session (its state may be unknown);
/// [`Lent::keep`] gives it back.
pub(crate) struct Lent {
    guard: OwnedMutexGuard<Option<Session>>,
    pub(crate) session: Session,
}

impl Lent {
    /// Gives the session back unless the error leaves its state unknown; then it ends here.
    pub(crate) fn keep_after<T>(self, outcome: &Result<T, WorkError>) {
        if outcome
            .as_ref()
            .err()
            .is_none_or(WorkError::leaves_session_usable)
        {
            self.keep();
        }
    }

    /// Gives the session back for further use.
    pub(crate) fn keep(mut self) {
        *self.guard = Some(self.session);
    }
}

/// Why work on a session failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    NoSession(#[from] NoSession),
    #[error("the session was lost ({})", .0.word())]
    Lost(ProbeFailure),
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error("the lock of the cluster is not held any more ({0:?})")]
    LockLost(LockState),
    #[error("{server} gave no answer within {limit:?}")]
    TimedOut { server: ServerId, limit: Duration },
    #[error("no session to {server} within {limit:?}")]
    NotOpened { server: ServerId, limit: Duration },
}

impl WorkError {
    /// True if the change may or may not have taken effect.
    pub(crate) fn outcome_unknown(&self) -> bool {
        match self {
            Self::Lost(_)
            | Self::TimedOut { .. }
            | Self::Statement(StatementError::OutcomeUnknown { .. }) => true,
            Self::NoSession(_)
            | Self::NotOpened { .. }
            | Self::LockLost(_)
            | Self::Statement(
                StatementError::Refused { .. }
                | StatementError::GuardFailed { .. }
                | StatementError::NotReached { .. },
            ) => false,
        }
    }

    /// True if the session can be used further after this error.
    fn leaves_session_usable(&self) -> bool {
        matches!(
            self,
            Self::Statement(
                StatementError::Refused { .. }
                    | StatementError::GuardFailed { .. }
                    | StatementError::NotReached { .. }
            )
        )
    }
}
