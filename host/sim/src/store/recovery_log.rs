//! Recoveries and their journals.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId};
use baton_core::model::RecoveryOutcome;
use baton_core::time::WallTime;
use baton_ports::{JournalEntry, RecoveryLog, RecoveryRow, StepRow, StoreError};

use tokio::time::sleep;

use crate::link::{READ_PATIENCE, SimStore};
use crate::network::NodeId;

#[async_trait]
impl RecoveryLog for SimStore {
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<i64, StoreError> {
        self.write("beginning a recovery", |tables| {
            tables.guard("beginning a recovery", lease, row.epoch)?;
            let running = |r: &&RecoveryRow| {
                r.cluster == row.cluster && r.outcome == RecoveryOutcome::Running
            };
            if let Some(running) = tables.recoveries.iter().find(running) {
                let conflict = format!("recovery {} of the cluster is running", running.id);
                return Err(StoreError::Conflict {
                    operation: "beginning a recovery",
                    conflict,
                });
            }
            let number = i64::try_from(tables.recoveries.len()).unwrap_or(i64::MAX - 1) + 1;
            tables.recoveries.push(RecoveryRow {
                number,
                ..row.clone()
            });
            Ok(number)
        })
        .await
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRow) -> Result<(), StoreError> {
        self.write("recording a recovery", |tables| {
            tables.guard("recording a recovery", lease, row.epoch)?;
            if let Some(old) = tables.recoveries.iter_mut().find(|old| old.id == row.id) {
                let number = old.number;
                *old = RecoveryRow {
                    number,
                    ..row.clone()
                };
            }
            Ok(())
        })
        .await
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.write("adopting a recovery", |tables| {
            tables.guard("adopting a recovery", lease, epoch)?;
            if let Some(row) = tables.recoveries.iter_mut().find(|row| row.id == *id) {
                row.node = node.clone();
                row.epoch = epoch;
            }
            Ok(())
        })
        .await
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.write("writing the journal", |tables| {
            tables.guard("writing the journal", lease, epoch)?;
            for entry in entries {
                let number = i64::try_from(tables.steps.len()).unwrap_or(i64::MAX - 1) + 1;
                tables.steps.push(StepRow {
                    number,
                    recovery: recovery.clone(),
                    entry: entry.clone(),
                });
            }
            Ok(())
        })
        .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRow],
        steps: &[StepRow],
    ) -> Result<(), StoreError> {
        self.enter("taking over recoveries").await?;
        let mut tables = self.lock();
        tables.guard("taking over recoveries", lease, epoch)?;
        tables.merge_recoveries(rows, steps);
        Ok(())
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading running recoveries", READ_PATIENCE)
            .await?;
        let tables = self.lock();
        let running = tables
            .recoveries
            .iter()
            .filter(|row| row.outcome == RecoveryOutcome::Running);
        Ok(running.cloned().collect())
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading recoveries", READ_PATIENCE)
            .await?;
        let late = self.world.change(|state| {
            let mine = |(node, _): &mut (NodeId, u64)| *node == self.node;
            state.late_reading.take_if(mine)
        });
        if let Some((_, late)) = late {
            sleep(Duration::from_millis(late)).await;
        }
        let (skip, limit) = (
            usize::try_from(skip).unwrap_or(0),
            usize::try_from(limit).unwrap_or(0),
        );
        let tables = self.lock();
        let rows = tables
            .recoveries
            .iter()
            .rev()
            .filter(|row| cluster.is_none_or(|c| row.cluster == *c));
        Ok(rows.skip(skip).take(limit).cloned().collect())
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRow>, StoreError> {
        self.enter_somewhere("reading a recovery", READ_PATIENCE)
            .await?;
        Ok(self
            .lock()
            .recoveries
            .iter()
            .find(|row| row.id == *id)
            .cloned())
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRow>, StoreError> {
        self.enter_somewhere("reading a journal", READ_PATIENCE)
            .await?;
        Ok(self
            .lock()
            .steps
            .iter()
            .filter(|step| step.recovery == *id)
            .cloned()
            .collect())
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        self.enter("acknowledging").await?;
        let mut tables = self.lock();
        let mut count = 0;
        for row in &mut tables.recoveries {
            let meant =
                id.is_none_or(|id| row.id == *id) && cluster.is_none_or(|c| row.cluster == *c);
            if meant && row.ended.is_some() && row.acknowledged.is_none() {
                row.acknowledged = Some((by.to_owned(), at, comment.to_owned()));
                count += 1;
            }
        }
        Ok(count)
    }
}
