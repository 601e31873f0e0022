//! Which cluster a server belongs to.

use std::collections::BTreeSet;

use baton_core::gtid::{GtidSet, cluster_history};
use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::model::Reach;
use baton_core::time::{Timestamp, WallTime};
use baton_ports::{ClusterRecord, ServerRecord};

use super::entry::Entry;
use super::identity::Seen;
use super::{ClusterEntry, Inventory, Started};
use crate::settings::ControlSettings;

/// Addresses that a reading shows.
pub(super) struct Neighbours {
    pub(super) sources: Vec<Address>,
    pub(super) replicas: Vec<Address>,
}

/// Servers that replication connects.
struct Connected {
    /// Those without a cluster.
    unplaced: Vec<ServerId>,
    /// The cluster of one at the edge, the nearest.
    cluster: Option<ClusterId>,
}

impl Inventory {
    /// Takes over a recorded server. One that was found here under another identity is folded into
    /// it.
    pub(super) fn follow_server(&mut self, row: &ServerRecord, announce: impl Fn(Started)) {
        if !self.servers.contains_key(&row.id) {
            self.servers.insert(row.id.clone(), Entry::stored(row));
            announce(Started::Server(row.id.clone()));
        }
        for address in row.aliases.iter().chain([&row.address]) {
            match self.addresses.get(address).cloned() {
                Some(owner) if owner == row.id => {}
                Some(owner) => self.merge(&owner, &row.id, Seen::Unasked),
                None => {
                    self.addresses.insert(address.clone(), row.id.clone());
                }
            }
        }
        let Some(entry) = self.servers.get_mut(&row.id) else {
            return;
        };
        entry.address.clone_from(&row.address);
        if row.cluster.is_some() && entry.cluster != row.cluster {
            entry.cluster.clone_from(&row.cluster);
            entry.unconfirmed = false;
            let id = row.id.clone();
            self.wake_cluster_of(&id);
        }
    }

    pub(super) fn neighbours(&self, id: &ServerId, now: Timestamp) -> Neighbours {
        let mut found = Neighbours {
            sources: Vec::new(),
            replicas: Vec::new(),
        };
        let Some(entry) = self.servers.get(id) else {
            return found;
        };
        let Some(facts) = entry.facts.as_ref().map(|facts| &facts.value) else {
            return found;
        };
        let blocked =
            |address: &Address| self.blocked.get(address).is_some_and(|until| *until > now);
        let sources = facts
            .channels
            .iter()
            .filter_map(|channel| channel.source.clone());
        found.sources = sources.filter(|address| !blocked(address)).collect();
        let hosts: BTreeSet<&str> = facts
            .replicas
            .iter()
            .map(|r| r.host.as_str())
            .filter(|host| !host.is_empty())
            .collect();
        for replica in &facts.replicas {
            // A replica that registered no host is looked for at each host from which somebody
            // reads.
            let at: Vec<&str> = if replica.host.is_empty() {
                hosts.iter().copied().collect()
            } else {
                vec![&replica.host]
            };
            // A dump thread alone does not tell the port: the same as the source's is the best
            // guess.
            let port = replica
                .port
                .filter(|port| *port != 0)
                .unwrap_or(entry.address.port);
            let known = |address: &Address| self.addresses.contains_key(address);
            let addresses = at.iter().filter_map(|host| Address::new(host, port).ok());
            let found_at = addresses.filter(|a| !blocked(a) && !known(a));
            let found_at: Vec<Address> = found_at.collect();
            if !found_at.is_empty() && !self.answers_elsewhere(replica.uid.as_deref()) {
                found.replicas.extend(found_at);
            }
        }
        found
    }

    pub(super) fn learn_neighbour(
        &mut self,
        address: &Address,
        now: Timestamp,
        announce: impl Fn(Started),
    ) {
        self.blocked.retain(|_, until| *until > now);
        if self.addresses.contains_key(address) || self.blocked.contains_key(address) {
            return;
        }
        let id = self.fresh_id(address);
        let mut entry = Entry::learned(id.clone(), address.clone());
        entry.unconfirmed = true;
        self.addresses.insert(address.clone(), id.clone());
        self.servers.insert(id.clone(), entry);
        announce(Started::Server(id));
    }

    /// Finds errant transactions: of the replicas, once the primary was read after them; of `id`,
    /// never from its own reading alone, because what the primary committed meanwhile would look
    /// errant.
    pub(super) fn compare_with_primary(&mut self, id: &ServerId) {
        let Some(cluster) = self.servers.get(id).and_then(|entry| entry.cluster.clone()) else {
            return;
        };
        let primary = self
            .clusters
            .get(&cluster)
            .and_then(|c| c.row.primary.clone());
        if primary.as_ref() != Some(id) {
            return;
        }
        let Some(own) = self.servers.get(id).and_then(|entry| entry.facts.clone()) else {
            return;
        };
        let history = self.history_of(&cluster, id, &own.value.executed);
        let members: BTreeSet<Address> = self
            .addresses
            .iter()
            .filter(|(_, owner)| {
                self.servers
                    .get(*owner)
                    .is_some_and(|e| e.cluster.as_ref() == Some(&cluster))
            })
            .map(|(address, _)| address.clone())
            .collect();
        let replicas = self
            .servers
            .select_mut(|e| e.cluster.as_ref() == Some(&cluster) && e.id != *id);
        for entry in replicas {
            let Some(facts) = entry.facts.as_ref().filter(|facts| facts.at < own.at) else {
                continue;
            };
            let foreign = facts.value.channels.iter().any(|c| {
                c.source
                    .as_ref()
                    .is_some_and(|source| !members.contains(source))
            });
            entry.errant = if foreign {
                None
            } else {
                Some(errant_of(&facts.value.executed, &history))
            };
            if !foreign {
                entry.has_before(&history);
            }
        }
        if let Some(entry) = self.servers.get_mut(id) {
            entry.errant = Some(own.value.executed.empty_like());
            entry.has_before(&history);
        }
    }

    fn history_of(&self, cluster: &ClusterId, primary: &ServerId, executed: &GtidSet) -> GtidSet {
        let replicas = self
            .servers
            .values()
            .filter(|entry| entry.cluster.as_ref() == Some(cluster) && entry.id != *primary);
        let read = replicas.filter_map(|entry| {
            let facts = &entry.facts.as_ref()?.value;
            Some((facts.origin(), &facts.executed))
        });
        cluster_history(executed, &read.collect::<Vec<_>>())
    }

    /// Places the servers below `source` that waited for it to be probed.
    pub(super) fn assign_waiting(
        &mut self,
        source: &ServerId,
        settings: &ControlSettings,
        wall: WallTime,
        announce: impl Fn(Started),
    ) {
        // A configured source was placed with it.
        let mut queue = self.sources_of(source);
        queue.push(source.clone());
        while let Some(next) = queue.pop() {
            for replica in self.unplaced_replicas_of(&next) {
                let named = self.assign(&replica, settings, wall, &announce);
                drop(named);
                let placed = |entry: &Entry| entry.cluster.is_some();
                if self.servers.get(&replica).is_some_and(placed) {
                    queue.push(replica);
                }
            }
        }
    }

    /// Replicas of a source that wait for it to be probed before they can be placed.
    fn unplaced_replicas_of(&self, source: &ServerId) -> Vec<ServerId> {
        self.servers
            .values()
            .filter(|entry| entry.cluster.is_none() && entry.facts.is_some())
            .filter(|entry| self.sources_of(&entry.id).contains(source))
            .map(|entry| entry.id.clone())
            .collect()
    }

    pub(super) fn sources_of(&self, id: &ServerId) -> Vec<ServerId> {
        let facts = self.servers.get(id).and_then(|entry| entry.facts.as_ref());
        facts
            .map(|facts| {
                let sources = facts
                    .value
                    .channels
                    .iter()
                    .filter_map(|channel| channel.source.as_ref());
                sources
                    .filter_map(|address| self.addresses.get(address))
                    .cloned()
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Finds the cluster of a server that was just read. Gives the name of a cluster that was made
    /// for it.
    pub(super) fn assign(
        &mut self,
        id: &ServerId,
        settings: &ControlSettings,
        wall: WallTime,
        announce: impl Fn(Started),
    ) -> Option<String> {
        self.set_apart(id);
        let present = self.servers.get(id)?.cluster.clone();
        let source = self.main_source(id);
        let wanted = source
            .as_ref()
            .and_then(|source| self.servers.get(source)?.cluster.clone());
        match (present, wanted) {
            (Some(present), Some(wanted)) if present != wanted => {
                // It replicates from a server of another cluster now: it moved. Only the leader
                // decides that. Otherwise each node's view and the record would replace each other
                // again and again.
                if self.lease.is_some() && !self.is_recovering(&present) {
                    self.place(id, &wanted);
                    self.drop_if_empty(&present);
                }
                None
            }
            (Some(present), _) => {
                self.place_source(source.as_ref(), &present);
                None
            }
            (None, Some(wanted)) => {
                self.place(id, &wanted);
                None
            }
            (None, None) => self.found(id, source.as_ref(), settings, wall, announce),
        }
    }

    /// A server without a cluster and without a placed source: join its replicas' cluster, or found
    /// a new one, unless a source has yet to be probed (it may belong to a cluster).
    fn found(
        &mut self,
        id: &ServerId,
        source: Option<&ServerId>,
        settings: &ControlSettings,
        wall: WallTime,
        announce: impl Fn(Started),
    ) -> Option<String> {
        let below = self.followers_of(id);
        let joined = below
            .iter()
            .find_map(|replica| self.servers.get(replica).and_then(|e| e.cluster.clone()));
        if let Some(cluster) = joined {
            self.place(id, &cluster);
            self.place_source(source, &cluster);
            return None;
        }
        if self.waits_for_a_source(source) {
            return None;
        }
        // Two nodes that found clusters of their own would lock and count them apart: the others
        // learn them from the store.
        self.lease?;
        let connected = self.connected_with(id);
        if let Some(cluster) = connected.cluster {
            self.place_all(&connected.unplaced, &cluster);
            return None;
        }
        let root = self.top_of(id);
        let name = self.name_for(id, &root, settings);
        self.made = self.made.wrapping_add(1);
        let cluster = ClusterId::new(format!("c{:x}-{}", wall.millis().max(1), self.made));
        let row = ClusterRecord {
            id: cluster.clone(),
            name: name.clone(),
            primary: None,
            primary_epoch: LeaseEpoch::default(),
        };
        self.clusters
            .insert(cluster.clone(), ClusterEntry::new(row));
        self.dirty_clusters.insert(cluster.clone());
        self.place_all(&connected.unplaced, &cluster);
        announce(Started::Cluster(cluster));
        Some(name)
    }

    /// All servers that replication connects with a server, through others that have no cluster
    /// yet. Readings from before this node led were not placed then; placing only a part of them
    /// would create a cluster for each part.
    fn connected_with(&self, id: &ServerId) -> Connected {
        let mut found = Connected {
            unplaced: vec![id.clone()],
            cluster: None,
        };
        let mut seen: BTreeSet<ServerId> = found.unplaced.iter().cloned().collect();
        let mut at = 0;
        while let Some(next) = found.unplaced.get(at).cloned() {
            at += 1;
            let around = self.main_source(&next).into_iter();
            for other in around.chain(self.followers_of(&next)) {
                match self.servers.get(&other).map(|entry| &entry.cluster) {
                    Some(None) if seen.insert(other.clone()) => found.unplaced.push(other),
                    Some(Some(cluster)) => {
                        found.cluster.get_or_insert_with(|| cluster.clone());
                    }
                    Some(None) | None => {}
                }
            }
        }
        found
    }

    /// The source of the source, and so on.
    fn top_of(&self, id: &ServerId) -> ServerId {
        let mut top = id.clone();
        let mut seen = BTreeSet::from([top.clone()]);
        while let Some(above) = self.main_source(&top) {
            if !seen.insert(above.clone()) {
                break;
            }
            top = above;
        }
        top
    }

    /// True if any server above, at any distance, was not probed yet. It belongs to the same
    /// cluster.
    fn waits_for_a_source(&self, source: Option<&ServerId>) -> bool {
        let mut next = source.cloned();
        let mut seen: BTreeSet<ServerId> = BTreeSet::new();
        while let Some(above) = next.filter(|id| seen.insert(id.clone())) {
            let reach = self.servers.get(&above).map(|entry| entry.probe.reach());
            if reach == Some(Reach::NotProbed) {
                return true;
            }
            next = self.main_source(&above);
        }
        false
    }

    /// Configured name, then the name that the server's query suggests, then the top server's
    /// address; made unique.
    fn name_for(&self, id: &ServerId, root: &ServerId, settings: &ControlSettings) -> String {
        let address = |id: &ServerId| self.servers.get(id).map(|entry| entry.address.clone());
        let configured = [id, root]
            .into_iter()
            .filter_map(address)
            .find_map(|address| settings.cluster_names.get(&address).cloned());
        let hint = || {
            let facts = self.servers.get(id).and_then(|entry| entry.facts.as_ref());
            facts
                .and_then(|facts| facts.value.cluster_hint.clone())
                .filter(|hint| !hint.is_empty())
        };
        let plain = configured
            .or_else(hint)
            .or_else(|| address(root).map(|address| address.to_string()))
            .unwrap_or_else(|| root.to_string());
        let taken = |name: &str| {
            self.clusters
                .values()
                .any(|cluster| cluster.row.name == name)
        };
        if !taken(&plain) {
            return plain;
        }
        (2_u32..=u32::MAX)
            .map(|n| format!("{plain}-{n}"))
            .find(|name| !taken(name))
            .unwrap_or(plain)
    }

    /// Names the cluster as configured for a member, also for one that was found later. A name that
    /// an operator gave stays; the address of a member is a default name.
    pub(super) fn name_as_configured(&mut self, id: &ServerId, settings: &ControlSettings) {
        let entry = self.servers.get(id).filter(|_| self.lease.is_some());
        let Some((address, cluster)) =
            entry.and_then(|entry| Some((&entry.address, entry.cluster.as_ref()?)))
        else {
            return;
        };
        let Some(name) = settings.cluster_names.get(address) else {
            return;
        };
        let present = self.clusters.get(cluster).map(|found| &found.row.name);
        let by_address = present
            .and_then(|name| Address::parse(name, None).ok())
            .is_some_and(|address| self.addresses.contains_key(&address));
        let taken = self.clusters.values().any(|other| other.row.name == *name);
        if !by_address || taken {
            return;
        }
        let cluster = cluster.clone();
        if let Some(found) = self.clusters.get_mut(&cluster) {
            name.clone_into(&mut found.row.name);
        }
        self.dirty_clusters.insert(cluster);
    }

    fn place(&mut self, id: &ServerId, cluster: &ClusterId) {
        if let Some(entry) = self.servers.get_mut(id) {
            entry.cluster = Some(cluster.clone());
            entry.unconfirmed = false;
            self.dirty.insert(id.clone());
        }
        if let Some(entry) = self.clusters.get(cluster) {
            entry.wake.notify_one();
        }
    }

    fn place_all(&mut self, servers: &[ServerId], cluster: &ClusterId) {
        for id in servers {
            self.place(id, cluster);
        }
    }

    /// A configured source belongs to the cluster of its replica even if it never answered.
    fn place_source(&mut self, source: Option<&ServerId>, cluster: &ClusterId) {
        let unplaced = |entry: &Entry| entry.cluster.is_none();
        if let Some(source) = source
            && self.servers.get(source).is_some_and(unplaced)
        {
            self.place(source, cluster);
        }
    }

    pub(super) fn drop_if_empty(&mut self, cluster: &ClusterId) {
        if !self
            .servers
            .values()
            .any(|entry| entry.cluster.as_ref() == Some(cluster))
            && let Some(entry) = self.clusters.remove(cluster)
        {
            entry.wake.notify_one();
        }
    }
}

/// What `replica` has and `primary` lacks; the empty set if nothing is known to be errant.
fn errant_of(replica: &GtidSet, primary: &GtidSet) -> GtidSet {
    match GtidSet::errant(replica, primary) {
        Some(errant) if errant.count > 0 => replica.subtract(primary),
        Some(_) | None => replica.empty_like(),
    }
}
