//! The tables of the simulated store.

use std::collections::BTreeMap;

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName, ServerId};
use baton_core::model::Downtime;
use baton_core::right::Voters;
use baton_ports::{
    AuditRecord, ClusterRow, LeaseState, NodeRow, RecoveryRow, Route, ServerRow, StepRow,
    StoreError,
};

/// Everything that one copy of the backend holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) leases: BTreeMap<String, LeaseState>,
    pub(crate) servers: BTreeMap<ServerId, ServerRow>,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterRow>,
    pub(crate) downtimes: BTreeMap<ServerId, Downtime>,
    pub(crate) disabled: bool,
    pub(crate) recoveries: Vec<RecoveryRow>,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) audits: Vec<AuditRecord>,
    pub(crate) nodes: BTreeMap<NodeName, NodeRow>,
    pub(crate) voters: BTreeMap<ClusterId, Voters>,
}

impl Tables {
    /// Refuses what an earlier epoch wants to write.
    pub(crate) fn guard(
        &self,
        operation: &'static str,
        lease: &str,
        epoch: LeaseEpoch,
    ) -> Result<(), StoreError> {
        let held = self
            .leases
            .get(lease)
            .is_some_and(|l| l.epoch == epoch && l.holder.is_some());
        if held {
            Ok(())
        } else {
            Err(StoreError::Fenced { operation, epoch })
        }
    }
}
