//! Gathering the evidence that the analysis asks for: readings now, and one reconnection that tells
//! a hung source from a living one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::analysis::{ProbeRequest, Report};
use baton_core::ids::ServerId;
use baton_core::model::{Reach, Snapshot, Topology};
use baton_core::planning::Repair;
use baton_core::time::Timestamp;
use baton_ports::StatementError;

use super::ClusterLoop;
use crate::clusters::sessions::WorkError;

/// A source is tested at most this often: on some servers a reconnection costs the relay logs.
const RECONNECT_EVERY: Duration = Duration::from_secs(3);
/// Limit of a reconnection. Stopping a receiver whose source hangs takes one second on MariaDB, two
/// on MySQL.
const RECONNECT_LIMIT: Duration = Duration::from_millis(2500);
/// A receiver that its source did not let go is started again so much later, if it was not pointed
/// elsewhere by then.
const RESTART_AFTER: Duration = Duration::from_secs(2);
/// The least and the greatest time between two readings of a server out of turn, see [`Series`].
const READ_AFTER: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(40));
/// Readings that were asked for so long after the last one begin a new series.
const READ_ANEW: Duration = Duration::from_secs(1);

/// A receiver that was ended to tell whether its source lives.
#[derive(Debug)]
struct ReconnectTest {
    channel: String,
    source: ServerId,
    at: Timestamp,
    /// First look at which the source answered again, without a silence since.
    answers_since: Option<Timestamp>,
}

impl ReconnectTest {
    fn new(channel: &str, source: &ServerId, at: Timestamp) -> Self {
        Self {
            channel: channel.to_owned(),
            source: source.clone(),
            at,
            answers_since: None,
        }
    }

    fn watch(&mut self, snapshot: &Snapshot) {
        let source = snapshot.servers.get(&self.source);
        let answers = source.is_some_and(baton_core::model::Server::answers);
        let since = self.answers_since.unwrap_or(snapshot.taken_at);
        self.answers_since = answers.then_some(since);
    }
}

/// Readings of a server out of turn, one after the other. They begin close to each other, since the
/// kernel closes the connections of a process that was killed one by one: a replica may be a few
/// milliseconds behind Baton in noticing that its source is gone.
#[derive(Clone, Copy, Debug)]
struct Series {
    began: Timestamp,
    last: Timestamp,
}

impl Series {
    /// The series that a reading at `now` belongs to, or how long it is to be put off.
    fn next(earlier: Option<Self>, now: Timestamp) -> Result<Self, Duration> {
        let current = earlier.filter(|series| now.since(series.last) < READ_ANEW);
        let Some(series) = current else {
            return Ok(Self {
                began: now,
                last: now,
            });
        };
        let (least, greatest) = READ_AFTER;
        let pause = (series.last.since(series.began) / 2).clamp(least, greatest);
        match pause.saturating_sub(now.since(series.last)) {
            Duration::ZERO => Ok(Self {
                last: now,
                ..series
            }),
            left => Err(left),
        }
    }
}

/// When each reading and each reconnect test was last started.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    reconnected: BTreeMap<ServerId, Timestamp>,
    read: BTreeMap<ServerId, Series>,
    /// How long the next reading was put off.
    put_off: Option<Duration>,
    /// Reconnect tests, of this node or of one that ended in the middle of a test.
    tested: BTreeMap<ServerId, ReconnectTest>,
}

impl ClusterLoop {
    /// Starts readings and reconnect tests in the background; waits for no server. Gives the pause
    /// until more evidence is due.
    pub(crate) fn gather(&mut self, snapshot: &Snapshot, report: &Report) -> Option<Duration> {
        self.evidence.put_off = None;
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
                    self.test_by_reconnecting(snapshot, server, channel, source);
                }
            }
        }
        self.read_members(snapshot);
        self.restart_receivers(snapshot);
        self.evidence.put_off
    }

    /// Starts the receivers again that a reconnect test stopped, once their source answers; also
    /// those that a former leader stopped. If the source is replaced, the recovery points the
    /// replica elsewhere.
    fn restart_receivers(&mut self, snapshot: &Snapshot) {
        let mut servers = snapshot.servers.values();
        let is_silent = servers.any(|server| server.probe.reach() == Reach::Silent);
        if !is_silent && self.evidence.tested.is_empty() {
            return;
        }
        let topology = Topology::of(snapshot);
        let known = &mut self.evidence.tested;
        for (replica, ended) in halted(snapshot, &topology) {
            known.entry(replica).or_insert(ended);
        }
        known.retain(|replica, ended| {
            ended.watch(snapshot);
            follows(&topology, replica, ended) && !is_at_work(snapshot, replica, ended)
        });
        if !self.may_act(snapshot) || !self.resumed || snapshot.control.active.is_some() {
            return;
        }
        let now = snapshot.taken_at;
        let mut over = Vec::new();
        for (replica, ended) in &mut self.evidence.tested {
            let is_due = now.since(ended.at) > RESTART_AFTER
                && !self.reading.contains(replica)
                && serves(snapshot, &topology, &ended.source)
                && has_ended(snapshot, replica, ended);
            if is_due {
                // Kept until it is seen running: it may be needed again.
                ended.at = now;
                over.push((replica.clone(), ended.channel.clone()));
            }
        }
        let Some(epoch) = snapshot.control.lease else {
            return;
        };
        for (replica, channel) in over {
            let start = Repair::StartReceiver { replica, channel };
            self.repair(epoch, start, RECONNECT_LIMIT);
        }
    }

    pub(super) fn may_act(&self, snapshot: &Snapshot) -> bool {
        let leads = snapshot.control.automatic && snapshot.control.lease.is_some();
        leads && self.quorum.missing(snapshot).is_none()
    }

    /// Reads every answering member again after a source was lost: what the replicas show after the
    /// loss is the evidence that decides.
    fn read_members(&mut self, snapshot: &Snapshot) {
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
            .filter(|server| server.answers())
            .filter(|server| server.facts_after(since).is_none())
            .map(|server| server.id.clone())
            .collect();
        for server in stale {
            self.read_now(&server, snapshot.taken_at);
        }
    }

    fn read_now(&mut self, server: &ServerId, now: Timestamp) {
        let earlier = self.evidence.read.get(server).copied();
        let series = match Series::next(earlier, now) {
            Ok(series) => series,
            Err(left) => {
                let soonest = self.evidence.put_off.unwrap_or(left).min(left);
                self.evidence.put_off = Some(soonest);
                return;
            }
        };
        if !self.reading.insert(server.clone()) {
            return;
        }
        self.evidence.read.insert(server.clone(), series);
        let members = Arc::clone(&self.members);
        let server = server.clone();
        self.readings.spawn(async move {
            let limit = members.registry.settings.read_limit;
            if let Err(error) = members.observe(&server, limit).await {
                tracing::debug!(%server, %error, "reading for evidence failed");
            }
            server
        });
    }

    /// Only where Baton may act: it stops and starts a receiver.
    fn test_by_reconnecting(
        &mut self,
        snapshot: &Snapshot,
        replica: &ServerId,
        channel: &str,
        source: &ServerId,
    ) {
        if !self.resumed && is_stopped(snapshot, replica, channel) {
            // It may belong to a recovery that another node left open, which comes first.
            return;
        }
        let now = snapshot.taken_at;
        let lately = |at: &Timestamp| now.since(*at) < RECONNECT_EVERY;
        let epoch = snapshot.control.lease.filter(|_| self.may_act(snapshot));
        let Some(epoch) =
            epoch.filter(|_| !self.evidence.reconnected.get(source).is_some_and(lately))
        else {
            return;
        };
        if !self.reading.insert(replica.clone()) {
            return;
        }
        self.evidence.reconnected.insert(source.clone(), now);
        let tested = ReconnectTest::new(channel, source, now);
        self.evidence.tested.insert(replica.clone(), tested);
        tracing::info!(cluster = %snapshot.cluster.name, server = %replica, %source, "receiver reconnected to tell whether its source lives");
        let (members, repairs) = (Arc::clone(&self.members), Arc::clone(&self.repairs));
        let (replica, channel) = (replica.clone(), channel.to_owned());
        self.readings.spawn(async move {
            let reconnect = Repair::Reconnect {
                replica: replica.clone(),
                channel: channel.clone(),
            };
            match repairs.repair(&reconnect, epoch, RECONNECT_LIMIT).await {
                Ok(()) => {
                    members.registry.note_reconnected(&replica, &channel, members.clock.now());
                    let limit = members.registry.settings.read_limit;
                    if let Err(error) = members.observe(&replica, limit).await {
                        tracing::debug!(server = %replica, %error, "reading after reconnection failed");
                    }
                }
                Err(WorkError::Statement(StatementError::NotReached { .. })) => {
                    let now = members.clock.now();
                    members.registry.note_reconnect_failed(&replica, &channel, now);
                }
                Err(error) => tracing::warn!(server = %replica, %error, "receiver not reconnected"),
            }
            replica
        });
    }
}

/// Receivers that stayed stopped because a node ended in the middle of such a test. Every node
/// watches for them, because none knows which one will lead when the source answers again.
fn halted(snapshot: &Snapshot, topology: &Topology) -> Vec<(ServerId, ReconnectTest)> {
    let mut found = Vec::new();
    for source in snapshot.servers.values() {
        let lost_at = source.probe.failing_since;
        let Some(lost_at) = lost_at.filter(|_| source.probe.reach() == Reach::Silent) else {
            continue;
        };
        for edge in topology.replicas_of(&source.id) {
            let replica = snapshot.servers.get(&edge.replica);
            if replica.is_some_and(|replica| replica.was_halted_on(&edge.channel, lost_at)) {
                let ended = ReconnectTest::new(&edge.channel.name, &source.id, snapshot.taken_at);
                found.push((edge.replica.clone(), ended));
            }
        }
    }
    found
}

fn is_stopped(snapshot: &Snapshot, replica: &ServerId, channel: &str) -> bool {
    let mut channels = snapshot
        .facts(replica)
        .into_iter()
        .flat_map(|facts| &facts.channels);
    channels.any(|found| found.name == channel && found.is_receiver_stopped())
}

/// It still follows the source that was silent, on that channel.
fn follows(topology: &Topology, replica: &ServerId, ended: &ReconnectTest) -> bool {
    let mut replicas = topology.replicas_of(&ended.source).iter();
    replicas.any(|edge| edge.replica == *replica && edge.channel.name == ended.channel)
}

/// True if the receiver was started. A killed thread may be shown as running until its source
/// releases it, which is not before the source answers.
fn is_at_work(snapshot: &Snapshot, replica: &ServerId, ended: &ReconnectTest) -> bool {
    let (Some(server), Some(since)) = (snapshot.servers.get(replica), ended.answers_since) else {
        return false;
    };
    let settled = since.max(ended.at).plus(RESTART_AFTER);
    server.facts_after(settled).is_some() && !is_stopped(snapshot, replica, &ended.channel)
}

/// True if replicas should follow this server: it is the primary, or a replica that replicates
/// itself. A primary that was replaced meanwhile gets no receiver back.
fn serves(snapshot: &Snapshot, topology: &Topology, id: &ServerId) -> bool {
    let Some(source) = snapshot.servers.get(id) else {
        return false;
    };
    let mut channels = topology.channels_of(id).iter();
    let stands = snapshot.cluster.primary.as_ref() == Some(id)
        || channels.any(|edge| edge.source.is_some() && edge.channel.is_replicating());
    source.answers() && !source.quarantined && stands
}

/// True if the source did not release the receiver when it was stopped, or the receiver is shown as
/// stopped.
fn has_ended(snapshot: &Snapshot, replica: &ServerId, ended: &ReconnectTest) -> bool {
    let in_vain = snapshot
        .servers
        .get(replica)
        .and_then(|server| server.reconnect_failed_on(&ended.channel));
    in_vain.is_some_and(|failed| failed >= ended.at)
        || is_stopped(snapshot, replica, &ended.channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_a_series_begin_close_to_each_other() {
        let mut series = None;
        let mut read_at = Vec::new();
        for millis in 0..200 {
            if let Ok(next) = Series::next(series, Timestamp::from_millis(millis)) {
                series = Some(next);
                read_at.push(millis);
            }
        }
        assert_eq!(read_at, [0, 5, 10, 15, 23, 35, 53, 80, 120, 160]);
        let put_off = Series::next(series, Timestamp::from_millis(170));
        assert_eq!(put_off.unwrap_err(), Duration::from_millis(30));
        let anew = Series::next(series, Timestamp::from_millis(1_160)).unwrap();
        assert_eq!(anew.began, anew.last);
    }
}
