//! The picture of the fleet in memory: what probes showed, who belongs together, what operators said.
//!
//! One lock, held only for the time of a lookup or an update, never across an await.

mod bounds;
mod entry;
mod identity;
mod membership;
mod progress;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::gtid::GtidSet;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::model::{
    ActiveRecovery, Downtime, PastRecovery, ProbeFailure, PromotionRule, RecoveryOutcome,
    ServerFacts, Switch,
};
use baton_core::planning::Highest;
use baton_core::right::Voters;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::{ClusterRow, RecoveryRow, ServerRow, WatchAnswer};
use tokio::sync::{Notify, mpsc, watch};

pub(crate) use entry::Entry;
use entry::stamp;
use identity::Seen;

use crate::decide::left_behind;
use crate::operators::{PAST_MAX, past};
use crate::readings::Readings;
use crate::settings::ControlSettings;

/// What the supervisor has to start.
#[derive(Debug)]
pub(crate) enum Started {
    /// A server to watch.
    Server(ServerId),
    /// A cluster to look after.
    Cluster(ClusterId),
}

/// What is known of a cluster beside its members.
#[derive(Debug)]
pub(crate) struct ClusterEntry {
    pub(crate) row: ClusterRow,
    pub(crate) wake: Arc<Notify>,
    pub(crate) active: Option<ActiveRecovery>,
    pub(crate) past: Vec<PastRecovery>,
    /// Servers that a recovery left behind and that were not brought back yet.
    pub(crate) left: BTreeSet<ServerId>,
    /// The store has an open recovery that nobody here works on: a process that was started again has handed it over, perhaps.
    pub(crate) unfinished: bool,
    /// The most that was seen of its history.
    pub(crate) highest: Option<Highest>,
    /// Code words of the findings it has now, for the rest of the fleet.
    pub(crate) findings: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) servers: BTreeMap<ServerId, Entry>,
    pub(crate) addresses: BTreeMap<Address, ServerId>,
    pub(crate) clusters: BTreeMap<ClusterId, ClusterEntry>,
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

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    pub(crate) settings: ControlSettings,
    started: mpsc::UnboundedSender<Started>,
    changes: watch::Sender<u64>,
    /// Told when a server was placed, or this node came to lead: what is known is to be recorded at once, because the next process
    /// cannot find the replicas of a primary that died meanwhile.
    pub(crate) unrecorded: Notify,
    /// Held while changes are written: of two writers at once, the one with the older picture could be the last.
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
            inner: Mutex::new(Inner::default()),
            settings,
            started,
            changes: watch::Sender::new(0),
            unrecorded: Notify::new(),
            recording: tokio::sync::Mutex::default(),
            readings: Readings::default(),
        };
        (Arc::new(registry), receiver)
    }

    /// A panic elsewhere does not make facts wrong: each update is complete before the lock is given back.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, started: Started) {
        // The receiver is gone only when the node stops.
        drop(self.started.send(started));
    }

    /// Told after each published change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells subscribers that a view changed.
    pub(crate) fn published(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes over what the store knows.
    pub(crate) fn load(&self, servers: Vec<ServerRow>, clusters: Vec<ClusterRow>) {
        let mut inner = self.lock();
        for row in clusters {
            let id = row.id.clone();
            inner.clusters.insert(id.clone(), ClusterEntry::new(row));
            self.announce(Started::Cluster(id));
        }
        for row in servers {
            let entry = Entry::stored(&row);
            inner.addresses.insert(row.address.clone(), row.id.clone());
            for alias in &row.aliases {
                inner.addresses.insert(alias.clone(), row.id.clone());
            }
            inner.servers.insert(row.id.clone(), entry);
            self.announce(Started::Server(row.id));
        }
    }

    /// Takes over what the node that leads has recorded since: new clusters and servers, who belongs where, who is primary. Only for a
    /// node that does not lead: what the leader has in memory is newer than what it has recorded.
    pub(crate) fn follow(&self, servers: &[ServerRow], clusters: &[ClusterRow]) {
        let mut inner = self.lock();
        for row in clusters {
            let Some(entry) = inner.clusters.get_mut(&row.id) else {
                let entry = ClusterEntry::new(row.clone());
                inner.clusters.insert(row.id.clone(), entry);
                self.announce(Started::Cluster(row.id.clone()));
                continue;
            };
            let changed = entry.row != *row && entry.row.primary_epoch <= row.primary_epoch;
            if changed {
                entry.row.clone_from(row);
                entry.wake.notify_one();
            }
        }
        for row in servers {
            inner.follow_server(row, |started| self.announce(started));
        }
    }

    /// Takes over primaries that an earlier leader recorded, and that came to the store only after this node had begun to lead: it had
    /// written them to its own disk. What was recorded under the present epoch is this node's own, and older than what it has in memory.
    pub(crate) fn learn_primaries(&self, clusters: &[ClusterRow]) {
        let mut inner = self.lock();
        let Some(present) = inner.lease else {
            return;
        };
        for row in clusters.iter().filter(|row| row.primary_epoch < present) {
            let Some(entry) = inner.clusters.get_mut(&row.id) else {
                continue;
            };
            let is_later = entry.row.primary_epoch <= row.primary_epoch;
            if let Some(primary) = &row.primary
                && is_later
                && entry.row.primary.as_ref() != Some(primary)
            {
                entry.set_primary(primary, row.primary_epoch);
            }
        }
    }

    /// Another node says who the primary of a cluster is. What was recorded later counts; a server that is not known here cannot be taken
    /// over from hearsay.
    pub(crate) fn hear_of_primary(
        &self,
        cluster: &ClusterId,
        server: &ServerId,
        epoch: LeaseEpoch,
    ) {
        let mut inner = self.lock();
        let is_member = inner
            .servers
            .get(server)
            .is_some_and(|entry| entry.cluster.as_ref() == Some(cluster));
        let Some(entry) = inner.clusters.get_mut(cluster).filter(|_| is_member) else {
            return;
        };
        if epoch > entry.row.primary_epoch {
            entry.set_primary(server, epoch);
        }
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
        self.lock()
            .servers
            .get(id)
            .map(|entry| entry.address.clone())
    }

    /// True if a recovery on record replaced this server while it was lost: it may come back writable.
    pub(crate) fn was_replaced(&self, id: &ServerId) -> bool {
        let inner = self.lock();
        let entry = inner.servers.get(id);
        let cluster = entry.and_then(|entry| inner.clusters.get(entry.cluster.as_ref()?));
        let mut past = cluster.into_iter().flat_map(|cluster| &cluster.past);
        past.any(|past| past.failed == *id && past.replaced_a_lost_one())
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

    /// Notes where the host name of a server's address leads to (IP literals), before it is first asked.
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
        for entry in self.lock().clusters.values() {
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

    /// Takes over what was recorded of the clusters' histories. It counts as seen now: a primary that serves without some of it, and is read
    /// after this, has begun it anew.
    pub(crate) fn recall(&self, recorded: Vec<(ClusterId, GtidSet)>, now: Timestamp) {
        let mut inner = self.lock();
        for (cluster, set) in recorded {
            if let Some(entry) = inner.clusters.get_mut(&cluster) {
                let set = match &entry.highest {
                    Some(known) => known.set.union(&set),
                    None => set,
                };
                entry.highest = Some(Highest {
                    set,
                    raised_at: now,
                });
            }
        }
    }

    /// Records the intended primary.
    pub(crate) fn set_primary(&self, cluster: &ClusterId, primary: &ServerId, epoch: LeaseEpoch) {
        let mut inner = self.lock();
        if let Some(entry) = inner.clusters.get_mut(cluster) {
            entry.set_primary(primary, epoch);
        }
    }

    /// Notes that a receiver was made to connect anew, at the end of the statement that started it.
    pub(crate) fn note_reconnected(&self, id: &ServerId, channel: &str, at: Timestamp) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            stamp(&mut entry.reconnected, channel, at);
        }
    }

    /// Notes that a receiver was severed.
    pub(crate) fn note_severed(&self, id: &ServerId, channel: &str, at: Timestamp) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            stamp(&mut entry.severed, channel, at);
        }
    }

    /// Notes the delay of a channel that is about to be lifted, so that it can be set back.
    pub(crate) fn note_lifting(&self, id: &ServerId, channel: &str) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let channels = entry.facts.iter().flat_map(|facts| &facts.value.channels);
            let mut delayed =
                channels.filter(|found| found.name == channel && !found.delay.is_zero());
            if let Some(delay) = delayed.next().map(|found| found.delay) {
                entry.lifted.retain(|(name, _)| name != channel);
                entry.lifted.push((channel.to_owned(), delay));
            }
        }
    }

    /// Notes that the delay of a channel, or of all, was set back, or that the channel is gone.
    pub(crate) fn note_delayed(&self, id: &ServerId, channel: Option<&str>) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let meant = |name: &str| channel.is_none_or(|channel| channel == name);
            entry.lifted.retain(|(name, _)| !meant(name));
        }
    }

    /// Notes that the receiver of a channel, or of all, was started: it is severed no more.
    pub(crate) fn note_started(&self, id: &ServerId, channel: Option<&str>) {
        if let Some(entry) = self.lock().servers.get_mut(id) {
            let started = |name: &str| channel.is_none_or(|channel| channel == name);
            entry.severed.retain(|(name, _)| !started(name));
        }
    }

    /// Notes that a receiver was to connect anew and was not even let go by its source.
    pub(crate) fn note_reconnect_failed(&self, id: &ServerId, channel: &str, at: Timestamp) {
        let mut inner = self.lock();
        if let Some(entry) = inner.servers.get_mut(id) {
            stamp(&mut entry.reconnect_failed, channel, at);
        }
        inner.wake_cluster_of(id);
    }

    /// Takes over what operators said, as the store has it.
    pub(crate) fn set_operators(
        &self,
        downtimes: &BTreeMap<ServerId, Downtime>,
        rules: &BTreeMap<ServerId, (PromotionRule, bool)>,
        switch: Switch,
    ) {
        let mut inner = self.lock();
        inner.switch = Some(switch);
        let hints = &self.settings.hints;
        for (id, entry) in &mut inner.servers {
            entry.downtime = downtimes.get(id).cloned();
            let configured = hints.get(&entry.address).and_then(|hint| hint.promotion);
            let (stored, quarantined) = rules.get(id).copied().unwrap_or_default();
            entry.promotion = match stored {
                PromotionRule::Neutral => configured.unwrap_or_default(),
                set => set,
            };
            entry.quarantined = quarantined;
        }
    }

    /// Takes over the newest recorded recoveries.
    pub(crate) fn set_past(&self, all: &[RecoveryRow]) {
        let mut inner = self.lock();
        for (id, entry) in &mut inner.clusters {
            let of_cluster = || all.iter().filter(|row| row.cluster == *id);
            let ended = of_cluster().filter(|row| row.ended.is_some());
            entry.past = ended.take(PAST_MAX).map(past).collect();
            entry.left = left_behind(of_cluster());
            let own = entry.active.as_ref().map(|active| &active.id);
            entry.unfinished = of_cluster()
                .any(|row| row.outcome == RecoveryOutcome::Running && own != Some(&row.id));
            if entry.unfinished {
                entry.wake.notify_one();
            }
        }
    }

    /// Rows changed since the last call, to be written to the store.
    pub(crate) fn take_dirty(&self) -> (Vec<ServerRow>, Vec<(ClusterId, String)>) {
        let mut inner = self.lock();
        let dirty = std::mem::take(&mut inner.dirty);
        let clusters = std::mem::take(&mut inner.dirty_clusters);
        let rows = dirty
            .iter()
            .filter_map(|id| inner.servers.get(id).map(|e| e.row(&inner.addresses)));
        let rows = rows.collect();
        let named = clusters
            .iter()
            .filter_map(|id| {
                inner
                    .clusters
                    .get(id)
                    .map(|entry| (id.clone(), entry.row.name.clone()))
            })
            .collect();
        (rows, named)
    }

    /// Entries that were folded into others since the last call: to be removed from the store.
    pub(crate) fn take_folded(&self) -> BTreeSet<ServerId> {
        std::mem::take(&mut self.lock().folded)
    }

    /// Marks entries as still to be removed from the store.
    pub(crate) fn put_back_folded(&self, folded: BTreeSet<ServerId>) {
        self.lock().folded.extend(folded);
    }

    /// Marks rows as still to be written.
    pub(crate) fn put_back(&self, servers: &[ServerRow], clusters: &[(ClusterId, String)]) {
        let mut inner = self.lock();
        inner.dirty.extend(servers.iter().map(|row| row.id.clone()));
        inner
            .dirty_clusters
            .extend(clusters.iter().map(|(id, _)| id.clone()));
    }

    /// Marks every row, so that last-seen times reach the store.
    pub(crate) fn mark_all_dirty(&self) {
        let mut inner = self.lock();
        let all: Vec<ServerId> = inner.servers.keys().cloned().collect();
        inner.dirty.extend(all);
    }
}

impl ClusterEntry {
    pub(crate) fn new(row: ClusterRow) -> Self {
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

impl Inner {
    fn wake_cluster_of(&self, id: &ServerId) {
        let cluster = self
            .servers
            .get(id)
            .and_then(|entry| entry.cluster.as_ref());
        if let Some(entry) = cluster.and_then(|cluster| self.clusters.get(cluster)) {
            entry.wake.notify_one();
        }
    }

    /// The text of the address, unless another server already has that identity (it lived there once and moved).
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
