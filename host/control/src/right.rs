//! Whether this node may act on a cluster: a vote of the cluster's recorded members, counted on the servers themselves.
//!
//! Where the store is this node's own, nobody else can act, and the locks are only asked for foreign hands. Where it is shared, every change
//! needs a majority ([`baton_core::right`]) that was counted at most half a guard period ago.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::command::Guard;
use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::model::{Reach, Snapshot};
use baton_core::planning::Reason;
use baton_core::right::{Tally, Voters, Votes};
use baton_core::time::Timestamp;
use baton_ports::{Clock, LockState, StatementError};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clusters::{Members, NoSession, Sessions, WorkError};
use crate::inventory::Registry;
use crate::lease::Keeper;
use crate::locking::lock;

/// Added to the guard period before a gained lock or lease counts: clocks of two machines do not run equally fast.
pub(crate) const GUARD_MARGIN: Duration = Duration::from_millis(50);

/// Whether this node may act on one cluster, and the last count that gave the right.
pub(crate) struct Right {
    pub(crate) lease: Arc<Keeper>,
    cluster: ClusterId,
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    clock: Arc<dyn Clock>,
    granted: Mutex<Option<(LeaseEpoch, Timestamp)>>,
    /// When it was last refused.
    refused: Mutex<Option<Timestamp>>,
}

impl Right {
    pub(crate) fn new(members: &Members, lease: Arc<Keeper>) -> Self {
        Self {
            lease,
            cluster: members.cluster.clone(),
            registry: Arc::clone(&members.registry),
            sessions: Arc::clone(&members.sessions),
            clock: Arc::clone(&members.clock),
            granted: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    fn note(&self, epoch: LeaseEpoch, at: Timestamp) {
        *lock(&self.granted) = Some((epoch, at));
    }

    pub(crate) fn note_refused(&self, at: Timestamp) {
        *lock(&self.refused) = Some(at);
    }

    /// When a count last came out short.
    pub(crate) fn refused_at(&self) -> Option<Timestamp> {
        *lock(&self.refused)
    }

    /// True if a count came out short at `since` or later: then a failure says nothing about the servers.
    pub(crate) fn was_refused(&self, since: Timestamp) -> bool {
        self.refused_at().is_some_and(|at| at >= since)
    }

    fn is_fresh(&self, epoch: LeaseEpoch, now: Timestamp, for_: Duration) -> bool {
        let granted = *lock(&self.granted);
        granted.is_some_and(|(under, at)| under == epoch && now.since(at) < for_)
    }
}

/// One count: what it gave, and when a lock that was gained a moment ago begins to count.
struct Count {
    tally: Tally,
    ripe_in: Option<Duration>,
    /// What stood against the locks that are not held.
    against: Vec<String>,
}

impl Right {
    fn guard(&self) -> Guard {
        Guard {
            within: self.registry.settings.plan.guard,
        }
    }

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

    /// Arms the guard on `target` first, then counts: a count is worth something only for as long as the guard, measured from before it.
    ///
    /// Gives a sentence for the journal. Dropped midway, nothing is left behind: verification changes nothing.
    pub(crate) async fn confirm(
        &self,
        epoch: LeaseEpoch,
        target: Option<&ServerId>,
        others: &BTreeSet<ServerId>,
        limit: Duration,
    ) -> Result<String, WorkError> {
        if self.registry.settings.shared_store {
            let tally = self.vote(epoch, target, limit).await?;
            return Ok(format!("lease epoch {epoch}; {tally}"));
        }
        self.arm(target, limit).await?;
        let held = self.no_foreign_lock(target, others, limit).await?;
        self.check_lease(epoch, self.guard().within)?;
        Ok(format!(
            "lease epoch {epoch} and {held} of {} locks confirmed",
            others.len()
        ))
    }

    /// Before a change: nothing to do if the right was confirmed a moment ago.
    pub(crate) async fn ensure_right(
        &self,
        epoch: LeaseEpoch,
        limit: Duration,
    ) -> Result<(), WorkError> {
        if !self.registry.settings.shared_store {
            return Ok(());
        }
        let (now, half) = (self.clock.now(), self.guard().within / 2);
        if self.is_fresh(epoch, now, half) {
            return Ok(());
        }
        self.vote(epoch, None, limit).await.map(drop)
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

    /// Counts until there is a majority; waits for locks that were gained a moment ago.
    async fn vote(
        &self,
        epoch: LeaseEpoch,
        target: Option<&ServerId>,
        limit: Duration,
    ) -> Result<Tally, WorkError> {
        let end = self.clock.now().plus(limit);
        loop {
            let from = self.clock.now();
            self.arm(target, limit).await?;
            let count = self.count(limit).await;
            self.check_lease(epoch, Duration::ZERO)?;
            if count.tally.granted {
                self.note(epoch, from);
                return Ok(count.tally);
            }
            match count.ripe_in {
                Some(wait) if self.clock.now().plus(wait) < end => sleep(wait).await,
                Some(_) | None => {
                    self.note_refused(self.clock.now());
                    let mut text = format!("no right to act on this cluster: {}", count.tally);
                    for against in count.against {
                        text.push_str("; ");
                        text.push_str(&against);
                    }
                    return Err(refused("confirm", text));
                }
            }
        }
    }

    async fn count(&self, limit: Duration) -> Count {
        let voters = self.voters();
        // An answer that comes later than the guard lasts would be of no use.
        let limit = limit.min(self.guard().within);
        let mut asked = JoinSet::new();
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let snapshot = self.registry.snapshot(&self.cluster, now, wall);
        let answering = snapshot.map(|snapshot| answering(&snapshot, &voters));
        for server in answering.into_iter().flatten() {
            let sessions = Arc::clone(&self.sessions);
            asked.spawn(async move {
                let held = verify(&sessions, &server, limit).await;
                (server, held)
            });
        }
        let mut votes = Votes {
            locks: BTreeSet::new(),
            lease: self.lease.is_half_a_vote(self.guard().within),
        };
        let mut count = Count {
            tally: voters.count(&votes),
            ripe_in: None,
            against: Vec::new(),
        };
        while let Some(Ok((server, held))) = asked.join_next().await {
            match held {
                Ok(()) => match self.unripe(&server) {
                    None => {
                        votes.locks.insert(server);
                    }
                    Some(wait) => {
                        count.ripe_in = Some(
                            count
                                .ripe_in
                                .map_or(wait, |known: Duration| known.min(wait)),
                        );
                    }
                },
                Err(error) => count.against.push(error.to_string()),
            }
            count.tally = voters.count(&votes);
            if count.tally.granted {
                break;
            }
        }
        // Whoever answers late must not lose its session for it.
        asked.detach_all();
        count
    }

    fn voters(&self) -> Voters {
        let inventory = self.registry.latest();
        inventory
            .voters
            .get(&self.cluster)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether it is known whose locks are votes, where that matters.
    pub(crate) fn knows_voters(&self) -> bool {
        !self.registry.settings.shared_store || !self.voters().current.is_empty()
    }

    /// How long a lock that is held does not count yet: a step that an earlier holder verified may be on its way for as long as its guard.
    fn unripe(&self, server: &ServerId) -> Option<Duration> {
        let gained = self.sessions.gained(server)?;
        let wait = self.guard().within.saturating_add(GUARD_MARGIN);
        let age = self.clock.now().since(gained);
        (age < wait).then(|| wait.saturating_sub(age))
    }

    /// Whether this node would have the right now, as far as its standing sessions tell, without asking any server: what stands against it.
    pub(crate) fn outlook(&self, snapshot: &Snapshot) -> Option<Reason> {
        if !self.registry.settings.shared_store {
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
            lease: self.lease.is_half_a_vote(self.guard().within),
        };
        votes.locks.retain(|id| self.unripe(id).is_none());
        let tally = voters.count(&votes);
        if tally.granted {
            return None;
        }
        let text = if voters.current.is_empty() {
            format!(
                "the members of cluster {} are not recorded yet, so nobody may act on it",
                snapshot.cluster.name
            )
        } else {
            format!(
                "this node does not hold enough of the members' locks to act: {tally}; {}",
                self.way_out(&voters, &answering)
            )
        };
        Some(Reason {
            code: "no-majority".to_owned(),
            text,
            about: voters.everybody().difference(&held).cloned().collect(),
        })
    }

    /// What helps against a missing majority.
    fn way_out(&self, voters: &Voters, answering: &BTreeSet<ServerId>) -> String {
        let gone: Vec<String> = voters
            .everybody()
            .difference(answering)
            .map(ToString::to_string)
            .collect();
        match (gone.is_empty(), self.lease.stands_in()) {
            (true, _) => "locks gained a moment ago begin to count within a second".to_owned(),
            (false, true) => format!(
                "the state store is away, so its half vote is missing; {} do not answer: bring the state store or one of them back",
                gone.join(", ")
            ),
            (false, false) => format!("{} do not answer", gone.join(", ")),
        }
    }

    /// For a node that has the store to itself: a lock in other hands is a veto; a server that does not answer is none.
    async fn no_foreign_lock(
        &self,
        target: Option<&ServerId>,
        others: &BTreeSet<ServerId>,
        limit: Duration,
    ) -> Result<usize, WorkError> {
        let checks = others
            .iter()
            .filter(|id| Some(*id) != target)
            .map(|id| verify(&self.sessions, id, limit));
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
}

/// Voters that answer probes: to ask the others could only cost time.
fn answering(snapshot: &Snapshot, voters: &Voters) -> BTreeSet<ServerId> {
    let answers = |id: &ServerId| {
        let server = snapshot.servers.get(id);
        server.is_some_and(|server| server.probe.reach() == Reach::Answering)
    };
    voters.everybody().into_iter().filter(answers).collect()
}

pub(crate) fn refused(command: &'static str, message: String) -> WorkError {
    WorkError::Statement(StatementError::Refused {
        command,
        number: 0,
        message,
    })
}

async fn verify(sessions: &Sessions, server: &ServerId, limit: Duration) -> Result<(), WorkError> {
    let mut lent = sessions.lend(server, limit).await?;
    let state = lent.session.verify_lock(limit).await;
    match state.map_err(WorkError::Lost)? {
        LockState::Held => {
            lent.keep();
            Ok(())
        }
        state @ (LockState::HeldBy { .. } | LockState::Free) => Err(WorkError::LockLost(state)),
    }
}
