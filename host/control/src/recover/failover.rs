//! Replacing a primary that is dead, hung or useless, or that a person wants replaced: secure, choose, promote.

use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::{Reach, RecoveryKind, RecoveryOutcome, Snapshot};
use baton_core::planning::{
    Blocked, Candidate, Choice, Election, Phase, Plan, SecureRequest, candidates, delayed_last,
    plan_promote, plan_secure, plan_unwind, rank_question,
};
use baton_core::time::Timestamp;

use super::Recovery;
use super::run::Ended;

/// How long it is tried in one go to undo what was begun, while the store does not take the journal or the right to act is missing.
const UNDO_PATIENCE: Duration = Duration::from_secs(5);
/// How many successors are tried before a failover is given up.
const TRIES: usize = 3;

impl Recovery<'_> {
    pub(crate) async fn failover(&mut self) -> RecoveryOutcome {
        let Some(secured) = self.secure().await else {
            return self.unwind(None).await;
        };
        for _ in 0..TRIES {
            let Some(snapshot) = self.means.snapshot() else {
                return RecoveryOutcome::Failed;
            };
            let choice = match self.choose(&snapshot, secured.revoked_after).await {
                Ok(choice) => choice,
                Err(blocked) => {
                    self.complain(blocked.to_string());
                    return self.unwind(Some(secured)).await;
                }
            };
            self.note_successor(&choice.successor);
            let plan = plan_promote(
                &snapshot,
                &secured,
                &choice,
                &self.means.registry.settings.plan,
                self.next_step(),
            );
            self.undrained = None;
            let ended = self.run(plan).await;
            match self.judge(ended, &choice.successor).await {
                Judgement::Promoted => return RecoveryOutcome::Succeeded,
                // The successor was lost on the way. Nobody is writable that we know of: the next one is tried, and
                // what the lost one may have done is found when it returns, for it is not the primary then.
                Judgement::NotPromoted => {
                    self.row.committed = false;
                    // Who cannot hand on what it has would keep the next one waiting as long.
                    let failed = self.undrained.take();
                    self.tried
                        .insert(failed.unwrap_or_else(|| choice.successor.clone()));
                }
                Judgement::OutOfRight => return RecoveryOutcome::Failed,
            }
        }
        self.complain(format!("no successor could be promoted in {TRIES} tries"));
        self.unwind(Some(secured)).await
    }

    async fn secure(&mut self) -> Option<Plan> {
        let snapshot = self.means.snapshot()?;
        let request = SecureRequest {
            kind: self.row.kind,
            failed: self.row.failed.clone(),
            epoch: self.epoch(),
            first_step: self.next_step(),
        };
        let plan = match plan_secure(&snapshot, &request, &self.means.registry.settings.plan) {
            Ok(plan) => plan,
            Err(blocked) => {
                self.complain(blocked.to_string());
                return None;
            }
        };
        match self.run(plan.clone()).await {
            Ended::Completed { tolerated: _ } => Some(plan),
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => None,
        }
    }

    /// Asks the policy to rank who was read after receivers were stopped, and takes the first that loses nothing.
    async fn choose(
        &mut self,
        snapshot: &Snapshot,
        read_after: Option<Timestamp>,
    ) -> Result<Choice, Blocked> {
        let mut list = candidates(snapshot, &self.row.failed, read_after);
        list.retain(|candidate| !self.tried.contains(&candidate.server));
        let order = self.rank(snapshot, &list).await;
        let election = Election {
            kind: self.row.kind,
            replaced: &self.row.failed,
            order: &order,
            list: &list,
            snapshot,
            revoked_after: read_after,
            requested: self.requested.as_ref(),
            consent: self.consent.as_ref(),
        };
        let choice = election.choose()?;
        self.state_loss(&choice);
        let (lost, followers) = self.split_siblings(snapshot, &list, &choice);
        let text = format!(
            "{} takes over{}; {followers} replicas follow{}",
            choice.successor,
            choice
                .catch_up_from
                .as_ref()
                .map(|from| format!(" after catching up from {from}"))
                .unwrap_or_default(),
            if lost.is_empty() {
                String::new()
            } else {
                format!("; not reached: {}", join(&lost))
            },
        );
        self.row.lost = lost;
        let line = self.note(Phase::Choose, Some(&choice.successor), text);
        self.defer(line);
        Ok(choice)
    }

    /// What is lost stands in the record, by number, before anybody is opened.
    fn state_loss(&mut self, choice: &Choice) {
        if choice.given_up > 0 {
            self.complain(format!(
                "{} transactions are given up with {}",
                choice.given_up, choice.successor
            ));
        }
        for risk in &choice.risked {
            self.complain(format!("risked: {}", risk.text));
        }
    }

    fn split_siblings(
        &self,
        snapshot: &Snapshot,
        list: &[Candidate],
        choice: &Choice,
    ) -> (Vec<ServerId>, usize) {
        let answering = |id: &ServerId| {
            snapshot
                .servers
                .get(id)
                .is_some_and(|server| server.probe.reach() == Reach::Answering)
        };
        let siblings = list
            .iter()
            .map(|c| c.server.clone())
            .filter(|id| *id != choice.successor);
        let (reached, lost): (Vec<ServerId>, Vec<ServerId>) = siblings.partition(answering);
        (lost, reached.len())
    }

    /// The policy's order; a requested server goes first if the host allows it.
    pub(crate) async fn rank(&mut self, snapshot: &Snapshot, list: &[Candidate]) -> Vec<ServerId> {
        let target = (self.row.kind, &self.row.failed);
        let context = crate::decide::context(snapshot, &self.means.registry.settings.node, "rank");
        let asked = rank_question(snapshot, target, list, self.requested.as_ref(), context);
        if asked.question.candidates.is_empty() {
            return Vec::new();
        }
        let reply = self.means.policies.rank(&asked.question).await;
        self.means
            .count_policy_call(reply.took, reply.fallback.is_some());
        if let Some(failure) = &reply.fallback {
            self.complain(format!(
                "policy {} failed ({}): {}",
                failure.policy, failure.kind, failure.text
            ));
        }
        let mut order = delayed_last(&asked.order(&reply.answer.order), list);
        if let Some(requested) = &self.requested
            && list
                .iter()
                .any(|candidate| candidate.server == *requested && candidate.is_allowed())
        {
            order.retain(|id| id != requested);
            order.insert(0, requested.clone());
        }
        let first = order.first();
        let why = first.map_or(&[][..], |first| {
            asked.reasons_for(&reply.answer.order, first)
        });
        let mut reasons: Vec<&str> = why.iter().map(|reason| reason.text.as_str()).collect();
        if first.is_some() && first == self.requested.as_ref() {
            reasons.insert(0, "A person named it.");
        }
        let text = format!(
            "{} ranks {}: {}",
            reply.policy,
            join(&order),
            reasons.join("; ")
        );
        let line = self.note(Phase::Choose, None, text);
        self.defer(line);
        order
    }

    pub(crate) fn note_successor(&mut self, successor: &ServerId) {
        self.row.successor_address = self.means.registry.address(successor);
        self.row.successor = Some(successor.clone());
    }

    /// What a promotion came to. If the step that opens writes got no answer, the server is asked.
    pub(crate) async fn judge(&mut self, ended: Ended, successor: &ServerId) -> Judgement {
        match ended {
            Ended::Completed { tolerated } => {
                self.note_lost(&tolerated);
                Judgement::Promoted
            }
            Ended::Stopped if self.lost_the_right() => Judgement::OutOfRight,
            Ended::Stopped => Judgement::NotPromoted,
            Ended::StoppedWithWritesPerhapsOpen => self.judge_by_its_word(successor).await,
        }
    }

    pub(crate) fn lost_the_right(&self) -> bool {
        self.means.lease.epoch_for(Duration::ZERO) != Some(self.row.epoch)
    }

    fn note_lost(
        &mut self,
        tolerated: &[(baton_core::planning::StepId, baton_core::execution::Failure)],
    ) {
        // The journal has the details; what matters to a person is which servers were left behind.
        if let Some(snapshot) = self.means.snapshot()
            && let Some(successor) = &self.row.successor
            && !tolerated.is_empty()
        {
            let topology = baton_core::model::Topology::of(&snapshot);
            let failed = self.row.failed.clone();
            let left: Vec<ServerId> = topology
                .replicas_of(&failed)
                .iter()
                .map(|edge| edge.replica.clone())
                .filter(|id| id != successor && !self.row.lost.contains(id))
                .collect();
            self.row.lost.extend(left);
        }
    }

    /// Puts replicas back under the old primary if it lives, and says how it ended. What was secured stays secured if the old
    /// primary is dead: the next attempt begins with it. [`RecoveryOutcome::Running`] if a switchover is to be undone later.
    pub(crate) async fn unwind(&mut self, secured: Option<Plan>) -> RecoveryOutcome {
        let Some(plan) = secured.or_else(|| self.bare_plan()) else {
            return RecoveryOutcome::Failed;
        };
        self.means.lease.settle().await;
        if self.lost_the_right() {
            return RecoveryOutcome::Failed;
        }
        if self.maybe_open {
            self.complain(format!(
                "{} stays as it is: a successor that does not answer may take writes; a person has to look",
                self.row.failed
            ));
            return RecoveryOutcome::Failed;
        }
        self.deadline = None;
        let until = self.means.clock.now().plus(UNDO_PATIENCE);
        loop {
            let begun = self.means.clock.now();
            self.unrecorded = false;
            let outcome = self.undo(&plan).await;
            self.means.lease.settle().await;
            if outcome != RecoveryOutcome::Failed || self.lost_the_right() {
                return outcome;
            }
            // Nothing that passes must leave the cluster without a writer: a store or a majority that is away for a moment, a session that
            // another node ended. A dead primary is not waited for: what is missing for it is missing for the next attempt, too.
            let planned = self.row.kind == RecoveryKind::Switchover;
            let unmet = self.is_old_primary_back() || self.means.right.was_refused(begun);
            if !(self.unrecorded || planned && unmet) {
                return outcome;
            }
            if self.means.clock.now() > until {
                return if planned {
                    RecoveryOutcome::Running
                } else {
                    outcome
                };
            }
            tokio::time::sleep(super::END_RETRY).await;
        }
    }

    async fn undo(&mut self, plan: &Plan) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let settings = &self.means.registry.settings.plan;
        let undo = plan_unwind(&snapshot, plan, &self.touched, settings, self.next_step());
        if undo.steps.is_empty() {
            return RecoveryOutcome::Failed;
        }
        match self.run(undo).await {
            Ended::Completed { tolerated: _ } => RecoveryOutcome::Unwound,
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => RecoveryOutcome::Failed,
        }
    }

    fn bare_plan(&self) -> Option<Plan> {
        let snapshot = self.means.snapshot()?;
        Some(Plan {
            cluster: snapshot.cluster.id,
            kind: self.row.kind,
            epoch: self.epoch(),
            failed: self.row.failed.clone(),
            successor: None,
            fence_waiver: None,
            loss_consented: false,
            revoked_after: None,
            steps: Vec::new(),
        })
    }
}

/// What a promotion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The successor is writable.
    Promoted,
    /// It is not, as far as can be known; another one may be tried.
    NotPromoted,
    /// The lease is gone: nothing more may be done here.
    OutOfRight,
}

pub(crate) fn join(ids: &[ServerId]) -> String {
    ids.iter()
        .map(ServerId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
