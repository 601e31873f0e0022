//! When a request to the store is due, and what a claim of another node's lease may expect.

use std::time::Duration;

use super::{Election, FAST_TICK, InFlight, Request, Role, Standing, TICK, View};
use crate::leadership::lease::vote_term;
use crate::leadership::peers::Liveness;
use crate::leadership::stall::PEER_ANSWER_LIMIT;
use crate::time::Timestamp;

/// How long a leader may be silent before its lease is claimed early. Nobody can tell a process
/// that is stopped from a slow one. The early claim is safe because the lease is no half vote for
/// the new holder until the old holder's time is over.
const SILENCE_LIMIT: Duration = Duration::from_secs(2);
/// Each node waits so much longer than the node before it, so that they do not claim together.
const RANK_DELAY: Duration = Duration::from_millis(400);

impl Election {
    /// The request that is due now, if one is.
    pub(super) fn request(&mut self, view: &View<'_>) -> Option<Request> {
        let now = view.now;
        if self.may_replace_leader(view) && self.due > now.plus(FAST_TICK) {
            self.due = now;
        }
        if self.in_flight.is_some() || now < self.due || !self.may_request(view) {
            return None;
        }
        let (request, counted_by_other) = match self.role {
            Role::Leader { epoch, .. }
            | Role::LeaderWithoutStore {
                epoch,
                granted: true,
            } => (Request::Renew { epoch }, Duration::ZERO),
            Role::Follower | Role::LeaderWithoutStore { granted: false, .. } => self.claim(view),
        };
        self.in_flight = Some(InFlight {
            sent_at: now,
            counted_by_other,
            given_up: false,
        });
        Some(request)
    }

    /// Time until the next request is due: short while this node may replace the leader.
    pub(super) fn pause(&self, view: &View<'_>) -> Duration {
        let without_store = matches!(self.role, Role::LeaderWithoutStore { .. });
        if self.may_replace_leader(view) {
            FAST_TICK
        } else if self.is_ordered_to_lead() || (without_store && self.foreign_row.is_some()) {
            TICK
        } else {
            self.settings.ttl / 5
        }
    }

    /// A claim, and how long the last holder may still count the lease as half a vote.
    ///
    /// Another node's lease is taken after its row has not changed for longer than its holder may
    /// act on it. It is taken earlier only if the holder is gone or silent, or an operator wants
    /// it.
    fn claim(&self, view: &View<'_>) -> (Request, Duration) {
        let highest = self.highest;
        let Some((row, since)) = &self.foreign_row else {
            let expected = None;
            return (Request::Claim { expected, highest }, Duration::ZERO);
        };
        let expected = Some((row.epoch, row.renewals));
        let waited = view.now.since(*since);
        if waited > row.ttl.saturating_add(self.settings.ttl / 4) {
            return (Request::Claim { expected, highest }, Duration::ZERO);
        }
        // A node that leads without the store replaces the row of a holder that is gone.
        let without_store = matches!(self.role, Role::LeaderWithoutStore { .. });
        let early = self.is_ordered_to_lead() || without_store || self.may_replace_leader(view);
        if !early {
            // Only a free lease is granted, and nobody counts a free lease.
            let expected = None;
            return (Request::Claim { expected, highest }, Duration::ZERO);
        }
        // The claim fails if the holder renewed since the row was read, so the holder's vote ends
        // at the latest this long after that reading.
        let term = vote_term(row.ttl).saturating_add(vote_term(self.settings.ttl) / 4);
        let left = term.saturating_sub(waited);
        (Request::Claim { expected, highest }, left)
    }

    fn may_request(&self, view: &View<'_>) -> bool {
        let rests = match self.standing {
            Some(Standing::RestUntil(until)) => view.now < until,
            Some(Standing::Lead) | None => false,
        };
        // A claim under way changes the epoch, which would cut an operation short.
        let would_disturb = self.role.is_self_appointed() && view.busy;
        let leads = self.role != Role::Follower;
        let asks = leads || self.is_ordered_to_lead() || !self.leaves_it_to_leader(view);
        !rests && !would_disturb && asks && self.barred.is_none()
    }

    /// An order to lead stands until it is fulfilled or withdrawn: one claim may come too late for
    /// what the row says.
    fn is_ordered_to_lead(&self) -> bool {
        self.standing == Some(Standing::Lead)
    }

    /// A peer that leads without the store keeps the leadership when this node is the first to see
    /// the store return; but not for ever, since that peer may never reach the store again.
    fn leaves_it_to_leader(&self, view: &View<'_>) -> bool {
        let Some(leader) = view.peers.leader() else {
            return false;
        };
        let row = self.foreign_row.as_ref();
        let waited = row.map_or(Duration::ZERO, |(row, since)| {
            view.now.since(*since).saturating_sub(row.ttl)
        });
        let is_holder = self
            .other
            .as_ref()
            .is_some_and(|other| other.name == *leader);
        !is_holder && waited < self.settings.ttl
    }

    /// True if the leader is gone or silent and it is this node's turn to replace it.
    pub(super) fn may_replace_leader(&self, view: &View<'_>) -> bool {
        let leads = self.role != Role::Follower || view.peers.leader().is_some();
        if self.barred.is_some() || leads {
            return false;
        }
        let liveness = self.other.as_ref().map(|other| view.peers.liveness(other));
        let dead_since = match liveness {
            Some(Liveness::Gone(since) | Liveness::Replaced(since)) => since,
            Some(Liveness::Silent(_)) if self.is_alive_by_the_store(view.now) => return false,
            Some(Liveness::Silent(since)) => self.silence_ends(since),
            // Only the end of its lease tells anything of a holder that was never heard.
            Some(Liveness::Alive | Liveness::Unknown) => return false,
            // No holder is known: this node started while the store was away. The peers had time
            // to be heard.
            None => Timestamp::default().plus(SILENCE_LIMIT * 2),
        };
        // The peers that hear the node may hear the later start that this node hears, too.
        let is_replaced = matches!(liveness, Some(Liveness::Replaced(_)));
        let others_hear = self
            .other
            .as_ref()
            .is_some_and(|other| view.peers.is_heard_by_others(&other.name));
        if others_hear && !is_replaced {
            return false;
        }
        let rank = view.peers.rank(&self.settings.node);
        view.now >= dead_since.plus(RANK_DELAY.saturating_mul(rank))
    }

    /// The store shows that the silent holder is alive: the network between the nodes is broken.
    fn is_alive_by_the_store(&self, now: Timestamp) -> bool {
        let term = self.settings.ttl.saturating_add(self.settings.ttl / 4);
        self.remote.proves_alive(now, term)
    }

    /// When a leader that is silent since then counts as dead. If the store was away too, this node
    /// may be the one that was cut off: the peers get the time to be heard again.
    fn silence_ends(&self, since: Timestamp) -> Timestamp {
        let end = since.plus(SILENCE_LIMIT);
        self.store_returned
            .map_or(end, |at| end.max(at.plus(PEER_ANSWER_LIMIT)))
    }
}
