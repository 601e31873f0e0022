//! What this node tells its peers: about itself, and how it sees servers.

use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, ServerId};
use baton_core::model::{Probe, Reach};
use baton_core::policy;
use baton_core::time::Timestamp;
use baton_ports::{PeerReport, PeerSighting};
use tokio::time::{Instant, sleep_until};

use super::Leadership;
use super::peer_table::PeerState;
use crate::locking::lock;

/// How soon a change is noticed that wakes nobody: the state of the store, a recorded primary.
const TICK: Duration = Duration::from_millis(100);

impl Leadership {
    /// Which node of its backend this node uses now, as `<backend>/<host:port>`. The peers are
    /// told.
    pub(crate) fn set_backend_node(&self, node: Option<String>) {
        *lock(&self.backend_node) = node;
    }

    /// The last reports of the peers that answer.
    pub(crate) fn peer_reports(&self) -> Vec<PeerReport> {
        self.peers.living()
    }

    /// The report of this node.
    pub(crate) fn report(&self) -> PeerReport {
        let lease = &self.lease;
        let epoch = lease.epoch_for(Duration::ZERO);
        PeerReport {
            name: self.registry.settings.node.clone(),
            incarnation: self.token.clone(),
            acts: epoch.is_some(),
            granted: epoch.is_some() && !lease.is_self_appointed(),
            epoch: epoch.unwrap_or_else(|| lease.highest()),
            leader: lease.leader(),
            store_answers: lease.problem().is_none(),
            backend_node: lock(&self.backend_node).clone(),
            hears: self.peers.heard(),
            primaries: self.primaries(),
        }
    }

    fn primaries(&self) -> Vec<(ClusterId, ServerId, LeaseEpoch)> {
        let inventory = self.registry.latest();
        let rows = inventory.clusters.values().map(|entry| &entry.row);
        rows.filter_map(|row| Some((row.id.clone(), row.primary.clone()?, row.primary_epoch)))
            .collect()
    }

    /// Waits until the report differs from `seen`, at most `limit`. Dropping the future changes
    /// nothing.
    pub(crate) async fn report_changed(&self, seen: &PeerReport, limit: Duration) -> PeerReport {
        let deadline = Instant::now() + limit;
        let (mut leading, mut peers) = (self.lease.subscribe(), self.peers.subscribe());
        loop {
            leading.mark_unchanged();
            peers.mark_unchanged();
            let now = self.report();
            if now != *seen || Instant::now() >= deadline {
                return now;
            }
            let next = deadline.min(Instant::now() + TICK);
            tokio::select! {
                Ok(()) = leading.changed() => {}
                Ok(()) = peers.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Where the leader serves its API, if that is another node. What the leader answered to this
    /// node goes before what is registered.
    pub(crate) async fn leader_url(&self) -> Option<String> {
        let leader = self.lease.leader()?;
        if self.lease.epoch_for(Duration::ZERO).is_some() {
            return None;
        }
        let is_leader = |state: &PeerState| state.report.as_ref().is_some_and(|r| r.name == leader);
        let peers = self.peers.states().into_iter();
        if let Some((url, _)) = peers.into_iter().find(|(_, state)| is_leader(state)) {
            return Some(url);
        }
        let rows = self.registered().await?;
        let row = rows.into_iter().find(|row| row.name == leader)?;
        // A leader under this node's name is another process, or an earlier one of this node.
        let is_elsewhere = !row.url.is_empty() && row.url != self.registry.settings.url;
        is_elsewhere.then_some(row.url)
    }

    /// How this node sees servers, by any of their addresses.
    pub(crate) fn sightings(&self, servers: &[Address]) -> Vec<PeerSighting> {
        let now = self.clock.now();
        let inventory = self.registry.latest();
        let seen = servers.iter().filter_map(|address| {
            let id = inventory.addresses.get(address)?;
            Some(sighting(address, &inventory.servers.get(id)?.probe, now))
        });
        seen.collect()
    }
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
