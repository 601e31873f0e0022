//! The registry of nodes and voters in the store.
//!
//! Each node registers itself and the newest voter records that it has read. The leader records the
//! members whose locks are votes, and ends a change of them when every registered node has read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::leadership::duplicate_name::{DuplicateNames, Precedence, Registration};
use baton_core::leadership::quorum::Voters;
use baton_core::leadership::voter_records::next_records;
use baton_ports::{NodeRecord, Store, StoreError};
use tokio::time::{Instant, sleep};

use super::{GUARD_MARGIN, LEASE, LeaseKeeper};
use crate::inventory::Registry;

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Time between two heartbeats without news.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);

/// Registers this node and keeps the voter records.
pub(crate) struct VoterRegistry {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lease: Arc<LeaseKeeper>,
    /// Unique per process start.
    pub(crate) start: String,
}

impl VoterRegistry {
    /// Registers and reads for ever.
    pub(crate) async fn keep(&self) {
        let mut due = Instant::now();
        let mut told: Option<u64> = None;
        let mut duplicates = DuplicateNames::default();
        let mut gives_way = false;
        let mut read = self.newest();
        loop {
            // `read` was read one pause ago. A step that was verified by the members before may
            // execute for as long as a guard lasts; the pause is longer.
            let timely = Instant::now() >= due;
            if told != Some(read) || timely {
                if timely {
                    due = Instant::now() + HEARTBEAT_EVERY;
                    // Another start in the row means something only after this process has
                    // written the row.
                    if told.is_some() {
                        gives_way = self.gives_way(&mut duplicates, gives_way).await;
                    }
                }
                match self.send_heartbeat(read, gives_way).await {
                    Ok(()) => told = Some(read),
                    Err(error) => {
                        tracing::debug!(error = error.with_causes(), "node not registered");
                    }
                }
            }
            if let Err(error) = self.round().await {
                tracing::debug!(error = error.with_causes(), "recorded members not kept");
            }
            read = self.newest();
            let changes = told != Some(read) || self.is_changing();
            sleep(if changes { self.short_pause() } else { ROUND }).await;
        }
    }

    /// Pause while members change. It is short, because a majority of both sets is needed
    /// meanwhile, and the death of a member may prevent that. It is longer than a step that was
    /// verified by the members before may be on its way.
    fn short_pause(&self) -> Duration {
        let guard = self
            .registry
            .settings
            .plan
            .guard
            .saturating_add(GUARD_MARGIN);
        (guard + GUARD_MARGIN).min(ROUND)
    }

    fn is_changing(&self) -> bool {
        let inventory = self.registry.latest();
        inventory
            .voters
            .values()
            .any(|voters| voters.previous.is_some())
    }

    /// A process that gives way to another one leaves the row to it.
    async fn send_heartbeat(&self, read: u64, gives_way: bool) -> Result<(), StoreError> {
        if gives_way {
            return Ok(());
        }
        self.store.beat(&self.row(read)).await
    }

    /// True if another process under this node's name goes first, so that this one must not act.
    ///
    /// Once this process has written the row, another start in it belongs to a live process. The
    /// lease is safe all the same, since its holder is a start and not a name; but nobody could
    /// tell the two processes apart. If the store does not answer, nothing changes.
    async fn gives_way(&self, duplicates: &mut DuplicateNames, gave_way: bool) -> bool {
        let Ok(rows) = self.store.nodes().await else {
            return gave_way;
        };
        let settings = &self.registry.settings;
        let own = rows.into_iter().find(|row| row.name == settings.node);
        match duplicates.note(&self.start, own.map(registration)) {
            Precedence::Unique => {
                self.lease.unbar();
                false
            }
            Precedence::First(other) => {
                tracing::error!(
                    node = %settings.node, url = other.url, own_url = settings.url,
                    "another process was started under this node's name and will not act: give each node a name of its own (node.name)"
                );
                self.lease.unbar();
                false
            }
            Precedence::Second(other) => {
                let why = format!(
                    "another process runs under the name {} (at {}), so this one (at {}) does not act: stop one of them, or give each node \
                     a name of its own (node.name)",
                    settings.node, other.url, settings.url
                );
                self.lease.bar(why).await;
                true
            }
        }
    }

    fn row(&self, voters_seen: u64) -> NodeRecord {
        let settings = &self.registry.settings;
        NodeRecord {
            name: settings.node.clone(),
            start: self.start.clone(),
            url: settings.url.clone(),
            version: settings.version.clone(),
            beats: 0,
            voters_seen,
        }
    }

    fn newest(&self) -> u64 {
        let inventory = self.registry.latest();
        let versions = inventory.voters.values().map(|voters| voters.version);
        versions.max().unwrap_or(0)
    }

    /// Reads the voter records.
    pub(crate) async fn read(&self) -> Result<(), StoreError> {
        let recorded = self.store.voters().await?.into_iter().collect();
        self.registry.adopt_voters(&recorded);
        Ok(())
    }

    /// Reads the voter records. The leader also writes those that change.
    async fn round(&self) -> Result<(), StoreError> {
        let recorded = self.store.voters().await?.into_iter().collect();
        let known = self.registry.adopt_voters(&recorded);
        let Some(epoch) = self.lease.epoch_for(ROUND) else {
            return Ok(());
        };
        if self.lease.leads_without_store() {
            return Ok(());
        }
        let read_by_all = self.read_by_all().await?;
        let members = self.members();
        for (cluster, voters) in next_records(&known, &recorded, &members, read_by_all) {
            self.record(epoch, &cluster, voters).await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        epoch: LeaseEpoch,
        cluster: &ClusterId,
        voters: Voters,
    ) -> Result<(), StoreError> {
        self.store
            .set_voters(LEASE, epoch, cluster, &voters)
            .await?;
        let names = |set: &BTreeSet<ServerId>| {
            let names: Vec<&str> = set.iter().map(ServerId::as_str).collect();
            names.join(", ")
        };
        tracing::info!(
            %cluster, version = voters.version, members = names(&voters.current),
            before = voters.previous.as_ref().map(names), "members recorded"
        );
        self.registry.set_voters(cluster, voters);
        Ok(())
    }

    /// The version that every registered node has read; `None` if no node is registered.
    async fn read_by_all(&self) -> Result<Option<u64>, StoreError> {
        let nodes = self.store.nodes().await?;
        Ok(nodes.iter().map(|node| node.voters_seen).min())
    }

    /// Members of all clusters as this node observes them.
    fn members(&self) -> BTreeMap<ClusterId, BTreeSet<ServerId>> {
        let inventory = self.registry.latest();
        let mut members: BTreeMap<ClusterId, BTreeSet<ServerId>> = BTreeMap::new();
        for entry in inventory.servers.values() {
            if let Some(cluster) = &entry.cluster {
                members
                    .entry(cluster.clone())
                    .or_default()
                    .insert(entry.id.clone());
            }
        }
        members
    }
}

fn registration(row: NodeRecord) -> Registration {
    Registration {
        start: row.start,
        heartbeats: row.beats,
        url: row.url,
    }
}
