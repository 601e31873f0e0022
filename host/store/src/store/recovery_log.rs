//! Recoveries and their journals.

use async_trait::async_trait;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, RecoveryId};
use baton_core::time::WallTime;
use baton_ports::{JournalEntry, RecoveryLog, RecoveryRecord, StepRecord, StoreError};

use crate::failure::Refusal;
use crate::operations::recovery::Acknowledgement;
use crate::operations::{handover, journal, recovery, recovery_row};
use crate::session::Backend;
use crate::store::{SqlStore, finish, write};
use crate::value::values;

#[async_trait]
impl<B: Backend> RecoveryLog for SqlStore<B> {
    async fn begin_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<i64, StoreError> {
        write!(self, "beginning a recovery", |session, in_doubt| {
            recovery::begin(session, lease, row, in_doubt)
        })
    }

    async fn update_recovery(&self, lease: &str, row: &RecoveryRecord) -> Result<(), StoreError> {
        write!(self, "updating a recovery", |session| recovery::update(
            session, lease, row
        ))
    }

    async fn adopt_recovery(
        &self,
        lease: &str,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        write!(self, "adopting a recovery", |session| recovery::adopt(
            session, lease, id, node, epoch
        ))
    }

    async fn journal(
        &self,
        lease: &str,
        recovery: &RecoveryId,
        epoch: LeaseEpoch,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        write!(self, "journaling steps", |session, in_doubt| {
            journal::append(session, (lease, epoch), recovery, entries, in_doubt)
        })
    }

    async fn merge_recoveries(
        &self,
        lease: &str,
        epoch: LeaseEpoch,
        rows: &[RecoveryRecord],
        steps: &[StepRecord],
    ) -> Result<(), StoreError> {
        write!(self, "taking over recoveries", |session| handover::merge(
            session,
            (lease, epoch),
            rows,
            steps
        ))
    }

    async fn running_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
        self.all(
            "reading running recoveries",
            recovery::RUNNING,
            Vec::new(),
            recovery_row::read,
        )
        .await
    }

    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, StoreError> {
        let (sql, values) = match cluster {
            Some(cluster) => (recovery::OF_CLUSTER, values![cluster, limit, skip]),
            None => (recovery::ALL, values![limit, skip]),
        };
        self.all("reading recoveries", sql, values, recovery_row::read)
            .await
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<RecoveryRecord>, StoreError> {
        self.one(
            "reading a recovery",
            recovery::ONE,
            values![id],
            recovery_row::read,
        )
        .await
    }

    async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
        self.all(
            "reading a journal",
            journal::STEPS,
            values![id],
            journal::read,
        )
        .await
    }

    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        at: WallTime,
        comment: &str,
    ) -> Result<u64, StoreError> {
        let acknowledgement = Acknowledgement {
            id,
            cluster,
            by,
            at,
            comment,
        };
        write!(self, "acknowledging recoveries", |session, in_doubt| {
            recovery::acknowledge(session, &acknowledgement, in_doubt)
        })
    }
}
