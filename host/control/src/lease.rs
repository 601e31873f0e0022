//! The right to act at all: a lease in the store, with an epoch, counted down by this node's own monotonic clock; and what stands
//! in for it while the store is away.

mod bid;
mod far;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_core::time::Timestamp;
use baton_ports::{Claim, Clock, LeaseState, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use self::far::Far;
use crate::locking::lock;
use crate::peers::{Life, PeerTable};

/// Name of the one lease; leases are named so that a fleet can be divided later.
pub const LEASE: &str = "fleet";

/// Stands between the name of a node and the number of its start in the lease's holder: two starts under one name are two holders.
const INCARNATION: char = '#';

/// Under what this node acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// The lease.
    Lease {
        /// Nothing may be done under it after this instant. Counted from *before* the renewal was sent.
        until: Timestamp,
        /// It is half a vote only from then on: before, the holder it was taken from may still count it.
        counts_from: Timestamp,
    },
    /// The store is away, and no node is known to act. What may be done is decided by the clusters' own votes alone.
    StandIn {
        /// The lease was held under this epoch, so that its row can be renewed when the store is back.
        renews: bool,
    },
}

/// For how much of its time a lease is half a vote. The rest lets its holder outlive a stall of the store; only this part is what a
/// successor has to wait for before the lease, taken early, is half a vote in its hands. Two renewals come in it.
pub fn vote_term(ttl: Duration) -> Duration {
    ttl / 2
}

/// How long a node that gave the lease up on request leaves it to the others.
const REST: Duration = Duration::from_secs(10);

/// What is known of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: LeaseEpoch,
    pub(crate) tenure: Tenure,
}

impl Held {
    /// Its epoch was chosen by the node itself, and another one may have chosen the same.
    fn is_self_appointed(&self) -> bool {
        self.tenure == Tenure::StandIn { renews: false }
    }

    fn lasts(&self, until: Timestamp) -> bool {
        match self.tenure {
            Tenure::Lease { until: end, .. } => end > until,
            Tenure::StandIn { renews: _ } => true,
        }
    }
}

/// The lease of this node as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Its epoch.
    pub epoch: LeaseEpoch,
    /// Under which name this start of this node holds it.
    pub holder: NodeName,
    /// Its time to live.
    pub ttl: Duration,
}

/// How the lease is kept.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSettings {
    pub(crate) node: NodeName,
    pub(crate) ttl: Duration,
    /// Guard period of verified steps: what a gained lease waits before it counts.
    pub(crate) guard: Duration,
    /// Several nodes share the store; false where it is this node's own, which nobody else can open.
    pub(crate) shared: bool,
    /// Act without the store, by the clusters' votes.
    pub(crate) stand_in: bool,
}

/// Keeps the lease.
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    peers: Arc<PeerTable>,
    settings: LeaseSettings,
    /// `name#start`: the holder in the store.
    holder: NodeName,
    held: watch::Sender<Option<Held>>,
    other: Mutex<Option<Holder>>,
    /// Whether the holder lives though it is not heard.
    far: Mutex<Far>,
    highest: Mutex<LeaseEpoch>,
    problem: Mutex<Option<String>>,
    /// Why this process must not act at all.
    barred: Mutex<Option<String>>,
    /// Whether this process has run all the time.
    pulse: Mutex<Pulse>,
    /// When the store answered again the last time after it had been out of reach.
    returned: Mutex<Option<Timestamp>>,
    /// A recovery runs: what it acts under must not change hands for convenience.
    busy: watch::Sender<u32>,
    /// An operator wants this node to lead, or not to.
    wish: Mutex<Option<Wish>>,
    wished: Notify,
}

/// An operator's word about leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Take the lease now.
    Lead,
    /// Give it up, and do not bid before then.
    Rest(Timestamp),
}

/// Whether this process has run all the time. One that was frozen wakes up with a lease that somebody else may have by now.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    at: Timestamp,
    /// Since when it is not known who acts.
    doubt: Option<Timestamp>,
    /// When it was seen the last time that this process had not run.
    woken: Option<Timestamp>,
}

/// Counts as busy until dropped.
pub(crate) struct Busy {
    count: watch::Sender<u32>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.count
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Keeper {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        peers: Arc<PeerTable>,
        settings: LeaseSettings,
        start: &str,
    ) -> Self {
        // An own store has one holder at a time: what an earlier process of this node held, this one need not wait for.
        let holder = if settings.shared {
            NodeName::new(format!("{}{INCARNATION}{start}", settings.node))
        } else {
            settings.node.clone()
        };
        let pulse = Pulse {
            at: clock.now(),
            doubt: None,
            woken: None,
        };
        Self {
            store,
            clock,
            peers,
            settings,
            holder,
            held: watch::Sender::new(None),
            other: Mutex::new(None),
            far: Mutex::default(),
            highest: Mutex::new(LeaseEpoch::default()),
            problem: Mutex::new(None),
            barred: Mutex::new(None),
            pulse: Mutex::new(pulse),
            returned: Mutex::new(None),
            busy: watch::Sender::new(0),
            wish: Mutex::new(None),
            wished: Notify::new(),
        }
    }

    /// Changes of hands.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Held>> {
        self.held.subscribe()
    }

    /// The epoch, if this node may act for `needed` from now as far as the lease goes.
    pub(crate) fn epoch_for(&self, needed: Duration) -> Option<LeaseEpoch> {
        let now = self.clock.now();
        let held = self.held.borrow();
        held.as_ref()
            .filter(|held| held.lasts(now.plus(needed)) && !self.is_in_doubt(now))
            .map(|held| held.epoch)
    }

    /// True if the lease is half a vote now, and outlives `needed`.
    pub(crate) fn is_half_a_vote(&self, needed: Duration) -> bool {
        let now = self.clock.now();
        if self.is_in_doubt(now) {
            return false;
        }
        match self.held.borrow().as_ref().map(|held| held.tenure) {
            Some(Tenure::Lease { until, counts_from }) => {
                let ttl = self.settings.ttl;
                let unvoting = ttl.saturating_sub(vote_term(ttl));
                counts_from <= now && until > now.plus(needed).plus(unvoting)
            }
            Some(Tenure::StandIn { renews: _ }) | None => false,
        }
    }

    /// Waits until it is known again who acts, if this process did not run for a while: what it holds may have outlived that.
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn settle(&self) {
        while self.held.borrow().is_some() && self.is_in_doubt(self.clock.now()) {
            sleep(bid::HURRY).await;
        }
    }

    /// True if this process did not run for a while and has not asked since.
    fn is_in_doubt(&self, now: Timestamp) -> bool {
        let pulse = *lock(&self.pulse);
        pulse.doubt.is_some() || now.since(pulse.at) > bid::FROZEN
    }

    /// True if this process did not run for a while after `since`.
    pub(crate) fn was_frozen_since(&self, since: Timestamp) -> bool {
        let woken = lock(&self.pulse).woken;
        woken.is_some_and(|at| at >= since) || self.is_in_doubt(self.clock.now())
    }

    /// True while this node acts without the store.
    pub(crate) fn stands_in(&self) -> bool {
        let held = self.held.borrow();
        held.as_ref()
            .is_some_and(|held| matches!(held.tenure, Tenure::StandIn { renews: _ }))
    }

    /// True while this node acts under an epoch that the store did not grant.
    pub(crate) fn is_self_appointed(&self) -> bool {
        let held = self.held.borrow();
        held.as_ref().is_some_and(Held::is_self_appointed)
    }

    /// The present holder, as far as known.
    pub(crate) fn leader(&self) -> Option<NodeName> {
        if self.epoch_for(Duration::ZERO).is_some() {
            return Some(self.settings.node.clone());
        }
        let other = lock(&self.other).clone();
        other.map(|other| other.name).or_else(|| self.peers.actor())
    }

    /// The highest epoch ever seen.
    pub(crate) fn highest(&self) -> LeaseEpoch {
        *lock(&self.highest)
    }

    /// Why the store did not answer the last time.
    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Why this process must not act at all, if it must not.
    pub(crate) fn barred(&self) -> Option<String> {
        lock(&self.barred).clone()
    }

    /// From now on this process does not act; a lease that it holds is given up.
    pub(crate) async fn bar(&self, why: String) {
        let was_barred = {
            let mut barred = lock(&self.barred);
            let was_barred = barred.is_some();
            if !was_barred {
                tracing::error!(why, "this process does not act");
            }
            *barred = Some(why);
            was_barred
        };
        let holds = self.held.borrow().is_some();
        if !was_barred || holds {
            self.release().await;
        }
    }

    /// Ends what [`Self::bar`] began.
    pub(crate) fn unbar(&self) {
        if lock(&self.barred).take().is_some() {
            tracing::info!("this process may act again");
        }
    }

    /// Marks that a recovery runs, until the mark is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.busy
            .send_modify(|count| *count = count.saturating_add(1));
        Busy {
            count: self.busy.clone(),
        }
    }

    /// Bids for the lease whoever holds it. It is half a vote only when the old holder cannot count it any more.
    pub(crate) fn grab(&self) {
        *lock(&self.wish) = Some(Wish::Lead);
        self.wished.notify_one();
    }

    /// The store refused something under the epoch of this node: asks it at once who holds the lease, rather than at the next renewal.
    pub(crate) fn ask_again(&self) {
        self.wished.notify_one();
    }

    /// Ends the bidding that [`Self::grab`] began: the lease is held, or it takes too long.
    pub(crate) fn give_up_grabbing(&self) {
        lock(&self.wish).take_if(|wish| *wish == Wish::Lead);
    }

    /// Gives the lease up and lets others bid first.
    pub(crate) async fn stand_down(&self) {
        let rest = self.settings.ttl.saturating_mul(2).min(REST);
        *lock(&self.wish) = Some(Wish::Rest(self.clock.now().plus(rest)));
        self.release().await;
    }

    /// Of an epoch that was ever used, nothing is done under an earlier one.
    pub(crate) fn see_epoch(&self, epoch: LeaseEpoch) {
        let mut highest = lock(&self.highest);
        *highest = (*highest).max(epoch);
    }

    /// Takes the outcome of a bid or a renewal in. `taken_early`: the holder's own time may not be over yet.
    fn note(&self, outcome: Result<Claim, StoreError>, before: Timestamp, taken_early: Duration) {
        let told = outcome.as_ref().err().map(StoreError::with_causes);
        let was_away = std::mem::replace(&mut *lock(&self.problem), told).is_some();
        if let Ok(Claim::Held(state) | Claim::Other(state)) = &outcome {
            let silent_since = self.silent_since(state);
            lock(&self.far).note(before, state, silent_since);
        }
        match outcome {
            Ok(Claim::Held(state)) => self.hold(&state, before, taken_early),
            Ok(Claim::Other(state)) => {
                self.see_epoch(state.epoch);
                if !self.outranks(&state) {
                    self.lose("lease is held by another node");
                    *lock(&self.other) = state.holder.as_ref().map(Holder::of);
                }
            }
            // What is held stays held until it runs out by this clock.
            Err(error) if was_away => {
                tracing::debug!(error = error.with_causes(), "lease still not renewed");
            }
            Err(error) => tracing::warn!(error = error.with_causes(), "lease not renewed"),
        }
    }

    /// Since when the holder of a row is not heard, if it is not.
    fn silent_since(&self, row: &LeaseState) -> Option<Timestamp> {
        let holder = row
            .holder
            .as_ref()
            .filter(|holder| **holder != self.holder)?;
        match self.peers.life(&Holder::of(holder)) {
            Life::Silent(since) => Some(since),
            Life::Living | Life::Unknown | Life::Gone(_) | Life::Replaced(_) => None,
        }
    }

    /// The row of a dead holder does not end what stands in for it under a later epoch: the next bid replaces the row. Nor does an
    /// answer to a renewal that was sent before the lease was moved: the row is this node's.
    fn outranks(&self, row: &LeaseState) -> bool {
        let held = self.held.borrow();
        held.as_ref().is_some_and(|held| {
            let is_ours = held.epoch == row.epoch && row.holder.as_ref() == Some(&self.holder);
            is_ours || held.is_self_appointed() && held.epoch > row.epoch
        })
    }

    /// The lease as the store knows it, if this node holds it there.
    pub(crate) fn in_store(&self) -> Option<HeldLease> {
        let held = self.held.borrow().clone()?;
        let epoch = match held.tenure {
            Tenure::Lease { until, .. } if until > self.clock.now() => Some(held.epoch),
            Tenure::Lease { .. } | Tenure::StandIn { renews: _ } => None,
        };
        Some(HeldLease {
            epoch: epoch?,
            holder: self.holder.clone(),
            ttl: self.settings.ttl,
        })
    }

    /// The whole store was moved, and this node's lease with it, after `before`. False if the row there is somebody else's.
    pub(crate) fn moved(&self, state: &LeaseState, before: Timestamp) -> bool {
        let is_ours = state.holder.as_ref() == Some(&self.holder);
        if is_ours {
            self.hold(state, before, Duration::ZERO);
        }
        is_ours
    }

    fn hold(&self, state: &LeaseState, before: Timestamp, taken_early: Duration) {
        self.see_epoch(state.epoch);
        self.give_up_grabbing();
        let until = before.plus(self.settings.ttl);
        self.held.send_if_modified(|held| {
            let counted = match held.as_ref().map(|held| (held.epoch, held.tenure)) {
                Some((epoch, Tenure::Lease { counts_from, .. })) if epoch == state.epoch => {
                    Some(counts_from)
                }
                _ => None,
            };
            let counts_from = counted
                .unwrap_or_else(|| self.clock.now().plus(self.settings.guard.max(taken_early)));
            let new = Held {
                epoch: state.epoch,
                tenure: Tenure::Lease { until, counts_from },
            };
            let changed_hands = counted.is_none();
            if changed_hands {
                tracing::info!(lease_epoch = new.epoch.0, "lease taken");
            }
            *held = Some(new);
            changed_hands
        });
        *lock(&self.other) = None;
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
        if let Some(Held {
            epoch,
            tenure: Tenure::Lease { .. },
        }) = held
            && let Err(error) = self.store.release_lease(LEASE, &self.holder, epoch).await
        {
            tracing::warn!(error = error.with_causes(), "lease not released");
        }
    }
}

/// Who holds the lease: a start of a node, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: NodeName,
    pub(crate) start: Option<String>,
}

impl Holder {
    fn of(holder: &NodeName) -> Self {
        let text = holder.as_str();
        match text.split_once(INCARNATION) {
            Some((name, start)) => Self {
                name: NodeName::new(name),
                start: Some(start.to_owned()),
            },
            None => Self {
                name: holder.clone(),
                start: None,
            },
        }
    }
}
