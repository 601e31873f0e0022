//! What the store keeps of one cluster: its recoveries, its primary and its routes.

use std::sync::Arc;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_ports::{
    AuditRecord, JournalEntry, RecoveryRecord, Route, StepRecord, Store, StoreError,
};

use crate::counters::Counters;
use crate::inventory::Operators;
use crate::leadership::LEASE;

/// Writes and reads one cluster's records. The store refuses a write under an earlier epoch of the
/// lease.
pub(crate) struct Records {
    pub(crate) cluster: ClusterId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) operators: Arc<Operators>,
    pub(crate) counters: Arc<Counters>,
}

impl Records {
    /// Records the beginning of a recovery. Gives its number.
    pub(super) async fn begin(&self, row: &RecoveryRecord) -> Result<i64, StoreError> {
        self.store.begin_recovery(LEASE, row).await
    }

    pub(super) async fn update(&self, row: &RecoveryRecord) -> Result<(), StoreError> {
        self.store.update_recovery(LEASE, row).await
    }

    /// Takes over a recovery that another process left open.
    pub(super) async fn adopt(
        &self,
        id: &RecoveryId,
        node: &NodeName,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        self.store.adopt_recovery(LEASE, id, node, epoch).await
    }

    pub(super) async fn steps(&self, id: &RecoveryId) -> Result<Vec<StepRecord>, StoreError> {
        self.store.steps(id).await
    }

    /// The cluster's newest recoveries.
    pub(super) async fn recent(&self, limit: u32) -> Result<Vec<RecoveryRecord>, StoreError> {
        self.store.recoveries(Some(&self.cluster), 0, limit).await
    }

    /// The cluster's open recoveries.
    pub(super) async fn open(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
        let mut rows = self.store.running_recoveries().await?;
        rows.retain(|row| row.cluster == self.cluster);
        Ok(rows)
    }

    /// Writes lines of a recovery's journal durably.
    pub(super) async fn journal(
        &self,
        row: &RecoveryRecord,
        lines: &[JournalEntry],
    ) -> Result<(), StoreError> {
        let written = self.store.journal(LEASE, &row.id, row.epoch, lines).await;
        if written.is_err() {
            self.counters.store_failures.add();
        }
        written
    }

    pub(super) async fn set_primary(
        &self,
        epoch: LeaseEpoch,
        primary: &ServerId,
    ) -> Result<(), StoreError> {
        self.store
            .set_primary(LEASE, epoch, &self.cluster, primary)
            .await
    }

    pub(super) async fn put_routes(
        &self,
        epoch: LeaseEpoch,
        routes: &[Route],
    ) -> Result<(), StoreError> {
        self.store.put_routes(LEASE, epoch, routes).await
    }

    /// Quarantines a server with the transactions that the primary lacks.
    pub(super) async fn quarantine(
        &self,
        server: &ServerId,
        transactions: &str,
    ) -> Result<(), StoreError> {
        self.store.set_quarantine(server, Some(transactions)).await
    }

    pub(super) async fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.store.audit(record).await
    }

    /// Writes what is in the inventory and not in the store yet: a server that was found a moment
    /// ago.
    pub(super) async fn write_inventory(&self) {
        self.operators.write_changes().await;
    }
}

/// The key-value pairs of a cluster, named as orchestrator names them.
pub(super) fn routes(
    prefix: &str,
    cluster: &str,
    address: &Address,
    epoch: LeaseEpoch,
) -> Vec<Route> {
    let key = format!("{}/{cluster}", prefix.trim_end_matches('/'));
    [
        (key.clone(), address.to_string()),
        (format!("{key}/hostname"), address.host.clone()),
        (format!("{key}/port"), address.port.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| Route { key, value, epoch })
    .collect()
}
