//! Replacing a living primary. If it cannot be completed within its deadline, the old primary is writable again.

use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::{
    ProbeFailure, RecoveryKind, RecoveryOutcome, ServerFacts, Snapshot, Topology,
};
use baton_core::planning::{Blocked, Plan, SwitchoverRequest, candidates, plan_switchover};

use super::Recovery;
use super::failover::Judgement;
use super::perform::observe;
use crate::sessions::WorkError;

/// How long the successor of a living primary is asked whether it takes writes, when it was lost at the step that opens them. Long enough
/// for a server that is restarted at once: while its word is missing, nobody can be opened without the danger of two.
const PATIENCE: Duration = Duration::from_secs(30);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);

impl Recovery<'_> {
    pub(crate) async fn switchover(&mut self) -> RecoveryOutcome {
        let Some(successor) = self.pick_successor().await else {
            self.complain("no replica may take over");
            return RecoveryOutcome::Failed;
        };
        self.note_successor(&successor);
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let plan = match self.plan_switchover_to(&snapshot, &successor) {
            Ok(plan) => plan,
            Err(blocked) => {
                self.complain(blocked.to_string());
                return RecoveryOutcome::Failed;
            }
        };
        let ended = self.run(plan.clone()).await;
        match self.judge(ended, &successor).await {
            Judgement::Promoted => RecoveryOutcome::Succeeded,
            Judgement::NotPromoted => {
                self.row.committed = false;
                self.row.successor = None;
                self.row.successor_address = None;
                self.unwind(Some(plan)).await
            }
            Judgement::OutOfRight => RecoveryOutcome::Failed,
        }
    }

    /// The step that opens writes was sent, and its outcome is not known: what the successor says decides.
    pub(crate) async fn judge_by_its_word(&mut self, successor: &ServerId) -> Judgement {
        match self.word_of(successor).await {
            Ok(facts) if facts.is_writable() => {
                self.finish_forward(successor).await;
                Judgement::Promoted
            }
            _ if self.lost_the_right() => Judgement::OutOfRight,
            Ok(_) => Judgement::NotPromoted,
            Err(_) if self.is_followed(successor) => {
                self.complain(format!(
                    "{successor} does not answer, and replicas follow it already: it is the primary"
                ));
                self.finish_forward(successor).await;
                Judgement::Promoted
            }
            Err(WorkError::Lost(ProbeFailure::Timeout(_)))
                if self.row.kind.replaces_lost_primary() =>
            {
                self.hand_to_silent(successor).await;
                Judgement::Promoted
            }
            Err(_) => {
                // It may take writes where nobody sees it: the old primary must not, whatever happens next.
                self.maybe_open = true;
                Judgement::NotPromoted
            }
        }
    }

    /// Whether a failover had come so far that siblings were pointed at the successor, which it does only once that takes writes: what they have
    /// acknowledged since, those that are left lack. In a switchover siblings are moved before.
    fn is_followed(&self, successor: &ServerId) -> bool {
        let fails_over = self.row.kind.replaces_lost_primary();
        let Some(snapshot) = self.means.snapshot().filter(|_| fails_over) else {
            return false;
        };
        let topology = Topology::of(&snapshot);
        let mut followers = topology.replicas_of(successor).iter();
        // Whoever followed it before had not been stopped by this recovery.
        followers.any(|edge| self.touched.contains(&edge.replica))
    }

    /// What the successor says of itself, if it says anything. In a failover another replica may be promoted at once; in a switchover
    /// nothing but this word lets the old primary take writes again, so it is waited for.
    async fn word_of(&self, successor: &ServerId) -> Result<ServerFacts, WorkError> {
        let patience = match self.row.kind {
            RecoveryKind::Switchover => PATIENCE,
            RecoveryKind::Failover
            | RecoveryKind::CoPrimaryFailover
            | RecoveryKind::IntermediateFailover
            | RecoveryKind::Rejoin
            | RecoveryKind::Reopen => Duration::ZERO,
        };
        let until = self.means.clock.now().plus(patience);
        loop {
            let word = observe(self.means, successor, ANSWER).await;
            if word.is_ok() || self.lost_the_right() || self.means.clock.now() >= until {
                return word;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn plan_switchover_to(
        &self,
        snapshot: &Snapshot,
        successor: &ServerId,
    ) -> Result<Plan, Blocked> {
        let request = SwitchoverRequest {
            from: self.row.failed.clone(),
            to: successor.clone(),
            epoch: self.epoch(),
            lag_limit: self.means.registry.settings.switchover_lag_limit,
        };
        plan_switchover(snapshot, &request, &self.means.registry.settings.plan)
    }

    async fn pick_successor(&mut self) -> Option<ServerId> {
        if let Some(requested) = &self.requested {
            return Some(requested.clone());
        }
        let snapshot = self.means.snapshot()?;
        let list = candidates(&snapshot, &self.row.failed, None);
        let order = self.rank(&snapshot, &list).await;
        let mut refused = Vec::new();
        for successor in order {
            match self.plan_switchover_to(&snapshot, &successor) {
                Ok(_) => return Some(successor),
                Err(blocked) => refused.push(blocked.to_string()),
            }
        }
        // Whoever is ranked first says why: nothing else is as close.
        for text in refused {
            self.complain(text);
        }
        None
    }
}
