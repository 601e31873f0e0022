//! Immutable pictures of clusters, taken from the registry.

use std::collections::BTreeMap;

use baton_core::ids::{Address, ClusterId, ServerId};
use baton_core::model::{ActiveRecovery, Control, Fleet, RecoveryKind, Server, Snapshot, Switch};
use baton_core::time::{Timestamp, WallTime};

use super::entry::Entry;
use super::{Inventory, Registry};

impl Registry {
    /// One cluster now; `None` if it is not known (any more).
    pub(crate) fn snapshot(
        &self,
        cluster: &ClusterId,
        now: Timestamp,
        wall: WallTime,
    ) -> Option<Snapshot> {
        let inner = self.latest();
        let entry = inner.clusters.get(cluster)?;
        let servers: BTreeMap<ServerId, Server> = inner
            .servers
            .values()
            .filter(|server| server.cluster.as_ref() == Some(cluster))
            .map(|server| (server.id.clone(), self.server(server)))
            .collect();
        let mut addresses: BTreeMap<Address, ServerId> = inner
            .addresses
            .iter()
            .filter(|(_, id)| servers.contains_key(*id))
            .map(|(address, id)| (address.clone(), id.clone()))
            .collect();
        add_reported(&servers, &mut addresses);
        let servers = marked(servers, entry.active.as_ref());
        Some(Snapshot {
            taken_at: now,
            wall,
            cluster: baton_core::model::ClusterRecord {
                id: entry.row.id.clone(),
                name: entry.row.name.clone(),
                primary: entry
                    .row
                    .primary
                    .clone()
                    .filter(|id| servers.contains_key(id)),
                primary_epoch: entry.row.primary_epoch,
            },
            highest: entry.highest.as_ref().map(|highest| highest.set.clone()),
            control: Control {
                risk: self.settings.risk_of(&entry.row.name),
                automatic: self.settings.is_automatic(&entry.row.name),
                enabled: inner.switch.unwrap_or(Switch::Unreadable),
                lease: inner.lease,
                active: entry.active.clone(),
                past: entry.past.clone(),
            },
            fleet: inner.fleet(cluster, self.settings.poll_interval),
            servers,
            addresses,
        })
    }

    fn server(&self, entry: &Entry) -> Server {
        let hint = self.settings.hints.get(&entry.address);
        let configured = hint.and_then(|hint| hint.place.clone());
        let reported = entry
            .facts
            .as_ref()
            .and_then(|facts| facts.value.place.clone());
        Server {
            id: entry.id.clone(),
            address: entry.address.clone(),
            probe: entry.probe.clone(),
            facts: entry.facts.clone(),
            heartbeat_moved: entry.heartbeat_moved.clone(),
            reconnected: entry.reconnected.clone(),
            reconnect_failed: entry.reconnect_failed.clone(),
            severed: entry.severed.clone(),
            lifted: entry.lifted.clone(),
            receiver_ran: entry.receiver_ran.clone(),
            acknowledged: entry.acknowledged.clone(),
            closed: entry.closed,
            outages: entry.outages.clone(),
            starving: entry.starving.clone(),
            progressed_at: entry.progressed_at,
            commits_wait_since: entry.commits_wait_since,
            space_awaited_since: entry.space_awaited_since,
            prepared_since: entry.prepared_since.clone(),
            errant: entry.errant.clone(),
            promotion: entry.promotion,
            place: reported.or(configured).unwrap_or_default(),
            tags: hint.map(|hint| hint.tags.clone()).unwrap_or_default(),
            downtime: entry.downtime.clone(),
            maintenance: false,
            quarantined: entry.quarantined,
        }
    }
}

/// A server that is being taken back is worked on.
fn marked(
    mut servers: BTreeMap<ServerId, Server>,
    active: Option<&ActiveRecovery>,
) -> BTreeMap<ServerId, Server> {
    let rejoining = active.filter(|active| active.kind == RecoveryKind::Rejoin);
    if let Some(server) = rejoining.and_then(|active| servers.get_mut(&active.subject)) {
        server.maintenance = true;
    }
    servers
}

/// `report_host` differing from the address: channels may name it. An address that a member really
/// has goes first, and a name that several members report (`localhost`, containers with one host
/// name) says nothing.
fn add_reported(servers: &BTreeMap<ServerId, Server>, addresses: &mut BTreeMap<Address, ServerId>) {
    let mut reported: BTreeMap<Address, Vec<&ServerId>> = BTreeMap::new();
    for server in servers.values() {
        let Some(facts) = server.last_facts() else {
            continue;
        };
        let port = facts.report_port.unwrap_or(facts.port);
        let hosts = facts.report_host.iter().chain([&facts.hostname]);
        let mut own: Vec<Address> = hosts
            .filter_map(|host| Address::new(host, port).ok())
            .collect();
        own.dedup();
        for address in own {
            reported.entry(address).or_default().push(&server.id);
        }
    }
    for (address, owners) in reported {
        if let [owner] = owners.as_slice() {
            addresses.entry(address).or_insert_with(|| (*owner).clone());
        }
    }
}

impl Inventory {
    fn fleet(&self, cluster: &ClusterId, poll_interval: std::time::Duration) -> Fleet {
        let mut elsewhere = BTreeMap::new();
        for (id, entry) in self.clusters.iter() {
            if id != cluster {
                for code in &entry.findings {
                    *elsewhere.entry(code.clone()).or_insert(0) += 1;
                }
            }
        }
        Fleet {
            clusters: u32::try_from(self.clusters.len()).unwrap_or(u32::MAX),
            elsewhere,
            watching_since: Timestamp::default(),
            poll_interval,
        }
    }
}
