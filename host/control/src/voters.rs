//! The voter registry: which Baton nodes there are, and whose locks are votes. Nodes register and say which member sets they have read; the node that
//! leads records the sets, and ends a change of one when every registered node knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::right::Voters;
use baton_ports::{NodeRow, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::duplicate_name::{DuplicateNames, Place};
use crate::inventory::Registry;
use crate::lease::{Keeper, LEASE};
use crate::right::GUARD_MARGIN;

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Between two beats without news.
const BEAT_EVERY: Duration = Duration::from_secs(3);

/// Keeps the record of nodes and voters.
pub(crate) struct VoterRegistry {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lease: Arc<Keeper>,
    /// Unique per process start.
    pub(crate) start: String,
}

impl VoterRegistry {
    /// For ever.
    pub(crate) async fn keep(&self) {
        let mut due = Instant::now();
        let mut told: Option<u64> = None;
        let mut duplicates = DuplicateNames::default();
        let mut gives_way = false;
        let mut read = self.newest();
        loop {
            // What was known a round ago: a step that was verified by the members before may execute for as long as a guard lasts.
            let timely = Instant::now() >= due;
            if told != Some(read) || timely {
                if timely {
                    due = Instant::now() + BEAT_EVERY;
                    // The row says something of others only once this process has written it.
                    if told.is_some() {
                        gives_way = self.gives_way(&mut duplicates, gives_way).await;
                    }
                }
                match self.beat(read, gives_way).await {
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
            sleep(if changes { self.quick() } else { ROUND }).await;
        }
    }

    /// Pause while members change: a majority of both sets is needed meanwhile, which a node that dies just then makes hard to get. Longer
    /// than a step that was verified by the members before may be on its way.
    fn quick(&self) -> Duration {
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

    /// The row of one that gives way is the other process's.
    async fn beat(&self, read: u64, gives_way: bool) -> Result<(), StoreError> {
        if gives_way {
            return Ok(());
        }
        self.store.beat(&self.row(read)).await
    }

    /// Whether another process runs under this node's name and was there first. This node's row is written by this process alone, once it
    /// has written it, so another start in it is one that lives. Its lease is its own all the same, since the holder there is a start
    /// and not a name; but nobody could tell the two apart. A store that does not answer changes nothing.
    async fn gives_way(&self, duplicates: &mut DuplicateNames, gave_way: bool) -> bool {
        let Ok(rows) = self.store.nodes().await else {
            return gave_way;
        };
        let settings = &self.registry.settings;
        let own = rows.into_iter().find(|row| row.name == settings.node);
        match duplicates.look(&self.start, own) {
            Place::Alone => {
                self.lease.unbar();
                false
            }
            Place::First(other) => {
                tracing::error!(
                    node = %settings.node, url = other.url, own_url = settings.url,
                    "another process was started under this node's name and will not act: give each node a name of its own (node.name)"
                );
                self.lease.unbar();
                false
            }
            Place::Second(other) => {
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

    fn row(&self, voters_seen: u64) -> NodeRow {
        let settings = &self.registry.settings;
        NodeRow {
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

    /// Reads what is recorded.
    pub(crate) async fn read(&self) -> Result<(), StoreError> {
        let recorded = self.store.voters().await?.into_iter().collect();
        self.registry.adopt_voters(&recorded);
        Ok(())
    }

    /// Reads what is recorded; the node that leads records what changed.
    async fn round(&self) -> Result<(), StoreError> {
        let recorded = self.store.voters().await?.into_iter().collect();
        let known = self.registry.adopt_voters(&recorded);
        let Some(epoch) = self.lease.epoch_for(ROUND) else {
            return Ok(());
        };
        if self.lease.stands_in() {
            return Ok(());
        }
        let mut version = known
            .values()
            .map(|voters| voters.version)
            .max()
            .unwrap_or(0);
        let seen_by_all = self.seen_by_all().await?;
        for (cluster, members) in self.members() {
            let was = known.get(&cluster).cloned().unwrap_or_default();
            let next = if recorded.get(&cluster).is_none_or(|row| *row != was) && was.version > 0 {
                // The store has forgotten what this node read there: an asynchronous pair may, and so may a backup.
                Some(Voters {
                    version: version.saturating_add(1),
                    ..was
                })
            } else {
                let ended = seen_by_all.and_then(|seen| was.settled(seen));
                ended
                    .map(|ended| Voters {
                        version: version.saturating_add(1),
                        ..ended
                    })
                    .or_else(|| was.change_to(&members, version.saturating_add(1)))
            };
            if let Some(next) = next {
                version = next.version;
                self.record(epoch, &cluster, next).await?;
            }
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

    /// The version that every registered node has read at least; `None` if none is registered.
    async fn seen_by_all(&self) -> Result<Option<u64>, StoreError> {
        let nodes = self.store.nodes().await?;
        Ok(nodes.iter().map(|node| node.voters_seen).min())
    }

    /// Members of all clusters as this node sees them, as soon as all of them were asked.
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
