//! What this node tells the others: of itself, and how it sees servers.

use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::model::{Probe, Reach};
use baton_core::policy;
use baton_core::time::Timestamp;
use baton_ports::{PeerReport, PeerSighting};
use tokio::time::{Instant, sleep_until};

use crate::locking::lock;
use crate::nodes::{self, Nodes};
use crate::peers::PeerState;

/// How soon a change is noticed that wakes nobody: the store's state, a primary's record.
const TICK: Duration = Duration::from_millis(100);
/// The report of this node.
pub(crate) fn report(own: &Nodes) -> PeerReport {
    let lease = &own.lease;
    let epoch = lease.epoch_for(Duration::ZERO);
    PeerReport {
        name: own.registry.settings.node.clone(),
        incarnation: own.token.clone(),
        acts: epoch.is_some(),
        granted: epoch.is_some() && !lease.is_self_appointed(),
        epoch: epoch.unwrap_or_else(|| lease.highest()),
        leader: lease.leader(),
        store_answers: lease.problem().is_none(),
        backend_node: lock(&own.backend_node).clone(),
        hears: own.peers.heard(),
        primaries: primaries(own),
    }
}

fn primaries(own: &Nodes) -> Vec<(ClusterId, ServerId, LeaseEpoch)> {
    let inventory = own.registry.latest();
    let rows = inventory.clusters.values().map(|entry| &entry.row);
    rows.filter_map(|row| Some((row.id.clone(), row.primary.clone()?, row.primary_epoch)))
        .collect()
}

/// Waits until the report differs from `seen`, at most `limit`. May be dropped at any time.
pub(crate) async fn changed(own: &Nodes, seen: &PeerReport, limit: Duration) -> PeerReport {
    let deadline = Instant::now() + limit;
    let (mut held, mut peers) = (own.lease.subscribe(), own.peers.subscribe());
    loop {
        held.mark_unchanged();
        peers.mark_unchanged();
        let now = report(own);
        if now != *seen || Instant::now() >= deadline {
            return now;
        }
        let next = deadline.min(Instant::now() + TICK);
        tokio::select! {
            Ok(()) = held.changed() => {}
            Ok(()) = peers.changed() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// Where the node that leads serves its API. Its own answer to this node goes before what is registered.
pub(crate) async fn leader_url(own: &Nodes) -> Option<String> {
    let leader = own.lease.leader()?;
    if own.lease.epoch_for(Duration::ZERO).is_some() {
        return None;
    }
    let is_it = |state: &PeerState| state.report.as_ref().is_some_and(|r| r.name == leader);
    let peers = own.peers.states().into_iter();
    if let Some((url, _)) = peers.into_iter().find(|(_, state)| is_it(state)) {
        return Some(url);
    }
    let rows = nodes::registered(own).await?;
    let row = rows.into_iter().find(|row| row.name == leader)?;
    // One that leads under this node's name is another process, or this one's own past.
    let is_elsewhere = !row.url.is_empty() && row.url != own.registry.settings.url;
    is_elsewhere.then_some(row.url)
}

/// How this node sees servers, by any of their addresses.
pub(crate) fn sightings(own: &Nodes, servers: &[Address]) -> Vec<PeerSighting> {
    let now = own.clock.now();
    let inventory = own.registry.latest();
    let seen = servers.iter().filter_map(|address| {
        let id = inventory.addresses.get(address)?;
        Some(sighting(address, &inventory.servers.get(id)?.probe, now))
    });
    seen.collect()
}

fn sighting(address: &Address, probe: &Probe, now: Timestamp) -> PeerSighting {
    let age = |at: Timestamp| now.since(at);
    PeerSighting {
        address: address.clone(),
        reach: match probe.reach() {
            Reach::NotProbed => policy::Reach::NotProbed,
            Reach::Answering => policy::Reach::Answering,
            Reach::Partial => policy::Reach::Partial,
            Reach::Silent => policy::Reach::Silent,
        },
        failure: probe
            .failure
            .as_ref()
            .map(|failure| failure.word().to_owned()),
        answered_age: probe.answered_at.map(age),
        attempt_age: probe.attempted_at.map(age),
        failures: probe.failures,
    }
}
