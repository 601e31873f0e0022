//! The picture of the fleet in memory: what probes showed, who belongs together, what operators
//! said.
//!
//! Readers take the latest picture, which never changes. Only the methods of [`Registry`] change
//! it: each makes one whole change under a lock that is never held across an await.

mod bounds;
mod changes;
mod entry;
mod identity;
mod membership;
mod notes;
mod progress;
mod records;
mod shared_map;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_core::model::{ActiveRecovery, PastRecovery, ProbeFailure, ServerFacts, Switch};
use baton_core::planning::Highest;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::{ClusterRecord, WatchAnswer};
use tokio::sync::{Notify, mpsc, watch};

pub(crate) use entry::Entry;
use identity::Seen;
use shared_map::SharedMap;

use super::readings::Readings;
use crate::locking::lock;
use crate::settings::ControlSettings;

/// What the supervisor has to start.
#[derive(Debug)]
pub(crate) enum Started {
    /// A server to watch.
    Server(ServerId),
    /// A cluster that needs a loop.
    Cluster(ClusterId),
}

/// What is known of a cluster besides its members.
#[derive(Clone, Debug)]
pub(crate) struct ClusterEntry {
    pub(crate) row: ClusterRecord,
    pub(crate) wake: Arc<Notify>,
    pub(crate) active: Option<ActiveRecovery>,
    pub(crate) past: Vec<PastRecovery>,
    /// Servers that a recovery left behind and that were not brought back yet.
    pub(crate) left: BTreeSet<ServerId>,
    /// The store has an open recovery that this process does not work on: a restarted process may
    /// have handed it over.
    pub(crate) unfinished: bool,
    /// The most that was seen of its history.
    pub(crate) highest: Option<Highest>,
    /// Code words of the findings it has now, for the rest of the fleet.
    pub(crate) findings: BTreeSet<String>,
}

/// The picture of the fleet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) servers: SharedMap<ServerId, Entry>,
    pub(crate) addresses: BTreeMap<Address, ServerId>,
    pub(crate) clusters: SharedMap<ClusterId, ClusterEntry>,
    /// Forgotten addresses are not learned again from others before this time.
    blocked: BTreeMap<Address, Timestamp>,
    /// Rows to be written to the store.
    dirty: BTreeSet<ServerId>,
    /// Folded into another entry: their rows are to be removed from the store.
    folded: BTreeSet<ServerId>,
    dirty_clusters: BTreeSet<ClusterId>,
    pub(crate) switch: Option<Switch>,
    pub(crate) lease: Option<LeaseEpoch>,
    /// The members whose locks are votes, as recorded.
    pub(crate) voters: BTreeMap<ClusterId, Voters>,
    made: u64,
}

/// A change of the picture that is being made. If a reader still has the latest picture, the first
/// write copies it; the copy shares every server and cluster that does not change.
struct Change<'a>(MutexGuard<'a, Arc<Inventory>>);

impl Deref for Change<'_> {
    type Target = Inventory;

    fn deref(&self) -> &Inventory {
        &self.0
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Inventory {
        Arc::make_mut(&mut self.0)
    }
}

/// Owns the picture of the fleet.
#[derive(Debug)]
pub(crate) struct Registry {
    latest: Mutex<Arc<Inventory>>,
    pub(crate) settings: ControlSettings,
    started: mpsc::UnboundedSender<Started>,
    changes: watch::Sender<u64>,
    /// Notified when a server was placed, or this node began to lead. The inventory is recorded at
    /// once then: the next process cannot find the replicas of a primary that died meanwhile.
    pub(crate) unrecorded: Notify,
    /// Held while changes are written: of two concurrent writers, the one with the older picture
    /// could be last.
    pub(crate) recording: tokio::sync::Mutex<()>,
    /// Of the store. Locked before the registry itself.
    pub(crate) readings: Readings,
}

impl Registry {
    /// An empty registry; gives the receiver of what has to be started.
    ///
    /// The queue is unbounded but grows with the number of servers only: each is announced once.
    pub(crate) fn new(settings: ControlSettings) -> (Arc<Self>, mpsc::UnboundedReceiver<Started>) {
        let (started, receiver) = mpsc::unbounded_channel();
        let registry = Self {
            latest: Mutex::default(),
            settings,
            started,
            changes: watch::Sender::new(0),
            unrecorded: Notify::new(),
            recording: tokio::sync::Mutex::default(),
            readings: Readings::default(),
        };
        (Arc::new(registry), receiver)
    }

    /// The latest picture. It never changes: ask again for news.
    pub(crate) fn latest(&self) -> Arc<Inventory> {
        Arc::clone(&lock(&self.latest))
    }

    fn lock(&self) -> Change<'_> {
        Change(lock(&self.latest))
    }

    fn announce(&self, started: Started) {
        // The receiver is gone only when the node stops.
        drop(self.started.send(started));
    }

    /// Notified after each published view.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells subscribers that a view changed.
    pub(crate) fn published(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins to watch an address, if it is not known yet. Gives the server's identity.
    pub(crate) fn learn(&self, address: &Address) -> ServerId {
        let mut inner = self.lock();
        if let Some(known) = inner.addresses.get(address) {
            return known.clone();
        }
        inner.blocked.remove(address);
        let id = inner.fresh_id(address);
        inner.addresses.insert(address.clone(), id.clone());
        inner
            .servers
            .insert(id.clone(), Entry::learned(id.clone(), address.clone()));
        self.announce(Started::Server(id.clone()));
        id
    }

    /// Where to reach a server now; `None` once it is forgotten or merged into another entry.
    pub(crate) fn address(&self, id: &ServerId) -> Option<Address> {
        self.latest()
            .servers
            .get(id)
            .map(|entry| entry.address.clone())
    }

    /// True if a recovery on record replaced this server while it was lost: it may come back
    /// writable.
    pub(crate) fn was_replaced(&self, id: &ServerId) -> bool {
        let inner = self.latest();
        let entry = inner.servers.get(id);
        let cluster = entry.and_then(|entry| inner.clusters.get(entry.cluster.as_ref()?));
        let mut past = cluster.into_iter().flat_map(|cluster| &cluster.past);
        past.any(|past| past.subject == *id && past.replaced_a_lost_one())
    }

    /// A reading of a server, its history with what it has from before it was restored.
    pub(crate) fn with_restored(&self, id: &ServerId, facts: ServerFacts) -> ServerFacts {
        match self.lock().servers.get_mut(id) {
            Some(entry) => entry.with_restored(facts),
            None => facts,
        }
    }

    /// Notes a full answer. Wakes the cluster and learns the neighbours it shows.
    pub(crate) fn answered(
        &self,
        id: &ServerId,
        answer: WatchAnswer,
        ended: Timestamp,
        wall: WallTime,
    ) {
        let mut inner = self.lock();
        if let Some(kept) = inner.duplicate_of(id, &answer) {
            inner.merge(id, &kept, Seen::Answering);
            return;
        }
        let Some(entry) = inner.servers.get_mut(id) else {
            return;
        };
        let unplaced = entry.cluster.is_none();
        let identity_changed = entry.answered(answer, ended, wall);
        if identity_changed {
            inner.dirty.insert(id.clone());
        }
        inner.recognise_sources(id);
        let found = inner.neighbours(id, ended);
        for address in found.sources.iter().chain(&found.replicas) {
            inner.learn_neighbour(address, ended, |started| self.announce(started));
        }
        inner.compare_with_primary(id);
        inner.note_starving(id);
        let named = inner.assign(id, &self.settings, wall, |started| self.announce(started));
        drop(named);
        // Not at each reading: it looks at all servers.
        if unplaced {
            inner.assign_waiting(id, &self.settings, wall, |started| self.announce(started));
        }
        inner.name_as_configured(id, &self.settings);
        inner.wake_cluster_of(id);
        if !inner.dirty.is_empty() || !inner.dirty_clusters.is_empty() {
            self.unrecorded.notify_one();
        }
    }

    /// Notes where the host name of a server's address leads to (IP literals), before it is first
    /// asked.
    pub(crate) fn resolved(&self, id: &ServerId, literals: Vec<String>) {
        let mut inner = self.lock();
        if let Some(entry) = inner.servers.get_mut(id) {
            entry.resolved = literals;
        }
        if let Some((gone, kept)) = inner.same_endpoint(id) {
            inner.merge(&gone, &kept, Seen::Unasked);
        }
    }

    /// Notes a failed attempt. Wakes the cluster.
    pub(crate) fn failed(
        &self,
        id: &ServerId,
        failure: ProbeFailure,
        ended: Timestamp,
        wall: WallTime,
    ) {
        let mut inner = self.lock();
        let Some(entry) = inner.servers.get_mut(id) else {
            return;
        };
        entry.probe.failed(ended, failure);
        inner.wake_cluster_of(id);
        inner.assign_waiting(id, &self.settings, wall, |started| self.announce(started));
    }

    /// Wakes the loops of all clusters.
    pub(crate) fn wake_all(&self) {
        for entry in self.latest().clusters.values() {
            entry.wake.notify_one();
        }
    }

    /// Removes a server from memory. Gives its address.
    pub(crate) fn forget(&self, id: &ServerId, block_until: Timestamp) -> Option<Address> {
        let mut inner = self.lock();
        let entry = inner.servers.remove(id)?;
        let gone: Vec<Address> = inner
            .addresses
            .iter()
            .filter(|(_, owner)| *owner == id)
            .map(|(a, _)| a.clone())
            .collect();
        for address in gone {
            inner.addresses.remove(&address);
            inner.blocked.insert(address, block_until);
        }
        inner.dirty.remove(id);
        entry.stop.notify_waiters();
        if let Some(cluster) = &entry.cluster
            && let Some(cluster) = inner.clusters.get(cluster)
        {
            cluster.wake.notify_one();
        }
        Some(entry.address)
    }

    /// Records the intended primary.
    pub(crate) fn set_primary(&self, cluster: &ClusterId, primary: &ServerId, epoch: LeaseEpoch) {
        let mut inner = self.lock();
        if let Some(entry) = inner.clusters.get_mut(cluster) {
            entry.set_primary(primary, epoch);
        }
    }
}

impl ClusterEntry {
    pub(crate) fn new(row: ClusterRecord) -> Self {
        Self {
            row,
            wake: Arc::new(Notify::new()),
            active: None,
            past: Vec::new(),
            left: BTreeSet::new(),
            unfinished: false,
            highest: None,
            findings: BTreeSet::new(),
        }
    }

    fn set_primary(&mut self, primary: &ServerId, epoch: LeaseEpoch) {
        self.row.primary = Some(primary.clone());
        self.row.primary_epoch = epoch;
        self.wake.notify_one();
    }
}

impl Inventory {
    fn wake_cluster_of(&self, id: &ServerId) {
        let cluster = self
            .servers
            .get(id)
            .and_then(|entry| entry.cluster.as_ref());
        if let Some(entry) = cluster.and_then(|cluster| self.clusters.get(cluster)) {
            entry.wake.notify_one();
        }
    }

    /// The text of the address, unless another server already has that identity (it lived there
    /// once and moved).
    fn fresh_id(&self, address: &Address) -> ServerId {
        let plain = ServerId::new(address.to_string());
        if !self.servers.contains_key(&plain) {
            return plain;
        }
        (2_u32..=u32::MAX)
            .map(|n| ServerId::new(format!("{address}#{n}")))
            .find(|id| !self.servers.contains_key(id))
            .unwrap_or(plain)
    }
}
