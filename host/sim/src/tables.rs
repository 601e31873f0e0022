//! The tables of the simulated store.

mod inventory;
mod recovery_log;

use std::collections::BTreeMap;

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_core::model::Downtime;
use baton_ports::{
    AuditRecord, ClusterRecord, LeaseState, NodeRecord, RecoveryRecord, Route, ServerRecord,
    StepRecord, StoreError,
};

use crate::network::NodeId;

/// Everything that one copy of the backend holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) leases: BTreeMap<String, LeaseState>,
    pub(crate) servers: BTreeMap<ServerId, ServerRecord>,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterRecord>,
    pub(crate) downtimes: BTreeMap<ServerId, Downtime>,
    pub(crate) disabled: bool,
    pub(crate) recoveries: Vec<RecoveryRecord>,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) audits: Vec<AuditRecord>,
    pub(crate) nodes: BTreeMap<NodeName, NodeRecord>,
    pub(crate) voters: BTreeMap<ClusterId, Voters>,
    pub(crate) histories: BTreeMap<ClusterId, GtidSet>,
    /// Which node recorded the primary of a cluster last.
    pub(crate) recorders: BTreeMap<ClusterId, NodeId>,
    /// Commits by the node of the backend that took them.
    pub(crate) commits: [u64; 2],
    /// A local disk: who may write is decided by the clusters' votes, as long as no later epoch is
    /// known.
    local: bool,
}

impl Tables {
    /// Refuses what an earlier epoch wants to write.
    pub(crate) fn guard(
        &self,
        operation: &'static str,
        lease: &str,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        let held = self.leases.get(lease).is_some_and(|l| {
            let own = l.epoch == epoch && l.holder.is_some();
            own || self.local && epoch >= l.epoch
        });
        if held {
            Ok(())
        } else {
            Err(StoreError::Fenced { operation, epoch })
        }
    }

    /// A copy for a local disk.
    pub(crate) fn to_disk(&self) -> Self {
        Self {
            local: true,
            ..self.clone()
        }
    }

    /// Takes over what a node wrote to its local disk: rows of later epochs, its own of the same
    /// one, which had no other holder, and lines that are not here.
    pub(crate) fn take_over(&mut self, node: NodeId, disk: &Self) {
        self.merge_recoveries(&disk.recoveries, &disk.steps);
        for row in disk.clusters.values() {
            let is_own = disk.recorders.get(&row.id) == Some(&node);
            if let Some(old) = self.clusters.get_mut(&row.id)
                && (old.primary_epoch < row.primary_epoch
                    || is_own && old.primary_epoch == row.primary_epoch)
            {
                old.primary.clone_from(&row.primary);
                old.primary_epoch = row.primary_epoch;
            }
        }
        for (key, route) in &disk.routes {
            if self
                .routes
                .get(key)
                .is_none_or(|old| old.epoch < route.epoch)
            {
                self.routes.insert(key.clone(), route.clone());
            }
        }
    }
}

/// The refusal of a call that does not fit what is stored.
pub(crate) fn conflict(operation: &'static str, conflict: String) -> StoreError {
    StoreError::Conflict {
        operation,
        conflict,
    }
}
