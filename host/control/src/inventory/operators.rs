//! What the store has, read into memory: operators' settings, the global switch, past recoveries;
//! and what the store has to keep, written from memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::{Downtime, PromotionRule, Switch};
use baton_core::time::WallTime;
use baton_ports::{Clock, ClusterRecord, RecoveryRecord, ServerRecord, Store, StoreError};
use tokio::time::sleep;

use super::Registry;
use crate::counters::Counters;

/// How often the store is read.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Servers that are found within this time are recorded together.
const SWARM: Duration = Duration::from_millis(10);
/// How often last-seen times are written.
const SEEN_EVERY: u32 = 60;

/// One reading of the store.
struct Recorded {
    /// When it was asked.
    now: WallTime,
    switch: Switch,
    downtimes: BTreeMap<ServerId, Downtime>,
    servers: Vec<ServerRecord>,
    /// Empty if only this node writes them.
    clusters: Vec<ClusterRecord>,
    /// The newest ones.
    recoveries: Vec<RecoveryRecord>,
}

/// Keeps memory and store in step.
pub(crate) struct Operators {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
}

impl Operators {
    /// Reads and writes until dropped.
    pub(crate) async fn keep(&self) {
        let mut round: u32 = 0;
        let mut led = false;
        loop {
            self.read().await;
            // Only the leader records.
            let leads = self.registry.leads();
            if leads && (round.is_multiple_of(SEEN_EVERY) || !led) {
                self.registry.mark_all_dirty();
                self.expire().await;
            }
            self.write().await;
            led = leads;
            round = round.wrapping_add(1);
            self.record_until(READ_EVERY).await;
        }
    }

    /// Waits, and records new servers meanwhile: the next process needs them even if this one dies.
    async fn record_until(&self, wait: Duration) {
        let over = sleep(wait);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.registry.unrecorded.notified() => {}
            }
            // Servers are usually found several at a time.
            sleep(SWARM).await;
            self.write().await;
        }
    }

    /// Reads what operators recorded. If that fails, the switch counts as unreadable, which means
    /// off.
    pub(crate) async fn read(&self) {
        let reading = self.registry.readings.begin();
        if let Err(error) = self.try_read(reading).await {
            self.mistrust(reading, &error);
        }
    }

    /// Begins a new reading and takes it over.
    ///
    /// # Errors
    /// If the store cannot be read. Memory keeps what it has then, see [`Self::mistrust_now`].
    pub(crate) async fn try_read_now(&self) -> Result<(), StoreError> {
        self.try_read(self.registry.readings.begin()).await
    }

    /// After an order that was not read back: the switch counts as unreadable, which means off.
    pub(crate) fn mistrust_now(&self, error: &StoreError) {
        self.mistrust(self.registry.readings.begin(), error);
    }

    fn mistrust(&self, reading: u64, error: &StoreError) {
        self.counters.store_failures.add();
        tracing::warn!(
            error = error.with_causes(),
            "state store not readable: recoveries are off"
        );
        if let Some(_taking) = self.registry.readings.take(reading) {
            self.registry.note_unreadable_switch();
        }
    }

    async fn try_read(&self, reading: u64) -> Result<(), StoreError> {
        let recorded = self.ask().await?;
        if let Some(_taking) = self.registry.readings.take(reading) {
            self.take_over(recorded);
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Recorded, StoreError> {
        let now = self.clock.wall();
        let enabled = self.store.recoveries_enabled().await?;
        let downtimes = self.store.downtimes(now).await?;
        let downtimes = downtimes
            .into_iter()
            .filter(|(_, downtime)| downtime.ends > now)
            .collect();
        let servers = self.store.servers().await?;
        let leads = self.registry.leads();
        // A store of its own has no other writer.
        let clusters = if !leads || self.registry.settings.shared_store {
            self.store.clusters().await?
        } else {
            Vec::new()
        };
        Ok(Recorded {
            now,
            switch: if enabled { Switch::On } else { Switch::Off },
            downtimes,
            servers,
            clusters,
            recoveries: self.store.recoveries(None, 0, 200).await?,
        })
    }

    fn take_over(&self, recorded: Recorded) {
        if self.registry.leads() {
            self.registry.learn_primaries(&recorded.clusters);
        } else {
            self.registry.follow(&recorded.servers, &recorded.clusters);
        }
        let rules: BTreeMap<ServerId, (PromotionRule, bool)> = recorded
            .servers
            .into_iter()
            .map(|row| {
                let expired = row.promotion_expires.is_some_and(|end| end <= recorded.now);
                let rule = if expired {
                    PromotionRule::Neutral
                } else {
                    row.promotion
                };
                (row.id, (rule, row.quarantine.is_some()))
            })
            .collect();
        self.registry
            .set_operators(&recorded.downtimes, &rules, recorded.switch);
        self.registry.set_past(&recorded.recoveries);
    }

    /// Writes what changed, if this node leads. What cannot be written now is written later.
    pub(crate) async fn write(&self) {
        if !self.registry.leads() {
            return;
        }
        self.write_changes().await;
    }

    /// Forgets servers that were not seen for a long time; never a cluster's primary.
    async fn expire(&self) {
        let wall = self.clock.wall();
        let limit = self.registry.settings.forget_after;
        let expired = self.registry.latest().unseen_since(wall, limit);
        for id in expired {
            tracing::info!(server = %id, "server unseen for too long, forgotten");
            self.registry.forget(&id, self.clock.now());
            if let Err(error) = self.store.forget_server(&id).await {
                tracing::warn!(server = %id, error = error.with_causes(), "expired server not removed");
            }
        }
    }
}

impl Operators {
    /// Writes clusters and servers that changed. What cannot be written now is written later.
    pub(crate) async fn write_changes(&self) {
        let (registry, store, counters) = (&self.registry, &self.store, &self.counters);
        let _writing = registry.recording.lock().await;
        self.remove_folded().await;
        let (servers, clusters) = registry.take_dirty();
        for (id, name) in &clusters {
            if let Err(error) = store.put_cluster(id, name).await {
                tracing::warn!(
                    cluster = name,
                    error = error.with_causes(),
                    "cluster not recorded"
                );
                counters.store_failures.add();
                registry.put_back(&servers, &clusters);
                return;
            }
        }
        if servers.is_empty() {
            return;
        }
        if let Err(error) = store.put_servers(&servers).await {
            tracing::warn!(error = error.with_causes(), "servers not recorded");
            counters.store_failures.add();
            registry.put_back(&servers, &[]);
        }
    }

    /// Removes the rows of entries that turned out to be other addresses of known servers.
    async fn remove_folded(&self) {
        let (registry, store, counters) = (&self.registry, &self.store, &self.counters);
        let mut left = registry.take_folded();
        while let Some(id) = left.pop_first() {
            if let Err(error) = store.forget_server(&id).await {
                tracing::warn!(server = %id, error = error.with_causes(), "merged server not removed");
                counters.store_failures.add();
                left.insert(id);
                registry.put_back_folded(left);
                return;
            }
        }
    }
}
