//! Taking over what a process left when it ended in the middle of a recovery.

use std::collections::BTreeSet;

use baton_core::ids::{RecoveryId, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_core::operation::End;
use baton_core::planning::Phase;
use baton_ports::RecoveryRecord;

use super::{Driver, NotBegun, Recovery};

/// How many recent recoveries are searched for a later one.
const LOOK_BACK: u32 = 20;

impl Driver {
    /// Takes over an open recovery under the present epoch and brings it to an end.
    ///
    /// Every member must have been probed before, so that what the servers show now decides, not
    /// what was intended.
    pub(crate) async fn resume(&self, mut row: RecoveryRecord) -> Result<RecoveryRecord, NotBegun> {
        let _busy = self.quorum.lease.busy();
        let epoch = self
            .quorum
            .lease
            .epoch_for(std::time::Duration::from_millis(500))
            .ok_or(NotBegun::NoLease)?;
        let node = self.members.registry.settings.node.clone();
        let adopted = self.records.adopt(&row.id, &node, epoch);
        adopted.await.map_err(|error| self.refused(&error))?;
        let steps = self.records.steps(&row.id).await;
        let steps = steps.map_err(|error| self.refused(&error))?;
        let next_step = steps
            .iter()
            .map(|step| step.entry.step)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        let touched: BTreeSet<ServerId> = steps
            .iter()
            .filter_map(|step| step.entry.server.clone())
            .collect();
        let superseded = self.superseded(&row).await;
        row.node = node;
        row.epoch = epoch;
        self.members
            .registry
            .begin_recovery(&self.members.cluster, &row);
        tracing::info!(recovery = %row.id, kind = row.kind.word(), committed = row.committed, "recovery resumed");
        let mut recovery = Recovery {
            driver: self,
            requested: None,
            consent: None,
            trigger: self.members.clock.now(),
            deadline: None,
            row,
            next_step,
            unwritten: Vec::new(),
            touched,
        };
        let end = match superseded {
            Some(later) => {
                recovery.note_problem(format!(
                    "recovery {later} succeeded under a later epoch: nothing of this one is left to do"
                ));
                End {
                    outcome: RecoveryOutcome::Failed,
                    replace: None,
                }
            }
            None => recovery.go_on().await,
        };
        self.close_and_replace(recovery, end).await
    }

    /// The later recovery that replaced a primary of this cluster while this one stayed open. To
    /// continue or undo this one would undo the later one.
    async fn superseded(&self, row: &RecoveryRecord) -> Option<RecoveryId> {
        if !row.kind.replaces_primary() {
            return None;
        }
        let rows = self.records.recent(LOOK_BACK).await;
        let rows = rows.unwrap_or_default();
        let later = rows
            .into_iter()
            .find(|other| other.epoch > row.epoch && other.has_promoted());
        later.map(|later| later.id)
    }
}

impl Recovery<'_> {
    async fn go_on(&mut self) -> End {
        let line = self.note(
            Phase::Lock,
            None,
            format!("resumed under epoch {}", self.epoch()),
        );
        if let Err(error) = self.write(&[line]).await {
            self.note_problem(error.with_causes());
        }
        self.operate_on().await
    }
}
