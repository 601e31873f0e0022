//! Semi-synchronous replication that is stuck. A receiver tells its source only when it connects
//! that it acknowledges, and a recovery that was interrupted may have left a replica without that
//! role. In both cases commits on the primary hang while the replicas look healthy. The opposite is
//! repaired, too: an interrupted recovery may have left a primary that does not wait for
//! acknowledgements.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_core::ids::ServerId;
use baton_core::model::{Edge, SemiSync, Server, ServerFacts, Snapshot, ThreadState, Topology};
use baton_core::planning::{Repair, was_to_wait};
use baton_core::time::Timestamp;

use super::ClusterLoop;

/// How long commits hang before the replicas are repaired: a replica that reconnects is given time
/// for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two attempts.
const AGAIN: Duration = Duration::from_secs(5);
/// Limit of one attempt.
const LIMIT: Duration = Duration::from_millis(2500);
/// Within this time after a recovery, semi-sync is enabled on a primary that should have it. Later,
/// an operator may have disabled it on purpose.
const MADE_UP_FOR: Duration = Duration::from_mins(10);

/// Since when commits of which primary hang, and when a repair was tried.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: Option<(ServerId, Timestamp)>,
    tried: Option<Timestamp>,
    /// When semi-sync was last enabled on a primary.
    told: Option<Timestamp>,
}

impl Waiting {
    /// The replicas to repair now.
    fn due(&mut self, snapshot: &Snapshot) -> Vec<ServerId> {
        let now = snapshot.taken_at;
        let Some((primary, lacking)) = stalled(snapshot) else {
            self.since = None;
            return Vec::new();
        };
        let since = match &self.since {
            Some((id, since)) if *id == primary.id => *since,
            Some(_) | None => {
                self.since = Some((primary.id.clone(), now));
                now
            }
        };
        let rests = self.tried.is_some_and(|at| now.since(at) < AGAIN);
        if now.since(since) < PATIENCE || rests {
            return Vec::new();
        }
        self.tried = Some(now);
        not_acknowledging(snapshot, primary, lacking)
    }
}

impl Waiting {
    /// The primary on which semi-sync is to be enabled now, if any.
    fn primary_to_configure(&mut self, snapshot: &Snapshot) -> Option<ServerId> {
        let now = snapshot.taken_at;
        let rests = self.told.is_some_and(|at| now.since(at) < AGAIN);
        let primary = snapshot.servers.get(snapshot.cluster.primary.as_ref()?)?;
        let facts = primary.last_facts()?;
        let serves = primary.answers() && facts.is_writable();
        let replaced = was_to_wait(snapshot).filter(|_| serves && !rests)?;
        let mut past = snapshot.control.past.iter();
        let ended = past
            .find(|recovery| recovery.subject == *replaced)
            .and_then(|recovery| recovery.ended)?;
        if snapshot.wall.since(ended) >= MADE_UP_FOR || !acknowledged_by_anybody(snapshot, primary)
        {
            return None;
        }
        self.told = Some(now);
        Some(primary.id.clone())
    }
}

/// True if a replica could acknowledge. Otherwise commits would only hang.
fn acknowledged_by_anybody(snapshot: &Snapshot, primary: &Server) -> bool {
    let topology = Topology::of(snapshot);
    let mut edges = topology.replicas_of(&primary.id).iter();
    edges.any(|edge| {
        let replica = snapshot.servers.get(&edge.replica);
        let semi = replica
            .and_then(Server::last_facts)
            .and_then(|facts| facts.semi_sync.as_ref());
        receives(edge)
            && replica.is_some_and(is_in_service)
            && semi.is_some_and(|semi| semi.replica_enabled)
    })
}

/// The primary whose commits hang, and how many acknowledging replicas it lacks.
fn stalled(snapshot: &Snapshot) -> Option<(&Server, usize)> {
    let primary = snapshot.servers.get(snapshot.cluster.primary.as_ref()?)?;
    let facts = primary.last_facts()?;
    let semi = facts.semi_sync.as_ref()?;
    let waits = semi.source_enabled && semi.source_active && semi.waiting_sessions > 0;
    let lacking = semi.wait_for.saturating_sub(semi.clients);
    let left_alone = primary.downtime.is_some() || primary.maintenance;
    let serves = !left_alone && primary.answers() && facts.is_writable();
    (serves && waits && lacking > 0).then(|| (primary, usize::try_from(lacking).unwrap_or(1)))
}

/// Replicas that receive from the primary and acknowledge nothing. Those that have the role need
/// only to connect anew; it is given to as few others as are lacking, because who has it decides
/// where acknowledged transactions are.
fn not_acknowledging(snapshot: &Snapshot, primary: &Server, lacking: usize) -> Vec<ServerId> {
    let topology = Topology::of(snapshot);
    let replicas = topology.replicas_of(&primary.id).iter();
    let mut silent: Vec<(&SemiSync, &ServerId)> = replicas
        .filter(|edge| receives(edge))
        .filter_map(|edge| {
            let replica = snapshot.servers.get(&edge.replica)?;
            let semi = replica.last_facts()?.semi_sync.as_ref()?;
            (is_in_service(replica) && !semi.replica_active).then_some((semi, &replica.id))
        })
        .collect();
    let able = silent.iter().filter(|(semi, _)| semi.replica_enabled);
    let able = able.count();
    silent.sort_by_key(|(semi, id)| (!semi.replica_enabled, *id));
    let chosen = silent.into_iter().take(able.max(lacking));
    let chosen: BTreeSet<ServerId> = chosen.map(|(_, id)| id.clone()).collect();
    chosen.into_iter().collect()
}

fn receives(edge: &Edge) -> bool {
    edge.channel.receiver == ThreadState::Running
}

fn is_in_service(replica: &Server) -> bool {
    replica.answers()
        && !replica.quarantined
        && replica.downtime.is_none()
        && !replica.maintenance
        && !replica.last_facts().is_none_or(ServerFacts::is_writable)
}

impl ClusterLoop {
    /// Repairs replicas that do not acknowledge, and a primary that does not wait.
    pub(super) fn have_acknowledged(&mut self, snapshot: &Snapshot) {
        let Some(epoch) = snapshot.control.lease.filter(|_| self.may_act(snapshot)) else {
            return;
        };
        if let Some(primary) = self.waiting.primary_to_configure(snapshot) {
            self.repair(epoch, Repair::AwaitAcknowledgements { primary }, LIMIT);
        }
        for replica in self.waiting.due(snapshot) {
            self.repair(epoch, Repair::Acknowledge { replica }, LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AGAIN, PATIENCE, Waiting};
    use baton_core::sketch::snapshot;
    use std::time::Duration;

    /// Whom one stall of `elapsed` concerns.
    fn due(sketch: &str, elapsed: Duration) -> Vec<String> {
        let mut snapshot = snapshot(&format!("cluster auto lease=7\n{sketch}"));
        let mut waiting = Waiting::default();
        assert!(waiting.due(&snapshot).is_empty(), "a moment is nothing");
        snapshot.taken_at = snapshot.taken_at.plus(elapsed);
        let due = waiting.due(&snapshot);
        assert!(waiting.due(&snapshot).is_empty(), "not twice");
        snapshot.taken_at = snapshot.taken_at.plus(AGAIN);
        assert_eq!(waiting.due(&snapshot), due, "but again");
        due.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_is_made_to_acknowledge() {
        let locked = "p1 primary ss=locked";
        for (what, sketch, expected) in [
            ("its role is off", "r1 <- p1 wait_for=1", &["r1"][..]),
            (
                "as few as are lacking",
                "r1 <- p1 wait_for=1\nr2 <- p1 wait_for=1",
                &["r1"],
            ),
            ("without semi-sync", "r1 <- p1", &[]),
            ("acknowledges", "r1 <- p1 ss=replica", &[]),
            ("does not receive", "r1 <- p1 wait_for=1 io=connecting", &[]),
            (
                "an operator works on it",
                "r1 downtime <- p1 wait_for=1",
                &[],
            ),
            ("set aside", "r1 quarantined <- p1 wait_for=1", &[]),
        ] {
            let sketch = format!("{locked}\n{sketch}");
            assert_eq!(due(&sketch, PATIENCE), expected, "{what}");
        }
    }

    #[test]
    fn a_primary_that_was_to_wait_is_told_to() {
        let lost = "p0 silent refused ss=source";
        let replica = "r1 <- p1 ss=replica";
        for (what, past, servers, expected) in [
            (
                "its predecessor waited",
                "1m",
                [lost, "p1 primary wait_for=1", replica],
                true,
            ),
            (
                "it waits",
                "1m",
                [lost, "p1 primary ss=source", replica],
                false,
            ),
            (
                "long ago",
                "1h",
                [lost, "p1 primary wait_for=1", replica],
                false,
            ),
            (
                "nobody follows yet",
                "1m",
                [lost, "p1 primary wait_for=1", "r1 ss=replica"],
                false,
            ),
            (
                "it is closed",
                "1m",
                [lost, "p1 primary ro wait_for=1", replica],
                false,
            ),
        ] {
            let servers = servers.join("\n");
            let mut snapshot = snapshot(&format!(
                "cluster auto lease=7 past=failover:succeeded:p0:p1:{past}\n{servers}"
            ));
            let mut waiting = Waiting::default();
            assert_eq!(
                waiting.primary_to_configure(&snapshot).is_some(),
                expected,
                "{what}"
            );
            assert!(
                waiting.primary_to_configure(&snapshot).is_none(),
                "{what}: not twice"
            );
            snapshot.taken_at = snapshot.taken_at.plus(AGAIN);
            assert_eq!(
                waiting.primary_to_configure(&snapshot).is_some(),
                expected,
                "{what}: but again"
            );
        }
    }

    #[test]
    fn nobody_is_touched_while_commits_go_on() {
        for primary in ["ss=source", "ss=fallback", "ss=source waiting=2", ""] {
            let sketch = format!("p1 primary {primary}\nr1 <- p1 wait_for=1");
            assert!(due(&sketch, PATIENCE).is_empty(), "{primary}");
        }
    }
}
