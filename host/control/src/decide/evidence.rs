//! Gathering the evidence that the analysis asks for: readings now, and one reconnection to unmask a hung source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::analysis::{ProbeRequest, Report};
use baton_core::execution::ServerCommand;
use baton_core::ids::ServerId;
use baton_core::model::{Reach, Snapshot};
use baton_core::time::Timestamp;

use super::ClusterLoop;

/// A source is unmasked at most this often: on some servers a reconnection costs the relay logs.
const RECONNECT_EVERY: Duration = Duration::from_secs(5);
/// Limit of a reconnection. Stopping a receiver whose source hangs takes one second on MariaDB, two on MySQL.
const RECONNECT_LIMIT: Duration = Duration::from_millis(2500);
/// A server is read out of turn at most this often.
const READ_EVERY: Duration = Duration::from_millis(40);

/// When what was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    reconnected: BTreeMap<ServerId, Timestamp>,
    read: BTreeMap<ServerId, Timestamp>,
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
        let allowed = snapshot.control.automatic && snapshot.control.lease.is_some();
        if !allowed || self.evidence.reconnected.get(source).is_some_and(lately) {
            return;
        }
        if !self.reading.insert(replica.clone()) {
            return;
        }
        self.evidence.reconnected.insert(source.clone(), now);
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
                Err(error) => tracing::warn!(server = %replica, %error, "receiver not reconnected"),
            }
            replica
        });
    }
}
