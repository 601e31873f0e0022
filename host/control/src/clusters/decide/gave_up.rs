//! Receivers that gave up: after so many attempts (ten by default, MySQL) a receiver whose source
//! it did not reach stops for good, and the replica is lost although the network is whole again. It
//! is started again once the source answers. A receiver that a person stopped has no such error and
//! stays as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::analysis::gave_up_connecting;
use baton_core::ids::ServerId;
use baton_core::model::{Edge, Server, Snapshot, ThreadState, Topology};
use baton_core::planning::Repair;
use baton_core::time::Timestamp;

use super::ClusterLoop;

/// Pause between two attempts for one replica. A receiver that starts makes many of its own.
const AGAIN: Duration = Duration::from_secs(10);
/// Limit of one attempt.
const LIMIT: Duration = Duration::from_millis(2500);

/// When which replica's receiver was started again.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    tried: BTreeMap<ServerId, Timestamp>,
}

impl Restarts {
    /// Receivers to start now, each with its channel.
    fn due(&mut self, snapshot: &Snapshot) -> Vec<(ServerId, String)> {
        let now = snapshot.taken_at;
        self.tried.retain(|_, at| now.since(*at) < AGAIN);
        if snapshot.control.active.is_some() {
            return Vec::new();
        }
        let topology = Topology::of(snapshot);
        let edges = topology.sources.values().flatten();
        let due: Vec<(ServerId, String)> = edges
            .filter(|edge| gave_up(snapshot, edge) && !self.tried.contains_key(&edge.replica))
            .map(|edge| (edge.replica.clone(), edge.channel.name.clone()))
            .collect();
        let replicas = due.iter().map(|(replica, _)| (replica.clone(), now));
        self.tried.extend(replicas);
        due
    }
}

/// True if its receiver gave up, its source answers, no operator works on it, and its applier runs:
/// with both threads stopped, MariaDB discards the relay log when one of them starts.
fn gave_up(snapshot: &Snapshot, edge: &Edge) -> bool {
    let answers = |id: &ServerId| {
        let server = snapshot.servers.get(id);
        server.filter(|server| server.answers())
    };
    let is_source = |source: &ServerId| answers(source).is_some_and(|s| !s.quarantined);
    gave_up_connecting(&edge.channel)
        && edge.channel.applier == ThreadState::Running
        && edge.source.as_ref().is_some_and(is_source)
        && answers(&edge.replica).is_some_and(is_in_service)
        && snapshot.cluster.primary.as_ref() != Some(&edge.replica)
}

fn is_in_service(replica: &Server) -> bool {
    !replica.quarantined && !replica.maintenance && replica.downtime.is_none()
}

impl ClusterLoop {
    /// Starts receivers again that gave up, once their source answers.
    pub(super) fn start_who_gave_up(&mut self, snapshot: &Snapshot) {
        // An open recovery of another node comes first: it may have stopped them.
        let acts = self.resumed && self.may_act(snapshot);
        let Some(epoch) = snapshot.control.lease.filter(|_| acts) else {
            return;
        };
        for (replica, channel) in self.restarts.due(snapshot) {
            self.repair(epoch, Repair::StartReceiver { replica, channel }, LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGAIN, Restarts};
    use baton_core::sketch::snapshot;

    #[test]
    fn whose_receiver_is_started_again() {
        for (what, sketch, expected) in [
            ("gave up", "p1 primary\nr1 <- p1 io=stopped:2003", true),
            (
                "a person stopped it",
                "p1 primary\nr1 <- p1 io=stopped",
                false,
            ),
            ("broken", "p1 primary\nr1 <- p1 io=stopped:1236", false),
            ("still tries", "p1 primary\nr1 <- p1 io=connecting", false),
            (
                "its source is away",
                "p1 primary silent\nr1 <- p1 io=stopped:2003",
                false,
            ),
            (
                "below another one",
                "p1 primary\nr2 <- p1\nr1 <- r2 io=stopped:2003",
                true,
            ),
            (
                "its applier stands",
                "p1 primary\nr1 <- p1 io=stopped:2003 sql=stopped",
                false,
            ),
            (
                "set aside",
                "p1 primary\nr1 quarantined <- p1 io=stopped:2003",
                false,
            ),
            (
                "a person works on it",
                "p1 primary\nr1 downtime <- p1 io=stopped:2003",
                false,
            ),
            (
                "its source is set aside",
                "p1 primary\nr2 quarantined <- p1\nr1 <- r2 io=stopped:2003",
                false,
            ),
            (
                "it is the primary",
                "p1 primary <- r1 io=stopped:2003\nr1 <- p1",
                false,
            ),
        ] {
            let mut snapshot = snapshot(&format!("cluster auto lease=7\n{sketch}"));
            let mut restarts = Restarts::default();
            assert_eq!(!restarts.due(&snapshot).is_empty(), expected, "{what}");
            assert!(restarts.due(&snapshot).is_empty(), "{what}: not twice");
            snapshot.taken_at = snapshot.taken_at.plus(AGAIN);
            assert_eq!(
                !restarts.due(&snapshot).is_empty(),
                expected,
                "{what}: but again"
            );
        }
    }
}
