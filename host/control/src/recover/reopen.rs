//! Opening the recorded primary again, which came back read-only.

use baton_core::analysis::{Evidence, objections_to_ordered_reopening, reopening_objections};
use baton_core::ids::ServerId;
use baton_core::model::{RecoveryOutcome, ServerFacts, Snapshot};
use baton_core::planning::{plan_reading, plan_reopen};

use super::Recovery;
use super::perform::observe;
use super::run::Ended;

impl Recovery<'_> {
    pub(crate) async fn reopen(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let primary = self.row.failed.clone();
        if is_writable(&snapshot, &primary) {
            return RecoveryOutcome::Succeeded;
        }
        let settings = self.means.registry.settings.plan.clone();
        let reading = plan_reading(&snapshot, &primary, self.epoch(), &settings);
        match self.run(reading).await {
            Ended::Completed { tolerated: _ } => {}
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => return RecoveryOutcome::Failed,
        }
        // What was found before may have changed: somebody else may take writes, or may have closed it.
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let objections = self.objections(&snapshot, &primary);
        if !objections.is_empty() {
            for objection in objections {
                self.complain(objection.text);
            }
            return RecoveryOutcome::Failed;
        }
        let first_step = self.next_step();
        let plan = plan_reopen(&snapshot, &primary, self.epoch(), &settings, first_step);
        match self.run(plan).await {
            Ended::Completed { tolerated: _ } => RecoveryOutcome::Succeeded,
            Ended::Stopped => RecoveryOutcome::Failed,
            Ended::StoppedWithWritesPerhapsOpen => self.outcome_by_its_word(&primary).await,
        }
    }

    fn objections(&self, snapshot: &Snapshot, primary: &ServerId) -> Vec<Evidence> {
        let mut objections = if self.row.automatic {
            reopening_objections(snapshot, primary)
        } else {
            objections_to_ordered_reopening(snapshot, primary)
        };
        let others = snapshot.servers.keys().filter(|id| *id != primary);
        let writers: Vec<&ServerId> = others
            .filter(|id| is_writable(snapshot, id) && self.is_rival(snapshot, id))
            .collect();
        objections.extend(writers.into_iter().map(|writer| Evidence {
            code: "another-writer",
            text: format!("{writer} takes writes."),
            about: vec![writer.clone()],
        }));
        objections
    }

    /// Whether a writer is one of this cluster.
    fn is_rival(&self, snapshot: &Snapshot, writer: &ServerId) -> bool {
        let topology = baton_core::model::Topology::of(snapshot);
        !baton_core::model::Bounds::of(snapshot, &topology).is_apart(writer)
    }

    async fn outcome_by_its_word(&mut self, primary: &ServerId) -> RecoveryOutcome {
        let limit = self.means.registry.settings.read_limit;
        match observe(self.means, primary, limit).await {
            Ok(facts) if facts.is_writable() => RecoveryOutcome::Succeeded,
            Ok(_) | Err(_) => RecoveryOutcome::Failed,
        }
    }
}

fn is_writable(snapshot: &Snapshot, server: &ServerId) -> bool {
    let found = snapshot.servers.get(server);
    found.is_some_and(|server| {
        server.probe.reach() == baton_core::model::Reach::Answering
            && server.last_facts().is_some_and(ServerFacts::is_writable)
    })
}
