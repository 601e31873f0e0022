//! Recoveries and their journals in the tables: the same refusals as a real store's.

use baton_core::ids::{LeaseEpoch, NodeName, RecoveryId};
use baton_core::model::RecoveryOutcome;
use baton_ports::{JournalEntry, RecoveryRecord, StepRecord, StoreError};

use super::{Tables, conflict};

impl Tables {
    pub(crate) fn begin_recovery(
        &mut self,
        lease: &str,
        row: &RecoveryRecord,
    ) -> Result<i64, StoreError> {
        const OPERATION: &str = "beginning a recovery";
        self.guard(OPERATION, lease, row.epoch)?;
        if self.recoveries.iter().any(|old| old.id == row.id) {
            let why = format!("recovery {} is recorded already", row.id);
            return Err(conflict(OPERATION, why));
        }
        if let Some(other) = self.running_beside(row) {
            let why = format!("recovery {other} of the cluster is running");
            return Err(conflict(OPERATION, why));
        }
        Ok(self.add(row.clone()))
    }

    pub(crate) fn update_recovery(
        &mut self,
        lease: &str,
        row: &RecoveryRecord,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "recording a recovery";
        self.guard(OPERATION, lease, row.epoch)?;
        let old = self.recovery_of(OPERATION, &row.id, |epoch| epoch == row.epoch, row.epoch)?;
        if old.outcome != RecoveryOutcome::Running && row.outcome == RecoveryOutcome::Running {
            return Err(conflict(OPERATION, has_ended(&row.id)));
        }
        change(old, row);
        Ok(())
    }

    pub(crate) fn adopt_recovery(
        &mut self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "adopting a recovery";
        self.guard(OPERATION, lease, epoch)?;
        let row = self.recovery_of(OPERATION, id, |stored| stored <= epoch, epoch)?;
        if row.outcome != RecoveryOutcome::Running {
            return Err(conflict(OPERATION, has_ended(id)));
        }
        row.node = node.clone();
        row.epoch = epoch;
        Ok(())
    }

    pub(crate) fn journal(
        &mut self,
        lease: &str,
        id: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "writing the journal";
        self.guard(OPERATION, lease, epoch)?;
        self.recovery_of(OPERATION, id, |stored| stored == epoch, epoch)?;
        for entry in entries {
            self.add_line(id, entry);
        }
        Ok(())
    }

    /// Takes over recoveries that were journaled elsewhere.
    pub(crate) fn merge_recoveries(&mut self, rows: &[RecoveryRecord], steps: &[StepRecord]) {
        for row in rows {
            if self.is_older(row) {
                continue;
            }
            let row = self.failed_if_another_runs(row.clone());
            match self.recoveries.iter_mut().find(|old| old.id == row.id) {
                Some(old) => {
                    change(old, &row);
                    old.node = row.node;
                    old.epoch = row.epoch;
                }
                None => {
                    self.add(row);
                }
            }
        }
        for step in steps {
            let is_same =
                |old: &StepRecord| old.recovery == step.recovery && old.entry == step.entry;
            if !self.steps.iter().any(is_same) {
                self.add_line(&step.recovery, &step.entry);
            }
        }
    }

    /// True if a later epoch has the recovery by now, or it has ended and `row` does not know it.
    fn is_older(&self, row: &RecoveryRecord) -> bool {
        let old = self.recoveries.iter().find(|old| old.id == row.id);
        old.is_some_and(|old| {
            let has_ended = old.outcome != RecoveryOutcome::Running;
            old.epoch > row.epoch || has_ended && row.outcome == RecoveryOutcome::Running
        })
    }

    /// Another recovery of the same cluster that is running.
    fn running_beside(&self, row: &RecoveryRecord) -> Option<RecoveryId> {
        let is_other = |other: &&RecoveryRecord| {
            other.cluster == row.cluster
                && other.id != row.id
                && other.outcome == RecoveryOutcome::Running
        };
        let other = self.recoveries.iter().find(is_other);
        other.map(|other| other.id.clone())
    }

    /// Of two running recoveries of a cluster, the one that comes later has failed.
    fn failed_if_another_runs(&self, mut row: RecoveryRecord) -> RecoveryRecord {
        if row.outcome == RecoveryOutcome::Running
            && let Some(other) = self.running_beside(&row)
        {
            row.outcome = RecoveryOutcome::Failed;
            row.ended = Some(row.started);
            row.errors.push(format!("recovery {other} was running"));
        }
        row
    }

    fn recovery_of(
        &mut self,
        operation: &'static str,
        id: &RecoveryId,
        belongs: impl FnOnce(LeaseEpoch) -> bool,
        epoch: LeaseEpoch,
    ) -> Result<&mut RecoveryRecord, StoreError> {
        match self.recoveries.iter_mut().find(|row| row.id == *id) {
            None => Err(conflict(
                operation,
                format!("recovery {id} is not recorded"),
            )),
            Some(row) if !belongs(row.epoch) => Err(StoreError::Fenced { operation, epoch }),
            Some(row) => Ok(row),
        }
    }

    fn add(&mut self, row: RecoveryRecord) -> i64 {
        let number = next_number(self.recoveries.len());
        self.recoveries.push(RecoveryRecord { number, ..row });
        number
    }

    fn add_line(&mut self, id: &RecoveryId, entry: &JournalEntry) {
        self.steps.push(StepRecord {
            number: next_number(self.steps.len()),
            recovery: id.clone(),
            entry: entry.clone(),
        });
    }
}

fn has_ended(id: &RecoveryId) -> String {
    format!("recovery {id} has ended")
}

fn next_number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX - 1) + 1
}

/// What changes while a recovery runs.
fn change(old: &mut RecoveryRecord, new: &RecoveryRecord) {
    *old = RecoveryRecord {
        successor: new.successor.clone(),
        successor_address: new.successor_address.clone(),
        outcome: new.outcome,
        ended: new.ended,
        lost: new.lost.clone(),
        errors: new.errors.clone(),
        committed: new.committed,
        ..old.clone()
    };
}
