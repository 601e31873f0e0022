//! Taking a server back: fence, compare, attach or set aside.

use baton_core::ids::ServerId;
use baton_core::model::{Bounds, Reach, RecoveryOutcome, ServerFacts, Snapshot, Topology};
use baton_core::planning::{
    Phase, RejoinClass, classify_returned, plan_attach, plan_fence, too_few_acknowledgers,
    with_events_restored,
};
use baton_ports::StoreError;

use super::run::Ended;
use super::{Means, Recovery};
use crate::settings::RejoinMode;

impl Recovery<'_> {
    pub(crate) async fn rejoin(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let returned = self.row.failed.clone();
        let Some(primary) = snapshot
            .cluster
            .primary
            .clone()
            .filter(|primary| *primary != returned)
        else {
            self.complain("there is no other primary to rejoin");
            return RecoveryOutcome::Failed;
        };
        let settings = self.means.registry.settings.plan.clone();
        let fence = plan_fence(&snapshot, &returned, self.epoch(), &settings);
        match self.run(fence).await {
            Ended::Completed { tolerated: _ } => {}
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => return RecoveryOutcome::Failed,
        }
        let before = snapshot;
        let attach = !self.row.automatic
            || self.means.registry.settings.rejoin == RejoinMode::FenceAndAttach;
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        if let Some(reason) = not_to_be_attached(&snapshot, &returned, &primary) {
            // It stays on record as replaced: once nothing stands in the way, it is taken back.
            self.complain(reason);
            return RecoveryOutcome::Failed;
        }
        let both = snapshot.facts(&returned).zip(snapshot.facts(&primary));
        let class = both.map_or(RejoinClass::Incomparable, |(own, reference)| {
            classify_returned(own, reference)
        });
        let Some(objection) = class.objection(&returned, &primary) else {
            return if attach {
                self.attach((&before, &snapshot), &returned, &primary).await
            } else {
                RecoveryOutcome::Succeeded
            };
        };
        let mut objection = objection;
        if let Some(transactions) = class.set_aside_with() {
            if let Some(text) = too_few_acknowledgers(&snapshot, &primary, &[&returned]) {
                objection = format!("{objection}; {text}");
            }
            self.set_aside(&returned, &objection, transactions).await;
        }
        self.complain(objection);
        RecoveryOutcome::Failed
    }

    async fn attach(
        &mut self,
        (before, snapshot): (&Snapshot, &Snapshot),
        returned: &ServerId,
        primary: &ServerId,
    ) -> RecoveryOutcome {
        let settings = self.means.registry.settings.plan.clone();
        let plan = plan_attach(
            snapshot,
            (returned, primary),
            self.epoch(),
            &settings,
            self.next_step(),
        );
        let plan = with_events_restored(plan, before, &settings);
        self.note_successor(primary);
        match self.run(plan).await {
            Ended::Completed { tolerated: _ } => RecoveryOutcome::Succeeded,
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => RecoveryOutcome::Failed,
        }
    }

    /// The server stays fenced; its transactions are listed and never dropped silently.
    async fn set_aside(&mut self, returned: &ServerId, text: &str, transactions: &str) {
        let line = self.note(Phase::Rejoin, Some(returned), format!("set aside: {text}"));
        if let Err(error) = self.write(&[line]).await {
            self.complain(error.with_causes());
        }
        if let Err(error) = self.means.quarantine(returned, transactions).await {
            self.complain(error.with_causes());
        }
    }
}

impl Means {
    /// Sets a server aside with its transactions, in memory first.
    pub(super) async fn quarantine(
        &self,
        server: &ServerId,
        transactions: &str,
    ) -> Result<(), StoreError> {
        if let Some(entry) = self.registry.lock().servers.get_mut(server) {
            entry.quarantined = true;
        }
        self.store.set_quarantine(server, Some(transactions)).await
    }
}

/// Why a server that is closed by now cannot follow the primary yet.
fn not_to_be_attached(
    snapshot: &Snapshot,
    returned: &ServerId,
    primary: &ServerId,
) -> Option<String> {
    let server = snapshot.servers.get(primary)?;
    let writable = server.last_facts().is_some_and(ServerFacts::is_writable);
    if server.probe.reach() != Reach::Answering || !writable {
        let text = format!(
            "{returned} is closed; {primary}, which took over, does not take writes now: {returned} is to follow it when it does"
        );
        return Some(text);
    }
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let mut outer = bounds.outer(&topology, returned);
    let edge = outer.find(|edge| edge.channel.source.is_some() && edge.is_in_use())?;
    // A replica that was left behind may follow a server that is not known any more.
    let was_primary = snapshot.replacement_of(returned).is_some();
    (was_primary || topology.channels_of(returned).len() > 1).then(|| {
        format!(
            "{returned} is closed; it reads from another cluster on channel '{}': stop that channel, then take it back",
            edge.channel.name
        )
    })
}
