//! Replacing a living primary. If it cannot be completed within its deadline, the old primary is writable again.

use baton_core::ids::ServerId;
use baton_core::model::RecoveryOutcome;
use baton_core::planning::{SwitchoverRequest, candidates, plan_switchover};

use super::Recovery;
use super::failover::Judgement;

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
        let request = SwitchoverRequest {
            from: self.row.failed.clone(),
            to: successor.clone(),
            epoch: self.epoch(),
            lag_limit: self.means.registry.settings.switchover_lag_limit,
        };
        let settings = &self.means.registry.settings.plan;
        let plan = match plan_switchover(&snapshot, &request, settings) {
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

    async fn pick_successor(&mut self) -> Option<ServerId> {
        if let Some(requested) = &self.requested {
            return Some(requested.clone());
        }
        let snapshot = self.means.snapshot()?;
        let list = candidates(&snapshot, &self.row.failed, None);
        self.rank(&snapshot, &list).await.first().cloned()
    }
}
