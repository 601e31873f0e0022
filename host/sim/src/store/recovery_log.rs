//! Recoveries and their journals.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId};
use baton_core::model::RecoveryOutcome;
use baton_core::time::WallTime;
use baton_ports::{JournalEntry, RecoveryLog, RecoveryRecord, StepRecord, StoreError};

use tokio::time::sleep;

use crate::link::{READ_PATIENCE, SimStore};
use crate::network::NodeId;

#[async_trait]
impl RecoveryLog for SimStore {
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError> {
        self.write("beginning a recovery", |tables| {
            tables.begin_recovery(lease, row)
        })
        .await
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        self.write("recording a recovery", |tables| {
            tables.update_recovery(lease, row)
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
            tables.adopt_recovery(lease, id, node, epoch)
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
            tables.journal(lease, recovery, epoch, entries)
        })
        .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRecord],
        steps: &[StepRecord],
    ) -> Result<(), StoreError> {
        self.enter("taking over recoveries").await?;
        let mut tables = self.lock();
        tables.guard("taking over recoveries", lease, epoch)?;
        tables.merge_recoveries(rows, steps);
        Ok(())
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
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
    ) -> Result<Vec<RecoveryRecord>, StoreError> {
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

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRecord>, StoreError> {
        self.enter_somewhere("reading a recovery", READ_PATIENCE)
            .await?;
        Ok(self
            .lock()
            .recoveries
            .iter()
            .find(|row| row.id == *id)
            .cloned())
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
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
