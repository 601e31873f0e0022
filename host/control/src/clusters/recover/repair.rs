//! Repairs outside of recoveries. They pass the same checks: plan, objections, journal, right to
//! act.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::check::approve;
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::planning::{Repair, plan_repair};
use baton_core::time::Timestamp;
use baton_ports::AuditRecord;

use super::Performer;
use crate::clusters::quorum::refused;
use crate::clusters::sessions::WorkError;
use crate::locking::lock;

/// A repair that is repeated is journaled once in this time: a primary that hangs for hours would
/// push everything else out of the audit log.
const JOURNALED_EVERY: Duration = Duration::from_mins(10);

/// When each kind of repair of a server was last journaled.
#[derive(Debug, Default)]
struct Journaled(Mutex<BTreeMap<Key, Timestamp>>);

type Key = (ServerId, &'static str);

fn key(repair: &Repair) -> Key {
    (repair.server().clone(), repair.describe())
}

impl Journaled {
    /// True if it is to be journaled now.
    fn is_due(&self, repair: &Repair, now: Timestamp) -> bool {
        let mut known = lock(&self.0);
        known.retain(|_, at| now.since(*at) < JOURNALED_EVERY);
        !known.contains_key(&key(repair))
    }

    /// Notes that it is in the journal.
    fn note(&self, repair: &Repair, now: Timestamp) {
        lock(&self.0).insert(key(repair), now);
    }
}

/// Carries out repairs of one cluster's members.
pub(crate) struct Repairs {
    performer: Arc<Performer>,
    journaled: Journaled,
}

impl Repairs {
    pub(crate) fn new(performer: Arc<Performer>) -> Self {
        Self {
            performer,
            journaled: Journaled::default(),
        }
    }

    /// Carries a repair out, within `limit` for the change itself.
    ///
    /// # Errors
    /// If the checker objects, the journal cannot be written, the right to act is missing, or the
    /// server refuses. Nothing is sent then, except in the last case.
    pub(crate) async fn repair(
        &self,
        repair: &Repair,
        epoch: LeaseEpoch,
        limit: Duration,
    ) -> Result<(), WorkError> {
        let members = &self.performer.members;
        let Some(snapshot) = members.snapshot() else {
            return Err(refused("repair", "the cluster is gone".to_owned()));
        };
        let plan = plan_repair(&snapshot, repair, epoch, limit);
        let plan = approve(plan, &snapshot).map_err(|objections| {
            let texts: Vec<String> = objections.iter().map(ToString::to_string).collect();
            refused("repair", texts.join("; "))
        })?;
        if self.journaled.is_due(repair, members.clock.now()) {
            self.journal_repair(repair).await?;
            self.journaled.note(repair, members.clock.now());
        }
        for step in &plan.plan().steps {
            self.performer.perform_step(epoch, step).await?;
        }
        Ok(())
    }

    async fn journal_repair(&self, repair: &Repair) -> Result<(), WorkError> {
        let members = &self.performer.members;
        let record = AuditRecord {
            at: members.clock.wall(),
            kind: "repair".to_owned(),
            server: members.registry.address(repair.server()),
            cluster: Some(members.cluster.clone()),
            by: members.registry.settings.node.to_string(),
            text: repair.describe().to_owned(),
        };
        let written = self.performer.records.audit(&record).await;
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
