//! Repairs beside recoveries. They take the same way to a server: plan, objections, journal, right to
//! act.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::check::approve;
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::planning::{Repair, plan_repair};
use baton_core::time::Timestamp;
use baton_ports::AuditRecord;

use super::Means;
use super::perform::perform;
use crate::right::refused;
use crate::sessions::WorkError;

/// A repair that is repeated is journaled once in this time: a primary that hangs for hours would
/// push everything else out of the audit log.
const JOURNALED_EVERY: Duration = Duration::from_mins(10);

/// When which kind of repair of a server was journaled last.
#[derive(Debug, Default)]
pub(crate) struct Journaled(Mutex<BTreeMap<(ServerId, &'static str), Timestamp>>);

impl Journaled {
    /// True if it is to be journaled now.
    fn is_due(&self, repair: &Repair, now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| now.since(*at) < JOURNALED_EVERY);
        let key = (repair.server().clone(), repair.describe());
        let due = !known.contains_key(&key);
        known.entry(key).or_insert(now);
        due
    }
}

impl Means {
    /// Carries a repair out, within `limit` for the change itself.
    ///
    /// # Errors
    /// If the checker objects, the journal cannot be written, the right to act is missing, or the
    /// server refuses. Nothing is sent then, except in the last case.
    pub(crate) async fn repair(
        self: &Arc<Self>,
        repair: &Repair,
        epoch: LeaseEpoch,
        limit: Duration,
    ) -> Result<(), WorkError> {
        let Some(snapshot) = self.snapshot() else {
            return Err(refused("repair", "the cluster is gone".to_owned()));
        };
        let plan = plan_repair(&snapshot, repair, epoch, limit);
        let plan = approve(plan, &snapshot).map_err(|objections| {
            let texts: Vec<String> = objections.iter().map(ToString::to_string).collect();
            refused("repair", texts.join("; "))
        })?;
        if self.repairs.is_due(repair, self.clock.now()) {
            self.journal_repair(repair).await?;
        }
        for step in &plan.plan().steps {
            perform(self, epoch, step).await?;
        }
        Ok(())
    }

    async fn journal_repair(&self, repair: &Repair) -> Result<(), WorkError> {
        let record = AuditRecord {
            at: self.clock.wall(),
            kind: "repair".to_owned(),
            server: self.registry.address(repair.server()),
            cluster: Some(self.cluster.clone()),
            by: self.registry.settings.node.to_string(),
            text: repair.describe().to_owned(),
        };
        let written = self.store.audit(&record).await;
        written.map_err(|error| refused("repair", error.with_causes()))
    }
}
