//! Gathering the evidence that the analysis asks for: readings now, and one reconnection to unmask a hung source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::analysis::{ProbeRequest, Report};
use baton_core::execution::ServerCommand;
use baton_core::ids::ServerId;
use baton_core::model::{Reach, Snapshot, Topology};
use baton_core::time::Timestamp;
use baton_ports::StatementError;

use super::ClusterLoop;
use crate::sessions::WorkError;

/// A source is unmasked at most this often: on some servers a reconnection costs the relay logs.
const RECONNECT_EVERY: Duration = Duration::from_secs(5);
/// Limit of a reconnection. Stopping a receiver whose source hangs takes one second on MariaDB, two on MySQL.
const RECONNECT_LIMIT: Duration = Duration::from_millis(2500);
/// A receiver that its source did not let go is started again so much later, if it was not pointed elsewhere by then.
const RESTART_AFTER: Duration = Duration::from_secs(2);
/// A server is read out of turn at most this often.
const READ_EVERY: Duration = Duration::from_millis(40);

/// When what was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    reconnected: BTreeMap<ServerId, Timestamp>,
    read: BTreeMap<ServerId, Timestamp>,
    /// Replicas made to connect anew: channel, source, and when.
    unmasked: BTreeMap<ServerId, (String, ServerId, Timestamp)>,
}

impl ClusterLoop {
    /// Starts what is missing, in the background: nothing here waits for a server.
    pub(crate) fn gather(&mut self, snapshot: &Snapshot, report: &Report) {
        for request in &report.probes {
            match request {
                ProbeRequest::ReadNow { servers } => {
                    for server in servers {
                        self.read_now(server, snapshot.taken_at);
                    }
                }
                ProbeRequest::ReconnectReceiver {
                    server,
                    channel,
                    source,
                } => {
                    self.unmask(snapshot, server, channel, source);
                }
            }
        }
        self.read_witnesses(snapshot);
        self.restart_receivers(snapshot);
    }

    /// A source that lives after all gets the receiver back that was ended to find that out. If it is replaced, the recovery
    /// points the replica elsewhere.
    fn restart_receivers(&mut self, snapshot: &Snapshot) {
        if !self.may_act(snapshot) {
            return;
        }
        let now = snapshot.taken_at;
        let lives = |id: &ServerId| {
            let source = snapshot.servers.get(id);
            source.is_some_and(|source| source.probe.reach() == Reach::Answering)
        };
        let (over, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.evidence.unmasked)
            .into_iter()
            .partition(|(_, (_, source, at))| now.since(*at) > RESTART_AFTER && lives(source));
        self.evidence.unmasked = kept.into_iter().collect();
        for (replica, (channel, source, at)) in over {
            let ended = snapshot.servers.get(&replica).is_some_and(|replica| {
                let in_vain = replica.reconnect_failed_on(&channel);
                in_vain.is_some_and(|failed| failed >= at)
            });
            let topology = Topology::of(snapshot);
            let follows = topology
                .replicas_of(&source)
                .iter()
                .any(|edge| edge.replica == replica);
            if ended && follows {
                self.start_receiver(&replica, channel);
            }
        }
    }

    fn may_act(&self, snapshot: &Snapshot) -> bool {
        let leads = snapshot.control.automatic && snapshot.control.lease.is_some();
        leads && self.means.outlook(snapshot).is_none()
    }

    fn start_receiver(&mut self, replica: &ServerId, channel: String) {
        if !self.reading.insert(replica.clone()) {
            return;
        }
        tracing::info!(server = %replica, "receiver started again, its source lives");
        let means = Arc::clone(&self.means);
        let replica = replica.clone();
        self.readings.spawn(async move {
            let command = ServerCommand::StartReceivers {
                channel: Some(channel),
            };
            if let Err(error) =
                crate::recover::send_plain(&means, &replica, &command, RECONNECT_LIMIT).await
            {
                tracing::warn!(server = %replica, %error, "receiver not started again");
            }
            replica
        });
    }

    /// Every member that answered before a source was lost is read again at once: the replicas' view after the loss is the
    /// evidence that decides.
    fn read_witnesses(&mut self, snapshot: &Snapshot) {
        let lost = snapshot
            .servers
            .values()
            .filter(|s| s.probe.reach() == Reach::Silent);
        let Some(since) = lost.filter_map(|server| server.probe.failing_since).max() else {
            return;
        };
        let stale: Vec<ServerId> = snapshot
            .servers
            .values()
            .filter(|server| server.probe.reach() == Reach::Answering)
            .filter(|server| server.facts_after(since).is_none())
            .map(|server| server.id.clone())
            .collect();
        for server in stale {
            self.read_now(&server, snapshot.taken_at);
        }
    }

    fn read_now(&mut self, server: &ServerId, now: Timestamp) {
        let recently = self
            .evidence
            .read
            .get(server)
            .is_some_and(|at| now.since(*at) < READ_EVERY);
        if recently || !self.reading.insert(server.clone()) {
            return;
        }
        self.evidence.read.insert(server.clone(), now);
        let means = Arc::clone(&self.means);
        let server = server.clone();
        self.readings.spawn(async move {
            let limit = means.registry.settings.read_limit;
            if let Err(error) = crate::recover::observe(&means, &server, limit).await {
                tracing::debug!(%server, %error, "reading for evidence failed");
            }
            server
        });
    }

    /// Only where Baton may act: it stops and starts a receiver.
    fn unmask(
        &mut self,
        snapshot: &Snapshot,
        replica: &ServerId,
        channel: &str,
        source: &ServerId,
    ) {
        let now = snapshot.taken_at;
        let lately = |at: &Timestamp| now.since(*at) < RECONNECT_EVERY;
        if !self.may_act(snapshot) || self.evidence.reconnected.get(source).is_some_and(lately) {
            return;
        }
        if !self.reading.insert(replica.clone()) {
            return;
        }
        self.evidence.reconnected.insert(source.clone(), now);
        let unmasked = (channel.to_owned(), source.clone(), now);
        self.evidence.unmasked.insert(replica.clone(), unmasked);
        tracing::info!(cluster = %snapshot.cluster.name, server = %replica, %source, "receiver reconnected to unmask its source");
        let means = Arc::clone(&self.means);
        let (replica, channel) = (replica.clone(), channel.to_owned());
        self.readings.spawn(async move {
            let command = ServerCommand::ReconnectReceiver { channel: channel.clone() };
            match crate::recover::send_plain(&means, &replica, &command, RECONNECT_LIMIT).await {
                Ok(()) => {
                    means.registry.note_reconnected(&replica, &channel, means.clock.now());
                    let limit = means.registry.settings.read_limit;
                    if let Err(error) = crate::recover::observe(&means, &replica, limit).await {
                        tracing::debug!(server = %replica, %error, "reading after reconnection failed");
                    }
                }
                Err(WorkError::Statement(StatementError::NotReached { .. })) => {
                    let now = means.clock.now();
                    means.registry.note_reconnect_failed(&replica, &channel, now);
                }
                Err(error) => tracing::warn!(server = %replica, %error, "receiver not reconnected"),
            }
            replica
        });
    }
}
