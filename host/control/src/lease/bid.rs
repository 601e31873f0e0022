//! When to bid for the lease, and when to stand in for it. The decision is a pure function of what is known; the loop around it
//! waits, asks and reports.

use std::cmp::{Ordering, Reverse};
use std::pin::Pin;
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, NodeName};
use baton_core::time::Timestamp;
use baton_ports::{Claim, LeaseState, PeerReport, StoreError};
use tokio::time::{Instant, sleep};

use super::{Held, Holder, Keeper, LEASE, Tenure, Wish, vote_term};
use crate::locking::lock;
use crate::peers::Life;

/// How long a node may be silent before its lease is bid for ahead of time. A frozen process is told from a slow one by
/// nobody; what makes the early bid safe is that the lease is no half vote until the old holder's time is over.
const SILENCE: Duration = Duration::from_secs(2);
/// How long the store may keep a bid of ours waiting before it counts as away, when nobody acts.
const STORE_PATIENCE: Duration = Duration::from_millis(300);
/// Each node gives the ones before it so much time, so that they do not duel.
const TURN: Duration = Duration::from_millis(400);
/// Pause of the loop when nothing happens that would wake it.
const TICK: Duration = Duration::from_millis(100);
/// The same, and between two bids, while it is this node's turn to replace a holder that is dead.
pub(super) const HURRY: Duration = Duration::from_millis(20);

/// A node that stayed silent towards itself for so long may have been frozen: the others begin to replace it after this.
pub(super) const FROZEN: Duration = Duration::from_secs(1);
/// By then every peer that lives has answered, or is known to be silent.
const HEARING: Duration = Duration::from_millis(1500);

/// What somebody else's lease looked like, and since when it has not changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    state: Option<(LeaseState, Timestamp)>,
}

impl Seen {
    fn note(&mut self, state: &LeaseState, now: Timestamp) {
        if self.state.as_ref().is_none_or(|(old, _)| old != state) {
            self.state = Some((state.clone(), now));
        }
    }
}

/// Whose turn it is to act when the holder of the lease seems to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody's: the holder lives, or another node acts.
    Nobodys,
    /// Ours, now.
    Ours,
}

/// What a bid is made with.
struct Bid {
    expected: Option<(LeaseEpoch, u64)>,
    /// How long the holder it is taken from may still count the lease.
    early: Duration,
}

/// A bid or a renewal under way.
struct Pending<'a> {
    outcome: Pin<Box<dyn Future<Output = Result<Claim, StoreError>> + Send + 'a>>,
    /// Before it was sent.
    since: Timestamp,
    /// See [`Bid::early`].
    early: Duration,
}

impl Keeper {
    /// Takes and renews the lease for ever. Dropping the future keeps what is held until it runs out.
    pub(crate) async fn keep(&self) {
        let mut seen = Seen::default();
        let mut peers = self.peers.subscribe();
        let mut next = Instant::now();
        let mut away_since: Option<Timestamp> = None;
        let mut pending: Option<Pending<'_>> = None;
        loop {
            let now = self.clock.now();
            let is_ours = self.turn(now) == Turn::Ours;
            if is_ours && next > Instant::now() + HURRY {
                next = Instant::now();
            }
            if pending.is_none() && Instant::now() >= next && self.may_bid(&seen, now) {
                pending = Some(self.attempt(&seen, now));
            }
            tokio::select! {
                biased;
                (outcome, before, early) = ended(&mut pending) => {
                    pending = None;
                    if let Ok(Claim::Other(state)) = &outcome {
                        seen.note(state, self.clock.now());
                    }
                    let answered = outcome.is_ok();
                    let was_away = away_since.is_some_and(|since| before.since(since) > STORE_PATIENCE);
                    if answered && was_away {
                        *lock(&self.returned) = Some(self.clock.now());
                    }
                    away_since = (!answered).then(|| away_since.unwrap_or(before));
                    self.note(outcome, before, early);
                    // Only then: until the answer is taken in, what is held is what is in doubt.
                    if answered {
                        self.trust_if_asked_since_doubt(before);
                    }
                    next = Instant::now() + self.pause(&seen);
                }
                _ = peers.changed(), if self.peers.count() > 0 => {
                    // Nobody says that it acts: the lease may have been given up.
                    if self.held.borrow().is_none() && self.peers.actor().is_none() {
                        next = Instant::now();
                    }
                }
                () = self.wished.notified() => next = Instant::now(),
                () = sleep(if is_ours { HURRY } else { TICK }) => {}
            }
            let now = self.clock.now();
            if self.tick(now) {
                next = Instant::now();
            }
            let waiting = pending.as_ref().map(|pending| pending.since);
            let away = away_since.or(waiting);
            let is_away = away.is_some_and(|since| now.since(since) > STORE_PATIENCE);
            self.trust_again(now, is_away);
            self.see_epochs_of_peers();
            self.end_or_stand_in(now, is_away);
            if is_away && self.turn(now) == Turn::Ours {
                self.stand_in();
            }
        }
    }

    /// An epoch that another node named is used up, whether or not that node answers now and the store could be asked since: one that
    /// stands in must not repeat it.
    fn see_epochs_of_peers(&self) {
        let reports = self.peers.states().into_iter();
        let epochs = reports.filter_map(|(_, state)| Some(state.report?.epoch));
        if let Some(highest) = epochs.max() {
            self.see_epoch(highest);
        }
    }

    /// Shows that this process runs. True if it did not for a while: it may have been frozen, and another node may act by now. Nothing it
    /// holds counts until it has asked again.
    fn tick(&self, now: Timestamp) -> bool {
        let mut pulse = lock(&self.pulse);
        let missed = now.since(pulse.at);
        pulse.at = now;
        if missed <= FROZEN {
            return false;
        }
        tracing::warn!(
            missed_ms = missed.as_millis() as u64,
            "this process did not run for a while: asking again who acts"
        );
        pulse.doubt = Some(now);
        pulse.woken = Some(now);
        true
    }

    /// The store has answered something that was asked `before`.
    fn trust_if_asked_since_doubt(&self, before: Timestamp) {
        lock(&self.pulse).doubt.take_if(|since| before >= *since);
    }

    /// Without the store there is nobody to ask but the other nodes, which have been heard by then.
    fn trust_again(&self, now: Timestamp, is_away: bool) {
        let heard = |since: &mut Timestamp| is_away && now.since(*since) > HEARING;
        lock(&self.pulse).doubt.take_if(heard);
    }

    /// Time until the next bid or renewal: short while it is this node's turn.
    fn pause(&self, seen: &Seen) -> Duration {
        if self.turn(self.clock.now()) == Turn::Ours {
            HURRY
        } else if self.is_wished() || (self.stands_in() && seen.state.is_some()) {
            TICK
        } else {
            self.settings.ttl / 5
        }
    }

    /// Renews what is held, or bids.
    fn attempt(&self, seen: &Seen, now: Timestamp) -> Pending<'_> {
        let renews = self
            .held
            .borrow()
            .as_ref()
            .and_then(|held| match held.tenure {
                Tenure::Lease { .. } | Tenure::StandIn { renews: true } => Some(held.epoch),
                Tenure::StandIn { renews: false } => None,
            });
        if let Some(epoch) = renews {
            return Pending {
                outcome: self.store.renew_lease(LEASE, &self.holder, epoch),
                since: now,
                early: Duration::ZERO,
            };
        }
        let Bid { expected, early } = self.bid(seen, now);
        let (ttl, highest) = (self.settings.ttl, self.highest());
        let claim = self
            .store
            .claim_lease(LEASE, &self.holder, ttl, expected, highest);
        Pending {
            outcome: claim,
            since: now,
            early,
        }
    }

    /// What the next bid may expect of the row: a foreign lease is taken after its row has not changed for longer than its holder may
    /// act on it; earlier only if the holder is dead or mute, or an operator says so, and then it does not count as a vote yet.
    fn bid(&self, seen: &Seen, now: Timestamp) -> Bid {
        let Some((state, since)) = &seen.state else {
            return Bid {
                expected: None,
                early: Duration::ZERO,
            };
        };
        let row = Some((state.epoch, state.renewals));
        let whole = state.ttl.saturating_add(self.settings.ttl / 4);
        let waited = now.since(*since);
        if waited > whole {
            return Bid {
                expected: row,
                early: Duration::ZERO,
            };
        }
        let wished = self.is_wished();
        // Who stands in is the one that acts: its bid replaces the row of whoever is dead.
        let ours = self.stands_in() || self.turn(now) == Turn::Ours;
        // Without expecting a row only a lease that was given up is granted, and nobody counts that one any more.
        let expected = row.filter(|_| wished || ours);
        // The bid fails if the holder renewed since the row was seen, so it counts no longer than from then.
        let counted = vote_term(state.ttl).saturating_add(vote_term(self.settings.ttl) / 4);
        let left = counted.saturating_sub(waited);
        let early = expected.map_or(Duration::ZERO, |_| left);
        Bid { expected, early }
    }

    fn may_bid(&self, seen: &Seen, now: Timestamp) -> bool {
        let resting = match *lock(&self.wish) {
            Some(Wish::Rest(until)) => self.clock.now() < until,
            Some(Wish::Lead) | None => false,
        };
        let held = self.held.borrow().clone();
        // A recovery under way is not cut short for a new epoch.
        let changes_epoch = held.as_ref().is_some_and(Held::is_self_appointed);
        let in_the_middle = changes_epoch && *self.busy.borrow() > 0;
        let asks = held.is_some() || self.is_wished() || !self.yields(seen, now);
        !resting && !in_the_middle && asks && self.barred().is_none()
    }

    /// An operator waits for this node to lead. One bid may come too late for what the row says, so the wish lasts until it is
    /// fulfilled or withdrawn.
    fn is_wished(&self) -> bool {
        *lock(&self.wish) == Some(Wish::Lead)
    }

    /// Who acts without the store is not robbed of it by a peer that merely sees the store return first; but one that never
    /// comes back to the store does not keep everybody from it.
    fn yields(&self, seen: &Seen, now: Timestamp) -> bool {
        let Some(actor) = self.peers.actor() else {
            return false;
        };
        let waited = seen
            .state
            .as_ref()
            .map_or(Duration::ZERO, |(state, since)| {
                now.since(*since).saturating_sub(state.ttl)
            });
        let is_other = lock(&self.other)
            .as_ref()
            .is_some_and(|other| other.name == actor);
        !is_other && waited < self.settings.ttl
    }

    /// Whose turn it is to replace the known holder.
    pub(super) fn turn(&self, now: Timestamp) -> Turn {
        let is_barred = self.barred().is_some();
        if is_barred || self.held.borrow().is_some() || self.peers.actor().is_some() {
            return Turn::Nobodys;
        }
        let other = lock(&self.other).clone();
        let life = other.as_ref().map(|other| self.peers.life(other));
        let dead_since = match life {
            Some(Life::Gone(since) | Life::Replaced(since)) => since,
            Some(Life::Silent(_)) if self.lives_far(now) => return Turn::Nobodys,
            Some(Life::Silent(since)) => self.silent_enough(since),
            // Of one that was never heard only its time can tell.
            Some(Life::Living | Life::Unknown) => return Turn::Nobodys,
            // Nobody known: a node that came up while the store was away, after the others had time to be heard.
            None => Timestamp::default().plus(SILENCE * 2),
        };
        // What the others hear may be the later start that this node hears, too.
        let is_replaced = matches!(life, Some(Life::Replaced(_)));
        if !is_replaced && other.is_some_and(|other| self.peers.is_heard_by_others(&other.name)) {
            return Turn::Nobodys;
        }
        let rank = self.peers.rank(&self.settings.node);
        let since = dead_since.plus(TURN.saturating_mul(rank));
        if now < since {
            Turn::Nobodys
        } else {
            Turn::Ours
        }
    }

    /// The store shows that the holder lives: what is broken is the network between the nodes.
    fn lives_far(&self, now: Timestamp) -> bool {
        let term = self.settings.ttl.saturating_add(self.settings.ttl / 4);
        lock(&self.far).lives(now, term)
    }

    /// When one that is silent since then counts as dead. Where the store was out of reach, too, this node may have been the one that was
    /// cut off: the others get the time to be heard again.
    fn silent_enough(&self, since: Timestamp) -> Timestamp {
        let enough = since.plus(SILENCE);
        lock(&self.returned).map_or(enough, |at| enough.max(at.plus(HEARING)))
    }

    /// A lease that ran out is gone, unless the store is away and nobody is known to have taken it: then this node goes on by the
    /// clusters' votes alone.
    fn end_or_stand_in(&self, now: Timestamp, is_away: bool) {
        let Some(held) = self.held.borrow().clone() else {
            return;
        };
        let peers = self.peers.living();
        if let Some(latest) = gives_way_to(&self.settings.node, &held, &peers) {
            self.see_epoch(latest.epoch);
            self.lose("another node acts, and goes before this one");
            *lock(&self.other) = Some(Holder {
                name: latest.name.clone(),
                start: None,
            });
            return;
        }
        if held.lasts(now) {
            return;
        }
        let goes_on = self.settings.stand_in && is_away && self.peers.actor().is_none();
        if !goes_on {
            self.lose("lease ran out");
            return;
        }
        tracing::warn!(
            "the lease ran out while the state store is away: acting by the clusters' votes"
        );
        self.held.send_modify(|held| {
            if let Some(held) = held {
                held.tenure = Tenure::StandIn { renews: true };
            }
        });
    }

    fn stand_in(&self) {
        if !self.settings.stand_in || self.held.borrow().is_some() {
            return;
        }
        let epoch = LeaseEpoch(self.highest().0.saturating_add(1));
        tracing::warn!(
            lease_epoch = epoch.0,
            "the state store is away and nobody acts: acting by the clusters' votes"
        );
        self.see_epoch(epoch);
        self.held.send_replace(Some(Held {
            epoch,
            tenure: Tenure::StandIn { renews: false },
        }));
    }
}

/// Of the peers that act, the one before which this node has to give way: who acts under a later epoch. Of two under one epoch it is the
/// one that was granted it, or else the first by name: were both to give way, each would wait for the other as long as the store is away.
fn gives_way_to<'a>(
    node: &NodeName,
    held: &Held,
    peers: &'a [PeerReport],
) -> Option<&'a PeerReport> {
    let acting = peers.iter().filter(|report| report.acts);
    let latest =
        acting.max_by_key(|report| (report.epoch, report.granted, Reverse(&report.name)))?;
    let goes_before = match latest.epoch.cmp(&held.epoch) {
        Ordering::Greater => true,
        // Two that were granted the same one have two stores: the clusters' votes decide between them.
        Ordering::Equal => held.is_self_appointed() && (latest.granted || latest.name < *node),
        Ordering::Less => false,
    };
    goes_before.then_some(latest)
}

/// The end of the attempt under way; never, if there is none.
async fn ended(
    pending: &mut Option<Pending<'_>>,
) -> (Result<Claim, StoreError>, Timestamp, Duration) {
    match pending {
        Some(attempt) => (attempt.outcome.as_mut().await, attempt.since, attempt.early),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, granted: bool, epoch: u64) -> PeerReport {
        PeerReport {
            name: NodeName::new(name),
            incarnation: name.to_owned(),
            acts: true,
            granted,
            epoch: LeaseEpoch(epoch),
            leader: None,
            store_answers: false,
            backend_node: None,
            hears: Vec::new(),
            primaries: Vec::new(),
        }
    }

    /// Whether each of two that hear each other gives way.
    fn give_way([one, other]: [(bool, u64); 2]) -> [bool; 2] {
        let gives_way = |name: &str, (granted, epoch): (bool, u64), peer: PeerReport| {
            let tenure = Tenure::StandIn { renews: granted };
            let epoch = LeaseEpoch(epoch);
            let held = Held { epoch, tenure };
            gives_way_to(&NodeName::new(name), &held, &[peer]).is_some()
        };
        [
            gives_way("n1", one, report("n2", other.0, other.1)),
            gives_way("n2", other, report("n1", one.0, one.1)),
        ]
    }

    /// With real servers on a busy machine, two nodes began to stand in for a dead leader in the same two milliseconds. Each gave way to
    /// the other and then waited for it, seven seconds, until the stalled store was back.
    #[test]
    fn of_two_that_stand_in_under_one_epoch_one_goes_on() {
        assert_eq!(give_way([(false, 14), (false, 14)]), [false, true]);
        assert_eq!(give_way([(false, 14), (true, 14)]), [true, false]);
        assert_eq!(give_way([(true, 14), (false, 14)]), [false, true]);
        assert_eq!(give_way([(false, 14), (false, 15)]), [true, false]);
        assert_eq!(give_way([(true, 15), (false, 14)]), [false, true]);
        assert_eq!(give_way([(true, 14), (true, 14)]), [false, false]);
    }
}
