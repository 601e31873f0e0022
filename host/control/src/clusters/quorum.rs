//! The quorum of one cluster: counts the locks that this node holds on the cluster's recorded
//! members.
//!
//! If the store is this node's own, no other node can act, and the locks are read only to find
//! foreign holders. If several nodes share the store, every change needs a quorum
//! ([`baton_core::leadership::quorum`]) that was counted at most half a guard period ago.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::command::Guard;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::leadership::quorum::{
    Poll, PollResult, QuorumChecks, Tally, Voters, Votes, lock_counts_in, missing_quorum,
};
use baton_core::model::Snapshot;
use baton_core::planning::Reason;
use baton_core::time::Timestamp;
use baton_ports::{Clock, LockState, StatementError};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::sessions::{NoSession, Sessions, WorkError};
use crate::inventory::Registry;
use crate::leadership::{GUARD_MARGIN, LeaseKeeper};
use crate::locking::lock;

/// Counts the votes of one cluster.
pub(crate) struct ClusterQuorum {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) cluster: ClusterId,
    pub(crate) checks: Mutex<QuorumChecks>,
}

impl ClusterQuorum {
    fn guard(&self) -> Guard {
        Guard {
            within: self.registry.settings.plan.guard,
        }
    }

    fn is_shared(&self) -> bool {
        self.registry.settings.shared_store
    }

    /// When the quorum was last missing.
    pub(crate) fn missing_at(&self) -> Option<Timestamp> {
        lock(&self.checks).missing_at()
    }

    /// True if the quorum was missing at `since` or later: then a failure says nothing about the
    /// servers.
    pub(crate) fn was_missing_since(&self, since: Timestamp) -> bool {
        self.missing_at().is_some_and(|at| at >= since)
    }

    /// A server refused a guarded step: its guard had ended.
    pub(crate) fn note_missing(&self) {
        lock(&self.checks).note_missing(self.clock.now());
    }

    /// Refuses if this node does not lead under `epoch`, or the lease ends within `needed`.
    pub(crate) fn check_lease(&self, epoch: LeaseEpoch, needed: Duration) -> Result<(), WorkError> {
        if self.lease.epoch_for(needed) == Some(epoch) {
            Ok(())
        } else {
            Err(refused(
                "lease",
                "the lease is lost or does not last for this step".to_owned(),
            ))
        }
    }

    /// Arms the guard on `target` first, then counts: a count is valid for one guard period,
    /// measured from before it began.
    ///
    /// Gives a sentence for the journal. Dropping the future leaves nothing behind: a verification
    /// changes nothing.
    pub(crate) async fn confirm(
        self: &Arc<Self>,
        epoch: LeaseEpoch,
        target: Option<&ServerId>,
        others: &BTreeSet<ServerId>,
        limit: Duration,
    ) -> Result<String, WorkError> {
        if self.is_shared() {
            let tally = self.poll(epoch, target, limit).await?;
            return Ok(format!("lease epoch {epoch}; {tally}"));
        }
        self.arm(target, limit).await?;
        let held = self.refuse_foreign_locks(target, others, limit).await?;
        self.check_lease(epoch, self.guard().within)?;
        Ok(format!(
            "lease epoch {epoch} and {held} of {} locks confirmed",
            others.len()
        ))
    }

    /// Makes sure of the quorum before a change. Counts nothing if it was confirmed a moment ago.
    pub(crate) async fn ensure(
        self: &Arc<Self>,
        epoch: LeaseEpoch,
        limit: Duration,
    ) -> Result<(), WorkError> {
        if !self.is_shared() {
            return Ok(());
        }
        let (now, half) = (self.clock.now(), self.guard().within / 2);
        if lock(&self.checks).is_fresh(epoch, now, half) {
            return Ok(());
        }
        self.poll(epoch, None, limit).await.map(drop)
    }

    async fn arm(&self, target: Option<&ServerId>, limit: Duration) -> Result<(), WorkError> {
        let Some(target) = target else {
            return Ok(());
        };
        let mut lent = self.sessions.lend(target, limit).await?;
        let armed = lent.session.arm(self.guard(), limit).await;
        armed.map_err(WorkError::Lost)?;
        lent.keep();
        Ok(())
    }

    /// Counts until there is a quorum; waits for locks that were gained a moment ago.
    async fn poll(
        self: &Arc<Self>,
        epoch: LeaseEpoch,
        target: Option<&ServerId>,
        limit: Duration,
    ) -> Result<Tally, WorkError> {
        let deadline = self.clock.now().plus(limit);
        loop {
            let since = self.clock.now();
            self.arm(target, limit).await?;
            let voters = self.voters();
            let poll = self.poll_once(&voters, limit).await;
            self.check_lease(epoch, Duration::ZERO)?;
            match poll.result(self.clock.now(), deadline) {
                PollResult::Quorum(tally) => {
                    lock(&self.checks).note_confirmed(epoch, since);
                    return Ok(tally);
                }
                PollResult::CountAgainIn(wait) => sleep(wait).await,
                PollResult::Missing(text) => {
                    self.note_missing();
                    return Err(refused("confirm", text));
                }
            }
        }
    }

    async fn poll_once<'v>(self: &Arc<Self>, voters: &'v Voters, limit: Duration) -> Poll<'v> {
        // An answer that comes later than the guard lasts is of no use.
        let limit = limit.min(self.guard().within);
        let mut asked = JoinSet::new();
        let wall = self.clock.wall();
        let snapshot = self
            .registry
            .snapshot(&self.cluster, self.clock.now(), wall);
        let answering = snapshot.map(|snapshot| answering(&snapshot, voters));
        for server in answering.into_iter().flatten() {
            let quorum = Arc::clone(self);
            asked.spawn(async move {
                let held = quorum.verify(&server, limit).await;
                (server, held)
            });
        }
        let mut poll = Poll::new(voters, self.lease.counts_as_vote(self.guard().within));
        while let Some(Ok((server, held))) = asked.join_next().await {
            match held {
                Ok(()) => {
                    let counts_in = self.counts_in(&server);
                    poll.held(server, counts_in);
                }
                Err(error) => poll.not_held(error.to_string()),
            }
            if poll.has_quorum() {
                break;
            }
        }
        // A member that answers late must not lose its session for it.
        asked.detach_all();
        poll
    }

    fn voters(&self) -> Voters {
        let inventory = self.registry.latest();
        inventory
            .voters
            .get(&self.cluster)
            .cloned()
            .unwrap_or_default()
    }

    /// True if it is known whose locks are votes, where that matters.
    pub(crate) fn knows_voters(&self) -> bool {
        !self.is_shared() || !self.voters().current.is_empty()
    }

    /// When the lock of `server`, which is held, begins to count; `None` if it counts.
    fn counts_in(&self, server: &ServerId) -> Option<Duration> {
        let gained = self.sessions.gained(server)?;
        let wait = self.guard().within.saturating_add(GUARD_MARGIN);
        lock_counts_in(gained, self.clock.now(), wait)
    }

    /// What this node lacks for the quorum now, as far as its standing sessions tell. Asks no
    /// server.
    pub(crate) fn missing(&self, snapshot: &Snapshot) -> Option<Reason> {
        if !self.is_shared() {
            return None;
        }
        let voters = self.voters();
        let answering = answering(snapshot, &voters);
        let held: BTreeSet<ServerId> = answering
            .iter()
            .filter(|id| self.sessions.holds(id))
            .cloned()
            .collect();
        let mut votes = Votes {
            locks: held.clone(),
            lease: self.lease.counts_as_vote(self.guard().within),
        };
        votes.locks.retain(|id| self.counts_in(id).is_none());
        missing_quorum(
            &snapshot.cluster.name,
            &voters,
            (&held, &votes),
            &answering,
            self.lease.leads_without_store(),
        )
    }

    /// For a node with a store of its own: a lock that somebody else holds is a veto; a server that
    /// does not answer is none.
    async fn refuse_foreign_locks(
        &self,
        target: Option<&ServerId>,
        others: &BTreeSet<ServerId>,
        limit: Duration,
    ) -> Result<usize, WorkError> {
        let checks = others
            .iter()
            .filter(|id| Some(*id) != target)
            .map(|id| self.verify(id, limit));
        let outcomes = futures::future::join_all(checks).await;
        let held = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        for outcome in outcomes {
            if let Err(
                error @ (WorkError::LockLost(_) | WorkError::NoSession(NoSession::Locked { .. })),
            ) = outcome
            {
                return Err(error);
            }
        }
        Ok(held)
    }

    async fn verify(&self, server: &ServerId, limit: Duration) -> Result<(), WorkError> {
        let mut lent = self.sessions.lend(server, limit).await?;
        let state = lent.session.verify_lock(limit).await;
        match state.map_err(WorkError::Lost)? {
            LockState::Held => {
                lent.keep();
                Ok(())
            }
            state @ (LockState::HeldBy { .. } | LockState::Free) => Err(WorkError::LockLost(state)),
        }
    }
}

/// Voters that answer probes: asking the others would only cost time.
fn answering(snapshot: &Snapshot, voters: &Voters) -> BTreeSet<ServerId> {
    let voters = voters.everybody().into_iter();
    voters.filter(|id| snapshot.answers(id)).collect()
}

pub(crate) fn refused(command: &'static str, message: String) -> WorkError {
    WorkError::Statement(StatementError::Refused {
        command,
        number: 0,
        message,
    })
}
