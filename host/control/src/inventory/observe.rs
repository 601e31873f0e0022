//! Watching one server: one persistent session, one reading per poll interval, and the end of the
//! session noticed at once.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::ProbeFailure;
use baton_core::time::Timestamp;
use baton_ports::{Clock, Servers, Watch};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::Registry;
use crate::counters::Counters;

/// Time after which a server that only a neighbour named, and that never answered, is dropped.
const UNCONFIRMED_LIMIT: Duration = Duration::from_secs(120);
/// Pause before the second attempt after a loss. The first follows at once: it tells a refusal from
/// a silence.
const SECOND_ATTEMPT: Duration = Duration::from_millis(100);

/// Between two attempts to reach a server whose host refuses.
const REFUSED_AGAIN: Duration = Duration::from_millis(100);
/// The same for a primary that was replaced. It may come back writable, and a replica that comes
/// back with it acknowledges to it.
const REPLACED_AGAIN: Duration = Duration::from_millis(20);

/// What all watchers share.
pub(crate) struct Observer {
    pub(crate) registry: Arc<Registry>,
    pub(crate) servers: Arc<dyn Servers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    /// Sessions being opened to servers that answered before.
    pub(crate) healthy: Semaphore,
    /// Sessions being opened to servers that do not answer: a budget of their own, so that they
    /// never delay the others.
    pub(crate) silent: Semaphore,
}

impl Observer {
    /// Watches a server until it is forgotten. Cancel-safe: nothing is lost but the session.
    pub(crate) async fn watch(self: Arc<Self>, id: ServerId) {
        let Some(stop) = self
            .registry
            .latest()
            .servers
            .get(&id)
            .map(|entry| Arc::clone(&entry.stop))
        else {
            return;
        };
        tokio::select! {
            biased;
            () = stop.notified() => {}
            () = self.watch_on(&id) => {}
        }
    }

    async fn watch_on(&self, id: &ServerId) {
        let mut failures: u32 = 0;
        let mut returned = None;
        let born = self.clock.now();
        self.resolve(id).await;
        loop {
            let opened = match returned.take() {
                Some(opened) => Some(opened),
                None => self.open(id, failures).await,
            };
            let refused = matches!(&opened, Some(Err(ProbeFailure::Refused)));
            match opened {
                Some(Ok(session)) => {
                    if self.read_on(id, session).await {
                        failures = 0;
                    } else {
                        failures = failures.saturating_add(1);
                    }
                }
                Some(Err(failure)) => {
                    self.note_failure(id, failure);
                    failures = failures.saturating_add(1);
                }
                None => return,
            }
            if self.is_unconfirmed_for_long(id, born) {
                self.registry.forget(id, self.clock.now());
                return;
            }
            match failures {
                0 => {}
                1 => sleep(SECOND_ATTEMPT).await,
                _ if refused => returned = self.await_return(id, failures).await,
                _ => sleep(self.pause(id)).await,
            }
        }
    }

    /// Waits for a pause, or until the host does not refuse any more. A refusal costs next to
    /// nothing. A primary that returns writable has to be closed before a replica acknowledges to
    /// it. With one attempt a second, such a primary told its clients OK for 212 rows.
    async fn await_return(
        &self,
        id: &ServerId,
        failures: u32,
    ) -> Option<Result<Box<dyn Watch>, ProbeFailure>> {
        let began = self.clock.now();
        let pause = self.pause(id);
        loop {
            let again = if self.registry.was_replaced(id) {
                REPLACED_AGAIN
            } else {
                REFUSED_AGAIN
            };
            let left = pause.saturating_sub(self.clock.now().since(began));
            sleep(left.min(again)).await;
            if left <= again {
                return None;
            }
            match self.open(id, failures).await {
                Some(Err(ProbeFailure::Refused)) => {}
                opened => return opened,
            }
        }
    }

    /// Another name of a server that is watched already needs no watcher of its own.
    async fn resolve(&self, id: &ServerId) {
        let Some(address) = self.registry.address(id) else {
            return;
        };
        let literals = if address.host.parse::<IpAddr>().is_ok() {
            vec![address.host]
        } else {
            self.servers.resolve(&address.host).await
        };
        self.registry.resolved(id, literals);
    }

    /// `None`: the server is forgotten.
    async fn open(
        &self,
        id: &ServerId,
        failures: u32,
    ) -> Option<Result<Box<dyn Watch>, ProbeFailure>> {
        let address = self.registry.address(id)?;
        let budget = if failures == 0 {
            &self.healthy
        } else {
            &self.silent
        };
        // The semaphores are never closed.
        let _permit = budget.acquire().await.ok()?;
        Some(
            self.servers
                .watch(&address, self.registry.settings.connect_limit)
                .await,
        )
    }

    /// Reads until the session fails; true if at least one reading was answered.
    async fn read_on(&self, id: &ServerId, mut session: Box<dyn Watch>) -> bool {
        let limit = self.registry.settings.read_limit;
        let mut pause = Duration::ZERO;
        let mut answered = false;
        loop {
            match session.read(pause, limit).await {
                Ok(answer) => {
                    answered = true;
                    self.counters.probes_answered.add();
                    self.registry
                        .answered(id, answer, self.clock.now(), self.clock.wall());
                }
                Err(failure) => {
                    self.note_failure(id, failure);
                    return answered;
                }
            }
            if self.registry.address(id).is_none() {
                return answered;
            }
            pause = self.pause(id);
        }
    }

    fn note_failure(&self, id: &ServerId, failure: ProbeFailure) {
        self.counters.probes_failed.add();
        tracing::debug!(server = %id, failure = failure.word(), "probe failed");
        self.registry
            .failed(id, failure, self.clock.now(), self.clock.wall());
    }

    fn is_unconfirmed_for_long(&self, id: &ServerId, born: Timestamp) -> bool {
        let inventory = self.registry.latest();
        inventory
            .servers
            .get(id)
            .is_some_and(|entry| entry.unconfirmed)
            && self.clock.now().since(born) > UNCONFIRMED_LIMIT
    }

    /// The poll interval, spread by up to a tenth so that readings of many servers do not meet. The
    /// spread follows from the server and the time, so that a simulated run repeats.
    fn pause(&self, id: &ServerId) -> Duration {
        let mut hasher = DefaultHasher::new();
        (id.as_str(), self.clock.now().micros()).hash(&mut hasher);
        let interval = self.registry.settings.poll_interval;
        let spread = u32::try_from(hasher.finish() % 100).unwrap_or(0);
        interval.saturating_sub(interval / 10) + interval / 1000 * spread
    }
}
