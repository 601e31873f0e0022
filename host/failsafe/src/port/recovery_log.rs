//! Recoveries and their journals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId};
use baton_core::time::WallTime;
use baton_ports::{JournalEntry, RecoveryLog, RecoveryRecord, StepRecord, StoreError};

use super::{ANY_AGE, NEWEST};
use crate::FailsafeStore;
use crate::disk::Subject;
use crate::overlay::{self, Page};

#[async_trait]
impl RecoveryLog for FailsafeStore {
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError> {
        let begun_here = AtomicBool::new(false);
        let local = async {
            let number = self.disk.begin(lease, row).await?;
            begun_here.store(true, Ordering::Relaxed);
            Ok(number)
        };
        let begun = self
            .write(
                "beginning a recovery",
                (lease, row.epoch),
                Subject::Recovery(row.id.clone()),
                local,
                self.shared.begin_recovery(lease, row),
            )
            .await;
        match (&begun, begun_here.load(Ordering::Relaxed)) {
            (Err(_), true) => self.take_back(&row.id).await,
            // The shared store has no other running one: what conflicts on the local disk has ended
            // without this disk being told.
            (Ok(_), false) => self.begin_here(lease, row).await,
            (Ok(_), true) | (Err(_), false) => {}
        }
        if let Ok(number) = &begun
            && !self.disk.mirror().unsent.contains_key(&row.id)
        {
            self.copies.begin(row, *number);
        }
        begun
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        self.write(
            "updating a recovery",
            (lease, row.epoch),
            Subject::Recovery(row.id.clone()),
            self.disk.update(lease, row),
            self.shared.update_recovery(lease, row),
        )
        .await?;
        self.copies.update(row);
        Ok(())
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        let known = self.known_recovery(id).await;
        self.write(
            "adopting a recovery",
            (lease, epoch),
            Subject::Recovery(id.clone()),
            self.disk.adopt((lease, epoch), id, node, known),
            self.shared.adopt_recovery(lease, id, node, epoch),
        )
        .await
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.write(
            "journaling steps",
            (lease, epoch),
            Subject::Recovery(recovery.clone()),
            self.disk.journal((lease, epoch), recovery, entries),
            self.shared.journal(lease, recovery, epoch, entries),
        )
        .await
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRecord],
        steps: &[StepRecord],
    ) -> Result<(), StoreError> {
        self.pass(
            "taking over recoveries",
            self.shared.merge_recoveries(lease, epoch, rows, steps),
        )
        .await
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
        const OPERATION: &str = "reading running recoveries";
        let kept = self.copies.recoveries.within(ANY_AGE);
        let shared = match kept {
            Some(kept) if self.health.is_away() => kept,
            Some(kept) => {
                let limit = self.options.write.saturating_mul(2);
                let read = self.within(OPERATION, limit, self.shared.running_recoveries());
                read.await.unwrap_or(kept)
            }
            None => self.shared.running_recoveries().await?,
        };
        Ok(overlay::running(shared, &self.disk.mirror()))
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, StoreError> {
        const OPERATION: &str = "reading recoveries";
        let page = Page {
            cluster,
            skip,
            limit,
        };
        let newest = &self.copies.recoveries;
        let shared = self.shared.recoveries(cluster, skip, limit);
        if cluster.is_none() && skip == 0 && limit >= NEWEST {
            let rows = self.read(OPERATION, (newest, ANY_AGE), shared).await?;
            return Ok(overlay::recoveries(rows, &self.disk.mirror(), page));
        }
        let kept = newest.within(ANY_AGE);
        if kept.is_none() || !self.health.is_away() {
            match (
                self.within(OPERATION, self.options.read, shared).await,
                &kept,
            ) {
                (Ok(rows), _) => return Ok(overlay::recoveries(rows, &self.disk.mirror(), page)),
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) => {}
            }
        }
        let kept = kept.unwrap_or_default();
        Ok(page.of(overlay::recoveries(kept, &self.disk.mirror(), Page::ALL)))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRecord>, StoreError> {
        let local = self.unsent_recovery(id);
        if self.health.is_away()
            && let Some(row) = self.known_recovery(id).await
        {
            return Ok(Some(row));
        }
        let limit = if local.is_some() {
            self.options.read
        } else {
            Duration::MAX
        };
        let read = self.within("reading a recovery", limit, self.shared.recovery(id));
        match (read.await, local) {
            (Ok(Some(shared)), _) => Ok(Some(overlay::recovery(shared, &self.disk.mirror()))),
            (Ok(None) | Err(_), Some(local)) => Ok(Some(local)),
            (Ok(None), None) => Ok(None),
            (Err(error), None) => Err(error),
        }
    }

    /// While the shared store is away: the lines that this node wrote, without earlier lines of
    /// other nodes.
    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
        let local = self
            .on_disk("reading a journal", self.disk.steps(id))
            .await?;
        if self.health.is_away() {
            return Ok(local);
        }
        let limit = if local.is_empty() {
            Duration::MAX
        } else {
            self.options.read
        };
        match self
            .within("reading a journal", limit, self.shared.steps(id))
            .await
        {
            Ok(shared) if self.disk.mirror().unsent.contains_key(id) => {
                Ok(overlay::steps(shared, local))
            }
            Ok(shared) => Ok(shared),
            Err(_) if !local.is_empty() => Ok(local),
            Err(error) => Err(error),
        }
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        let count = self
            .pass(
                "acknowledging recoveries",
                self.shared.acknowledge(id, cluster, by, at, comment),
            )
            .await?;
        let said = (by.to_owned(), at, comment.to_owned());
        self.copies.acknowledge((id, cluster), &said);
        Ok(count)
    }
}

impl FailsafeStore {
    /// A recovery that is not handed over yet.
    fn unsent_recovery(&self, id: &RecoveryId) -> Option<RecoveryRecord> {
        let mirror = self.disk.mirror();
        let row = mirror.recoveries.get(id);
        row.filter(|row| mirror.unsent.contains_key(&row.id))
            .cloned()
    }

    /// The recovery, if it can be found without a long wait.
    async fn known_recovery(&self, id: &RecoveryId) -> Option<RecoveryRecord> {
        let local = self.disk.mirror().recoveries.get(id).cloned();
        if local.is_some() {
            return local;
        }
        if !self.health.is_away() {
            let limit = self.options.write;
            let read = self.within("reading a recovery", limit, self.shared.recovery(id));
            if let Ok(row) = read.await {
                return row;
            }
        }
        let kept = self.copies.recoveries.within(ANY_AGE)?;
        kept.into_iter().find(|row| row.id == *id)
    }
}
