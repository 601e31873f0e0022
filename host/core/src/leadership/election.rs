//! The state machine of one node's leadership.

mod claim;
mod messages;
#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::lease::{Holder, LeaseState, vote_term};
use super::peers::{Liveness, Peer};
use super::remote_liveness::RemoteLiveness;
use super::stall::StallDetector;
use crate::ids::{LeaseEpoch, NodeName};
use crate::time::Timestamp;

pub use messages::{
    Answer, ElectionSettings, Event, Leading, Loss, Note, Order, Request, Role, Turn, View,
};

/// How long a request may stay without an answer before the store counts as away.
const STORE_ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// How long a node that steps down leaves the lease to the others, at most.
const STEP_DOWN_PAUSE: Duration = Duration::from_secs(10);
/// Time between two timer events.
const TICK: Duration = Duration::from_millis(100);
/// The same while this node may replace a leader that is gone.
pub const FAST_TICK: Duration = Duration::from_millis(20);

/// An operator's standing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    /// Claim the lease, whoever holds it.
    Lead,
    /// Make no claim before then.
    RestUntil(Timestamp),
}

/// A request without an answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct InFlight {
    sent_at: Timestamp,
    /// How long the holder that the lease is taken from may still count it as half a vote.
    counted_by_other: Duration,
    /// The lease was given up since: this node must not use what the request gains.
    given_up: bool,
}

/// Decides when this node claims, renews and gives up the lease, and when it leads without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Election {
    settings: ElectionSettings,
    role: Role,
    /// The leader, if it is another node.
    other: Option<Holder>,
    /// The row when it was last somebody else's, and since when it has not changed.
    foreign_row: Option<(LeaseState, Timestamp)>,
    remote: RemoteLiveness,
    /// The highest epoch ever seen.
    highest: LeaseEpoch,
    /// Why this process must not act at all.
    barred: Option<String>,
    stall: StallDetector,
    standing: Option<Standing>,
    in_flight: Option<InFlight>,
    /// When the next request is due.
    due: Timestamp,
    /// Since when the store does not answer: when the first request was sent that failed.
    failing_since: Option<Timestamp>,
    /// When the store answered again after it was away.
    store_returned: Option<Timestamp>,
}

impl Election {
    /// A follower that knows nothing yet; the first event is [`Event::Started`].
    pub fn new(settings: ElectionSettings, now: Timestamp) -> Self {
        Self {
            settings,
            role: Role::Follower,
            other: None,
            foreign_row: None,
            remote: RemoteLiveness::default(),
            highest: LeaseEpoch::default(),
            barred: None,
            stall: StallDetector::new(now),
            standing: None,
            in_flight: None,
            due: now,
            failing_since: None,
            store_returned: None,
        }
    }

    /// Handles an event.
    pub fn advance(&mut self, view: &View<'_>, event: Event) -> Turn {
        let mut turn = Turn::default();
        match event {
            Event::Started => {}
            Event::Answered(answer) => self.handle_answer(view, answer, &mut turn),
            Event::PeersChanged => {
                // No peer leads: the lease may have been given up.
                if self.role == Role::Follower && view.peers.leader().is_none() {
                    self.due = view.now;
                }
                self.watch(view, &mut turn);
            }
            Event::Timer => self.watch(view, &mut turn),
            Event::Ordered(order) => {
                self.obey(view.now, order, &mut turn);
                return turn;
            }
        }
        turn.request = self.request(view);
        turn.wake_after = if self.may_replace_leader(view) {
            FAST_TICK
        } else {
            TICK
        };
        turn
    }

    fn obey(&mut self, now: Timestamp, order: Order, turn: &mut Turn) {
        match order {
            Order::Lead => {
                self.standing = Some(Standing::Lead);
                self.due = now;
            }
            Order::WithdrawLead => self.withdraw_lead(),
            Order::StepDown => {
                let pause = self.settings.ttl.saturating_mul(2).min(STEP_DOWN_PAUSE);
                self.standing = Some(Standing::RestUntil(now.plus(pause)));
                self.give_up(turn);
            }
            Order::Stop => self.give_up(turn),
            Order::Bar(why) => {
                let was_barred = self.barred.replace(why.clone()).is_some();
                if !was_barred {
                    turn.notes.push(Note::Barred(why));
                }
                self.give_up(turn);
            }
            Order::Unbar => {
                if self.barred.take().is_some() {
                    turn.notes.push(Note::Unbarred);
                }
            }
            Order::AskStore => self.due = now,
            Order::RaiseEpoch(epoch) => self.raise_epoch(epoch),
            Order::Moved { row, sent_at } => {
                if self.owns(&row) {
                    self.hold(&row, sent_at, (now, Duration::ZERO), turn);
                }
            }
        }
    }

    fn withdraw_lead(&mut self) {
        self.standing
            .take_if(|standing| *standing == Standing::Lead);
    }

    /// Epochs only grow: raises the floor to `epoch`.
    fn raise_epoch(&mut self, epoch: LeaseEpoch) {
        self.highest = self.highest.max(epoch);
    }

    fn give_up(&mut self, turn: &mut Turn) {
        if let Role::Leader { epoch, .. } = self.role {
            turn.release = Some(epoch);
        }
        if let Some(request) = &mut self.in_flight {
            request.given_up = true;
        }
        self.lose(Loss::GivenUp, turn);
    }

    fn lose(&mut self, loss: Loss, turn: &mut Turn) {
        if self.role != Role::Follower {
            self.role = Role::Follower;
            turn.notes.push(Note::LeadershipLost(loss));
        }
    }

    fn handle_answer(&mut self, view: &View<'_>, answer: Answer, turn: &mut Turn) {
        let now = view.now;
        let Some(InFlight {
            sent_at,
            counted_by_other,
            given_up,
        }) = self.in_flight.take()
        else {
            return;
        };
        if let Answer::Denied(row) = &answer
            && self.foreign_row.as_ref().is_none_or(|(old, _)| old != row)
        {
            self.foreign_row = Some((row.clone(), now));
        }
        let failed = answer == Answer::Failed;
        self.note_store(now, sent_at, failed);
        if let Answer::Granted(row) | Answer::Denied(row) = &answer {
            let silent_since = self.silent_since(view, row);
            self.remote.note(sent_at, row, silent_since);
        }
        match answer {
            // The store may have executed the release since, and granted the lease to another node.
            Answer::Granted(row) if given_up => {
                self.raise_epoch(row.epoch);
                turn.release = Some(row.epoch);
            }
            Answer::Granted(row) => self.hold(&row, sent_at, (now, counted_by_other), turn),
            Answer::Denied(row) => {
                self.raise_epoch(row.epoch);
                if !self.outranks(&row) {
                    self.lose(Loss::HeldByAnother, turn);
                    self.other = row.holder.as_ref().map(Holder::of);
                }
            }
            // What is held stays held until it runs out by this node's clock.
            Answer::Failed => {}
        }
        if !failed {
            self.stall.note_answer(sent_at);
        }
        self.due = now.plus(self.pause(view));
        self.watch(view, turn);
    }

    /// Takes in whether the store answered a request that was sent at `sent_at`.
    fn note_store(&mut self, now: Timestamp, sent_at: Timestamp, failed: bool) {
        if failed {
            self.failing_since.get_or_insert(sent_at);
            return;
        }
        let failing = self.failing_since.take();
        if failing.is_some_and(|since| sent_at.since(since) > STORE_ANSWER_LIMIT) {
            self.store_returned = Some(now);
        }
    }

    /// Since when the holder of a row is silent, if it is.
    fn silent_since(&self, view: &View<'_>, row: &LeaseState) -> Option<Timestamp> {
        let holder = row.holder.as_ref().filter(|_| !self.owns(row))?;
        match view.peers.liveness(&Holder::of(holder)) {
            Liveness::Silent(since) => Some(since),
            Liveness::Alive | Liveness::Unknown | Liveness::Gone(_) | Liveness::Replaced(_) => None,
        }
    }

    /// True if the row names this node as its holder.
    pub fn owns(&self, row: &LeaseState) -> bool {
        row.holder.as_ref() == Some(&self.settings.holder)
    }

    /// True if a row that denies this node the lease does not end its leadership. A node that leads
    /// without the store under a later epoch replaces the row with its next claim. And the answer
    /// to a renewal that was sent before the store was moved names this node as the holder.
    fn outranks(&self, row: &LeaseState) -> bool {
        let Some(epoch) = self.role.epoch() else {
            return false;
        };
        let is_own = epoch == row.epoch && self.owns(row);
        is_own || self.role.is_self_appointed() && epoch > row.epoch
    }

    /// The lease is this node's. `sent_at`: before the request was sent. `counted_by_other`: how
    /// long the last holder may still count it as half a vote.
    fn hold(
        &mut self,
        row: &LeaseState,
        sent_at: Timestamp,
        (now, counted_by_other): (Timestamp, Duration),
        turn: &mut Turn,
    ) {
        self.raise_epoch(row.epoch);
        self.withdraw_lead();
        let counts_from = match self.role {
            Role::Leader {
                epoch, counts_from, ..
            } if epoch == row.epoch => counts_from,
            Role::Follower | Role::Leader { .. } | Role::LeaderWithoutStore { .. } => {
                turn.notes.push(Note::LeaseTaken(row.epoch));
                now.plus(self.settings.guard.max(counted_by_other))
            }
        };
        self.role = Role::Leader {
            epoch: row.epoch,
            until: sent_at.plus(self.settings.ttl),
            counts_from,
        };
        self.other = None;
    }

    /// What has to be seen after every event: a stall of this process, the peers' epochs, the end
    /// of the lease, and a store that is away.
    fn watch(&mut self, view: &View<'_>, turn: &mut Turn) {
        let now = view.now;
        if let Some(missed) = self.stall.note_run(now) {
            turn.notes.push(Note::Stalled(missed));
            self.due = now;
        }
        let is_away = self.is_store_away(now);
        if is_away {
            self.stall.note_store_away(now);
        }
        // An epoch that any node named is used, whether or not that node answers now: a node that
        // leads without the store must not choose it again.
        if let Some(highest) = view.peers.highest_epoch() {
            self.raise_epoch(highest);
        }
        self.end_leadership(view, is_away, turn);
        if is_away && self.may_replace_leader(view) {
            self.lead_without_store(turn);
        }
    }

    fn is_store_away(&self, now: Timestamp) -> bool {
        let waiting = self.in_flight.map(|request| request.sent_at);
        let since = self.failing_since.or(waiting);
        since.is_some_and(|since| now.since(since) > STORE_ANSWER_LIMIT)
    }

    /// Gives way to another leader that goes first, and ends a lease that ran out. If the store is
    /// away and nobody is known to have taken that lease, this node goes on without it.
    fn end_leadership(&mut self, view: &View<'_>, is_away: bool, turn: &mut Turn) {
        if let Some(first) = self.goes_first(view) {
            let (name, epoch) = (first.name.clone(), first.epoch);
            self.raise_epoch(epoch);
            self.lose(Loss::AnotherGoesFirst, turn);
            self.other = Some(Holder { name, start: None });
            return;
        }
        let Role::Leader { epoch, until, .. } = self.role else {
            return;
        };
        if until > view.now {
            return;
        }
        if !self.settings.without_store || !is_away || view.peers.leader().is_some() {
            self.lose(Loss::RanOut, turn);
            return;
        }
        turn.notes.push(Note::GoesOnWithoutStore(epoch));
        self.role = Role::LeaderWithoutStore {
            epoch,
            granted: true,
        };
    }

    fn lead_without_store(&mut self, turn: &mut Turn) {
        if !self.settings.without_store || self.role != Role::Follower {
            return;
        }
        let epoch = LeaseEpoch(self.highest.0.saturating_add(1));
        turn.notes.push(Note::LeadsWithoutStore(epoch));
        self.raise_epoch(epoch);
        self.role = Role::LeaderWithoutStore {
            epoch,
            granted: false,
        };
    }

    /// The peer that leads and goes before this node, which then has to give way: one with a later
    /// epoch. Of two nodes under one epoch, the one that was granted it goes first, or else the
    /// first by name. If both gave way, each would wait for the other for as long as the store is
    /// away.
    fn goes_first<'a>(&self, view: &View<'a>) -> Option<&'a Peer> {
        let own = self.role.epoch()?;
        let leading = view.peers.leading();
        let latest = leading.max_by_key(|peer| (peer.epoch, peer.granted, Reverse(&peer.name)))?;
        let goes_first = match latest.epoch.cmp(&own) {
            Ordering::Greater => true,
            // Two nodes that were both granted one epoch use two stores: the clusters' quorum
            // decides between them.
            Ordering::Equal => {
                let before = latest.granted || latest.name < self.settings.node;
                self.role.is_self_appointed() && before
            }
            Ordering::Less => false,
        };
        goes_first.then_some(latest)
    }
}

/// Questions that are asked between events.
impl Election {
    /// The present state.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The epoch, if this node leads and goes on doing so for `needed` as far as the lease goes.
    pub fn epoch_for(&self, now: Timestamp, needed: Duration) -> Option<LeaseEpoch> {
        let lasts = match self.role {
            Role::Follower => false,
            Role::Leader { until, .. } => until > now.plus(needed),
            Role::LeaderWithoutStore { .. } => true,
        };
        let may_act = lasts && !self.stall.is_in_doubt(now);
        may_act.then(|| self.role.epoch()).flatten()
    }

    /// True if the lease counts as half a vote now and for `needed`.
    pub fn lease_counts(&self, now: Timestamp, needed: Duration) -> bool {
        let Role::Leader {
            until, counts_from, ..
        } = self.role
        else {
            return false;
        };
        let ttl = self.settings.ttl;
        let without_vote = ttl.saturating_sub(vote_term(ttl));
        let counts = counts_from <= now && until > now.plus(needed).plus(without_vote);
        counts && !self.stall.is_in_doubt(now)
    }

    /// True if this process stalled while it led, and does not know yet whether it still leads.
    pub fn is_in_doubt(&self, now: Timestamp) -> bool {
        self.role != Role::Follower && self.stall.is_in_doubt(now)
    }

    /// True if this process stalled after `since`.
    pub fn stalled_since(&self, since: Timestamp, now: Timestamp) -> bool {
        self.stall.stalled_since(since, now)
    }

    /// The leader, as far as known.
    pub fn leader(&self, view: &View<'_>) -> Option<NodeName> {
        if self.epoch_for(view.now, Duration::ZERO).is_some() {
            return Some(self.settings.node.clone());
        }
        let other = self.other.as_ref().map(|other| &other.name);
        other.or_else(|| view.peers.leader()).cloned()
    }

    /// The highest epoch ever seen.
    pub fn highest(&self) -> LeaseEpoch {
        self.highest
    }

    /// Why this process must not act, if it must not.
    pub fn barred(&self) -> Option<&str> {
        self.barred.as_deref()
    }

    /// The epoch of the lease that this node holds in the store.
    pub fn epoch_in_store(&self, now: Timestamp) -> Option<LeaseEpoch> {
        match self.role {
            Role::Leader { epoch, until, .. } if until > now => Some(epoch),
            Role::Leader { .. } | Role::Follower | Role::LeaderWithoutStore { .. } => None,
        }
    }
}
