//! What happens when this node begins or ceases to lead, and what other nodes tell meanwhile.

use std::sync::Arc;
use std::time::Duration;

use baton_ports::StoreError;
use tokio::time::timeout;

use crate::inventory::{Histories, Operators, Registry};
use crate::leadership::LeaseKeeper;
use crate::leadership::PeerTable;
use crate::leadership::VoterRegistry;

/// How long a new leader tries to read what the last leader recorded, before it acts on what it
/// knows.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Passes the lease on to the loops of the clusters.
pub(crate) struct LeaseRelay {
    pub(crate) registry: Arc<Registry>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) operators: Arc<Operators>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) voters: Arc<VoterRegistry>,
}

impl LeaseRelay {
    /// Tells the loops who may act, for ever. A new leader first reads what the last leader
    /// recorded; so does one whose epoch changed, since another node may have led in between.
    pub(crate) async fn keep(&self) {
        let mut held = self.lease.subscribe();
        loop {
            let epoch = held.borrow_and_update().as_ref().map(|held| held.epoch);
            if self.registry.latest().lease != epoch {
                self.registry.set_lease(None);
                if epoch.is_some() && self.registry.settings.shared_store {
                    self.catch_up().await;
                }
                self.registry.set_lease(epoch);
            }
            self.registry.wake_all();
            self.registry.unrecorded.notify_one();
            if held.changed().await.is_err() {
                return;
            }
        }
    }

    async fn catch_up(&self) {
        match timeout(CATCH_UP, self.read()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = error.with_causes(),
                    "what the last leader recorded cannot be read"
                );
            }
            Err(_) => {
                tracing::warn!("what the last leader recorded could not be read in time");
            }
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let read = self.operators.try_read_now().await;
        self.histories.recall().await;
        read.and(self.voters.read().await)
    }
}

/// Takes over primaries that other nodes report, for ever. A primary that was recorded under a
/// later epoch is the primary, even if the store cannot be read now.
pub(crate) async fn follow_reported_primaries(registry: Arc<Registry>, peers: Arc<PeerTable>) {
    let mut changes = peers.subscribe();
    loop {
        for report in peers.living() {
            for (cluster, server, epoch) in &report.primaries {
                registry.hear_of_primary(cluster, server, *epoch);
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
