//! The right to act at all: a lease in the store, with an epoch, counted down by this node's own monotonic clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_core::time::Timestamp;
use baton_ports::{Claim, Clock, LeaseState, Store, StoreError};
use tokio::sync::watch;
use tokio::time::sleep;

/// Name of the one lease; leases are named so that a fleet can be divided later.
pub(crate) const LEASE: &str = "fleet";

/// Stands between the name of a node and the number of its start in the lease's holder: on a shared store two starts under one name are
/// two holders, so that two processes that were given the same name by mistake never both hold it.
const INCARNATION: char = '#';

/// Who holds a lease in the store: the node itself if the store is its own, else this start of it.
pub(crate) fn holder(node: &NodeName, start: &str, shared: bool) -> NodeName {
    if shared {
        NodeName::new(format!("{node}{INCARNATION}{start}"))
    } else {
        node.clone()
    }
}

/// The node's name without the number of its start.
fn plain(holder: &NodeName) -> NodeName {
    let text = holder.as_str();
    NodeName::new(text.split_once(INCARNATION).map_or(text, |(name, _)| name))
}

/// What is known of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: LeaseEpoch,
    /// Nothing may be done under it after this instant. Counted from *before* the renewal was sent.
    pub(crate) until: Timestamp,
}

/// Keeps the lease.
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    holder: NodeName,
    ttl: Duration,
    highest: Mutex<LeaseEpoch>,
    held: watch::Sender<Option<Held>>,
    other: Mutex<Option<NodeName>>,
    problem: Mutex<Option<String>>,
}

impl Keeper {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        holder: NodeName,
        ttl: Duration,
    ) -> Self {
        let held = watch::Sender::new(None);
        Self {
            store,
            clock,
            holder,
            ttl,
            highest: Mutex::default(),
            held,
            other: Mutex::new(None),
            problem: Mutex::new(None),
        }
    }

    /// Changes of hands.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Held>> {
        self.held.subscribe()
    }

    /// The epoch, if the lease is held and outlives `needed` from now.
    pub(crate) fn epoch_for(&self, needed: Duration) -> Option<LeaseEpoch> {
        let now = self.clock.now();
        self.held
            .borrow()
            .as_ref()
            .filter(|held| held.until > now.plus(needed))
            .map(|held| held.epoch)
    }

    /// The present holder, as far as known.
    pub(crate) fn leader(&self) -> Option<NodeName> {
        if self.epoch_for(Duration::ZERO).is_some() {
            return Some(plain(&self.holder));
        }
        self.other
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Why the store did not answer the last time.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes and renews the lease for ever. Dropping the future keeps what is held until it runs out.
    pub(crate) async fn keep(&self) {
        // What another holder's row looked like, and since when it has not changed.
        let mut seen: Option<(LeaseState, Timestamp)> = None;
        loop {
            let before = self.clock.now();
            let outcome = self.attempt(&mut seen, before).await;
            self.note(outcome, before);
            self.drop_if_over();
            sleep(self.ttl / 5).await;
        }
    }

    async fn attempt(
        &self,
        seen: &mut Option<(LeaseState, Timestamp)>,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let held = self.held.borrow().clone();
        if let Some(held) = held {
            return self
                .store
                .renew_lease(LEASE, &self.holder, held.epoch)
                .await;
        }
        // A foreign lease is taken only after its row has not changed for longer than its holder may act on it.
        let margin = self.ttl / 4;
        let expected = seen
            .as_ref()
            .filter(|(state, since)| now.since(*since) > state.ttl.saturating_add(margin))
            .map(|(state, _)| (state.epoch, state.renewals));
        let highest = *self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = self
            .store
            .claim_lease(LEASE, &self.holder, self.ttl, expected, highest)
            .await?;
        match &claim {
            Claim::Held(_) => *seen = None,
            Claim::Other(state) => {
                if seen.as_ref().is_none_or(|(old, _)| old != state) {
                    *seen = Some((state.clone(), now));
                }
            }
        }
        Ok(claim)
    }

    fn note(&self, outcome: Result<Claim, StoreError>, before: Timestamp) {
        if let Ok(Claim::Held(state) | Claim::Other(state)) = &outcome {
            let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
            *highest = (*highest).max(state.epoch);
        }
        let problem = outcome.as_ref().err().map(describe);
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        match outcome {
            Ok(Claim::Held(state)) => {
                let new = Held {
                    epoch: state.epoch,
                    until: before.plus(self.ttl),
                };
                self.held.send_if_modified(|held| {
                    let changed_hands = held.as_ref().map(|h| h.epoch) != Some(new.epoch);
                    if changed_hands {
                        tracing::info!(lease_epoch = new.epoch.0, "lease taken");
                    }
                    *held = Some(new.clone());
                    changed_hands
                });
            }
            Ok(Claim::Other(state)) => {
                self.lose("lease is held by another node");
                *self.other.lock().unwrap_or_else(PoisonError::into_inner) =
                    state.holder.as_ref().map(plain);
            }
            // What is held stays held until it runs out by this clock.
            Err(error) => tracing::warn!(error = describe(&error), "lease not renewed"),
        }
    }

    fn drop_if_over(&self) {
        let over = self
            .held
            .borrow()
            .as_ref()
            .is_some_and(|held| held.until <= self.clock.now());
        if over {
            self.lose("lease ran out");
        }
    }

    fn lose(&self, why: &'static str) {
        self.held.send_if_modified(|held| {
            let had = held.take().is_some();
            if had {
                tracing::warn!(reason = why, "lease lost");
            }
            had
        });
    }

    /// Gives the lease up, so that another node need not wait.
    pub(crate) async fn release(&self) {
        let held = self.held.borrow().clone();
        self.lose("clean stop");
        if let Some(held) = held
            && let Err(error) = self
                .store
                .release_lease(LEASE, &self.holder, held.epoch)
                .await
        {
            tracing::warn!(error = describe(&error), "lease not released");
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn describe(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
