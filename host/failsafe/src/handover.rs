//! Finding the shared store again, and handing over what was written without it.

use std::time::Duration;

use baton_core::ids::LeaseEpoch;
use baton_ports::{RecoveryRecord, StoreError};
use tokio::time::{sleep, timeout};

use crate::disk::Subject;
use crate::{FailsafeStore, Late, is_refusal, overlay};

/// Longest time for one check of the shared store. It is longer than a stalled cluster needs to
/// answer what was sent to it during the stall, because that answer is the first sign that the
/// stall is over.
const LOOK_MAX: Duration = Duration::from_secs(20);
/// Between attempts to hand over while nobody holds the lease, or while this node still writes
/// under its own epoch.
const AGAIN: Duration = Duration::from_millis(500);
/// After an attempt that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Audit lines handed over at once.
const LINES: u32 = 200;

impl FailsafeStore {
    /// Checks the shared store while it is away, hands over what it lacks, and removes from the
    /// local disk what it has. Never returns; dropping the future loses nothing.
    pub async fn attend(&self) {
        loop {
            let purged = self.on_disk(
                "removing what was handed over",
                self.disk.purge(&self.rights),
            );
            if let Err(error) = purged.await {
                self.health.disk_failed(error.with_causes());
            }
            let is_away = self.health.is_away();
            if !is_away && self.disk.mirror().is_all_sent() {
                self.health.work.notified().await;
                continue;
            }
            if is_away {
                self.look().await;
            }
            let pause = if self.health.is_away() {
                self.options.retry
            } else {
                self.hand_over().await
            };
            sleep(pause).await;
        }
    }

    /// Checks whether the shared store accepts writes: only a commit shows that.
    async fn look(&self) {
        const OPERATION: &str = "checking the shared store";
        let ping = timeout(LOOK_MAX, self.shared.ping(&self.options.node)).await;
        match ping {
            Ok(Ok(())) => self.health.back(),
            Ok(Err(error)) => self.health.missed(OPERATION, error.with_causes()),
            Err(_) => self.health.missed(OPERATION, Late(LOOK_MAX).to_string()),
        }
    }

    /// Gives the time until the next attempt.
    async fn hand_over(&self) -> Duration {
        const OPERATION: &str = "handing over to the shared store";
        match timeout(LOOK_MAX, self.try_hand_over()).await {
            Ok(Ok(Handed::Everything)) => {
                tracing::info!("what was written without the shared state store was handed over");
                Duration::ZERO
            }
            // Fenced: the lease changed hands in between.
            Ok(Ok(Handed::Some) | Err(StoreError::Fenced { .. })) => AGAIN,
            Ok(Err(error)) => {
                let text = error.with_causes();
                tracing::warn!(error = text, "hand-over to the shared state store failed");
                if is_refusal(&error) {
                    return AFTER_FAILURE;
                }
                self.health.missed(OPERATION, text);
                self.options.retry
            }
            Err(_) => {
                self.health.missed(OPERATION, Late(LOOK_MAX).to_string());
                self.options.retry
            }
        }
    }

    /// Hands over under the lease as it is held now, by any node. The epochs of the records say
    /// what is newer; the lease only prevents a change of holder during the hand-over.
    async fn try_hand_over(&self) -> Result<Handed, StoreError> {
        self.hand_over_audits().await?;
        let Some((lease, epoch)) = self.held_lease().await? else {
            return Ok(Handed::Some);
        };
        let recoveries = self.hand_over_recoveries(&lease, epoch).await;
        self.hand_over_intents(&lease, epoch).await?;
        recoveries?;
        if self.disk.mirror().is_all_sent() {
            Ok(Handed::Everything)
        } else {
            Ok(Handed::Some)
        }
    }

    async fn held_lease(&self) -> Result<Option<(String, LeaseEpoch)>, StoreError> {
        let names = self.rights().names();
        for name in names {
            let state = self.shared.lease(&name).await?;
            if let Some(state) = state.filter(|state| state.holder.is_some()) {
                return Ok(Some((name, state.epoch)));
            }
        }
        Ok(None)
    }

    async fn hand_over_recoveries(&self, lease: &str, epoch: LeaseEpoch) -> Result<(), StoreError> {
        let mut unsent: Vec<(RecoveryRecord, u64)> = {
            let mirror = self.disk.mirror();
            let unsent = mirror.unsent.iter();
            unsent
                .filter_map(|(id, change)| Some((mirror.recoveries.get(id)?.clone(), *change)))
                .collect()
        };
        let mut refused: Option<StoreError> = None;
        unsent.sort_by_key(|(row, _)| (row.started, row.number));
        for (row, change) in unsent {
            let steps = self.disk.steps(&row.id).await?;
            let id = row.id.clone();
            let rows = [row];
            let merge = self.shared.merge_recoveries(lease, epoch, &rows, &steps);
            match merge.await {
                Ok(()) => self.disk.handed_over(&Subject::Recovery(id), change),
                // A refused recovery must not stop the others.
                Err(error @ StoreError::Conflict { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        self.disk.forget_unknown();
        refused.map_or(Ok(()), Err)
    }

    async fn hand_over_intents(&self, lease: &str, epoch: LeaseEpoch) -> Result<(), StoreError> {
        let Some(change) = self.disk.mirror().intents_unsent else {
            return Ok(());
        };
        let shared_clusters = self.shared.clusters().await?;
        let shared_routes = self.shared.routes().await?;
        let (clusters, routes) = {
            let mirror = self.disk.mirror();
            let newer = |row| overlay::newer_cluster(row, &mirror).cloned();
            let clusters: Vec<_> = shared_clusters.iter().filter_map(newer).collect();
            (clusters, overlay::newer_routes(&shared_routes, &mirror))
        };
        if !clusters.is_empty() || !routes.is_empty() {
            self.shared
                .merge_intents(lease, epoch, &clusters, &routes)
                .await?;
        }
        self.disk.handed_over(&Subject::Intents, change);
        Ok(())
    }

    /// Oldest first. A line whose hand-over was interrupted is found among the newest lines of the
    /// shared store.
    async fn hand_over_audits(&self) -> Result<(), StoreError> {
        if self.disk.mirror().audits == 0 {
            return Ok(());
        }
        let there = self.shared.audits(0, LINES).await?;
        for line in self.disk.oldest_audits(LINES).await? {
            if !there.contains(&line) {
                self.shared.audit(&line).await?;
            }
            self.disk.drop_oldest_audit().await?;
        }
        Ok(())
    }
}

/// How far a hand-over came.
enum Handed {
    Everything,
    Some,
}
