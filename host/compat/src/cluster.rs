//! One cluster as the predecessor would see it: keys, names, depth, health of a check.

use std::collections::BTreeSet;

use baton_control::ClusterView;
use baton_core::ids::{Address, ServerId};
use baton_core::model::{Channel, Downtime, Edge, Server};
use std::time::Duration;

use crate::shape::{ClusterInfo, Key};
use baton_http_core::times::age;

/// Lag from which the predecessor, as shipped, calls a replica problematic.
pub(crate) const REASONABLE_LAG: Duration = Duration::from_secs(10);
/// Lag from which its tree says `lag`.
pub(crate) const MAINTENANCE_LAG: Duration = Duration::from_secs(20);

/// A cluster with the predecessor's name of it.
pub(crate) struct LegacyCluster<'a> {
    pub(crate) view: &'a ClusterView,
    pub(crate) name: String,
}

impl<'a> LegacyCluster<'a> {
    pub(crate) fn of(view: &'a ClusterView) -> Self {
        Self {
            view,
            name: cluster_name(view),
        }
    }

    pub(crate) fn alias(&self) -> &str {
        &self.view.snapshot.cluster.name
    }

    pub(crate) fn server(&self, id: &ServerId) -> Option<&'a Server> {
        self.view.snapshot.servers.get(id)
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &'a Server> {
        self.view.snapshot.servers.values()
    }

    /// The present primary.
    pub(crate) fn primary(&self) -> Option<&'a Server> {
        primary(self.view)
    }

    pub(crate) fn key_of(&self, id: &ServerId) -> Key {
        self.server(id)
            .map(|server| key(&server.address))
            .unwrap_or_default()
    }

    /// The channel that the predecessor, which knows one, would show: the first with a member as
    /// source, else the first.
    pub(crate) fn channel(&self, id: &ServerId) -> Option<&'a Channel> {
        let edges = self.view.topology.channels_of(id);
        edges
            .iter()
            .find(|edge| edge.source.is_some())
            .or(edges.first())
            .map(|edge| &edge.channel)
    }

    /// Where that channel points; a member by its present address.
    pub(crate) fn source_key(&self, id: &ServerId) -> Key {
        let source = self.channel(id).and_then(|channel| channel.source.as_ref());
        let Some(address) = source else {
            return Key::default();
        };
        self.view
            .snapshot
            .server_at(address)
            .map_or_else(|| key(address), |server| key(&server.address))
    }

    /// Direct replicas, each once.
    pub(crate) fn replicas(&self, id: &ServerId) -> Vec<&'a Edge> {
        let mut seen = BTreeSet::new();
        let edges = self.view.topology.replicas_of(id).iter();
        edges.filter(|edge| seen.insert(&edge.replica)).collect()
    }

    /// Keys of the direct replicas, sorted by host and port.
    pub(crate) fn replica_keys(&self, id: &ServerId) -> Vec<Key> {
        let mut keys: Vec<Key> = self
            .replicas(id)
            .iter()
            .map(|edge| self.key_of(&edge.replica))
            .collect();
        keys.sort();
        keys
    }

    /// The server and those it gets its changes from, nearest first; stops at a loop.
    pub(crate) fn ancestry(&self, id: &ServerId) -> Vec<&'a Server> {
        let mut seen = BTreeSet::new();
        let mut line = Vec::new();
        let mut next = self.server(id);
        while let Some(server) = next {
            if !seen.insert(&server.id) {
                break;
            }
            line.push(server);
            next = self
                .view
                .topology
                .source_of(&server.id)
                .and_then(|source| self.server(source));
        }
        line
    }

    /// Steps down from the primary; 0 for a co-primary, too.
    pub(crate) fn depth(&self, id: &ServerId) -> u32 {
        let line = self.ancestry(id);
        let is_top = |server: &&Server| self.view.topology.co_primary_of(&server.id).is_some();
        let steps = line
            .iter()
            .position(is_top)
            .unwrap_or(line.len().saturating_sub(1));
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    /// Whether the last probe was answered in full.
    pub(crate) fn is_check_valid(server: &Server) -> bool {
        server.probe.attempted_at.is_some() && server.probe.failure.is_none()
    }

    /// Whether the last attempt is no older than `polls` poll intervals (of a second at least).
    pub(crate) fn is_checked_within(&self, server: &Server, polls: u32) -> bool {
        let snapshot = &self.view.snapshot;
        let interval = snapshot.fleet.poll_interval.max(Duration::from_secs(1));
        let limit = interval.saturating_mul(polls);
        server
            .probe
            .attempted_at
            .is_some_and(|at| age(snapshot, at) <= limit)
    }

    /// The downtime in force.
    pub(crate) fn downtime(&self, server: &'a Server) -> Option<&'a Downtime> {
        let now = self.view.snapshot.wall;
        server
            .downtime
            .as_ref()
            .filter(|downtime| downtime.ends > now)
    }

    pub(crate) fn info(&self) -> ClusterInfo {
        let snapshot = &self.view.snapshot;
        ClusterInfo {
            cluster_name: self.name.clone(),
            cluster_alias: self.alias().to_owned(),
            cluster_domain: String::new(),
            count_instances: snapshot.servers.len(),
            heuristic_lag: 0,
            is_primary_automatic: snapshot.control.automatic,
            is_intermediate_automatic: snapshot.control.automatic,
        }
    }
}

/// `host:port` as an object.
pub(crate) fn key(address: &Address) -> Key {
    Key {
        hostname: address.host.clone(),
        port: address.port,
    }
}

/// `host:port` as a text, also of an object without a host.
pub(crate) fn key_text(key: &Key) -> String {
    if key.hostname.contains(':') {
        format!("[{}]:{}", key.hostname, key.port)
    } else {
        format!("{}:{}", key.hostname, key.port)
    }
}

/// The predecessor's name of a cluster: `host:port` of its present primary. If that cannot be told,
/// of a server at the top of the tree, so that the name does not come and go.
pub(crate) fn cluster_name(view: &ClusterView) -> String {
    let servers = &view.snapshot.servers;
    let is_top = |server: &&Server| view.topology.source_of(&server.id).is_none();
    let replicas = |server: &&Server| view.topology.replicas_of(&server.id).len();
    primary(view)
        .or_else(|| servers.values().filter(is_top).max_by_key(replicas))
        .or_else(|| servers.values().next())
        .map_or_else(
            || view.snapshot.cluster.name.clone(),
            |server| server.address.to_string(),
        )
}

fn primary(view: &ClusterView) -> Option<&Server> {
    let told = view
        .report
        .primary
        .server()
        .and_then(|id| view.snapshot.servers.get(id));
    told.or_else(|| view.snapshot.primary())
}
