//! Taking a server back: fence, compare, attach or set aside.

use baton_core::ids::ServerId;
use baton_core::model::{RecoveryOutcome, Snapshot};
use baton_core::planning::{Phase, RejoinClass, classify_returned, plan_attach, plan_fence};
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
        let attach = !self.row.automatic
            || self.means.registry.settings.rejoin == RejoinMode::FenceAndAttach;
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        match self.classify(&snapshot, &returned, &primary) {
            Some(RejoinClass::Subset) if attach => {
                self.attach(&snapshot, &returned, &primary).await
            }
            Some(RejoinClass::Subset) => RecoveryOutcome::Succeeded,
            Some(RejoinClass::Errant {
                count,
                transactions,
            }) => self.set_aside(&returned, count, &transactions).await,
            Some(RejoinClass::NeedsData { count }) => {
                self.complain(format!(
                    "{returned} needs {count} transactions that {primary} has purged: provision it anew"
                ));
                RecoveryOutcome::Failed
            }
            Some(RejoinClass::Incomparable) | None => {
                self.complain(format!(
                    "the histories of {returned} and {primary} cannot be compared"
                ));
                RecoveryOutcome::Failed
            }
        }
    }

    fn classify(
        &self,
        snapshot: &Snapshot,
        returned: &ServerId,
        primary: &ServerId,
    ) -> Option<RejoinClass> {
        Some(classify_returned(
            snapshot.facts(returned)?,
            snapshot.facts(primary)?,
        ))
    }

    async fn attach(
        &mut self,
        snapshot: &Snapshot,
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
        self.note_successor(primary);
        match self.run(plan).await {
            Ended::Completed { tolerated: _ } => RecoveryOutcome::Succeeded,
            Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => RecoveryOutcome::Failed,
        }
    }

    /// The server stays fenced; its transactions are listed and never dropped silently.
    async fn set_aside(
        &mut self,
        returned: &ServerId,
        count: u64,
        transactions: &str,
    ) -> RecoveryOutcome {
        let text =
            format!("{returned} has {count} transactions that the primary lacks: {transactions}");
        let line = self.note(Phase::Rejoin, Some(returned), format!("set aside: {text}"));
        if let Err(error) = self.write(&[line]).await {
            self.complain(error.with_causes());
        }
        if let Err(error) = self.means.quarantine(returned, transactions).await {
            self.complain(error.with_causes());
        }
        self.complain(text);
        RecoveryOutcome::Failed
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
