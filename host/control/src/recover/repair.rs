//! Repairs beside recoveries. They take the same way to a server: plan, objections, journal, right to
//! act.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
pub(crate) struct Journaled(Mutex<BTreeMap<Key, Timestamp>>);

type Key = (ServerId, &'static str);

fn key(repair: &Repair) -> Key {
    (repair.server().clone(), repair.describe())
}

impl Journaled {
    /// True if it is to be journaled now.
    fn is_due(&self, repair: &Repair, now: Timestamp) -> bool {
        let mut known = self.lock();
        known.retain(|_, at| now.since(*at) < JOURNALED_EVERY);
        !known.contains_key(&key(repair))
    }

    /// Notes that it is in the journal.
    fn note(&self, repair: &Repair, now: Timestamp) {
        self.lock().insert(key(repair), now);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.repairs.note(repair, self.clock.now());
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

#[cfg(test)]
mod tests {
    use super::{JOURNALED_EVERY, Journaled, Repair, ServerId, Timestamp};

    #[test]
    fn a_repair_is_due_for_the_journal_until_it_is_in_it() {
        let acknowledge = |server: &str| Repair::Acknowledge {
            replica: ServerId::new(server),
        };
        let (journaled, now) = (Journaled::default(), Timestamp::from_millis(1_000));
        let repair = acknowledge("r1");
        assert!(journaled.is_due(&repair, now));
        assert!(journaled.is_due(&repair, now), "writing it may have failed");
        journaled.note(&repair, now);
        assert!(!journaled.is_due(&repair, now));
        assert!(journaled.is_due(&acknowledge("r2"), now));
        assert!(journaled.is_due(&repair, now.plus(JOURNALED_EVERY)));
    }
}
