//! Every operation in every cluster of three servers, as far as a few states of each go: it ends,
//! the checker agrees with the planner, and after a success there is one primary and nothing left
//! to plan.

use super::dry_run::forecast;
use super::play::{id, order};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, RecoveryOutcome, Server, ServerFacts, Snapshot, Topology};
use crate::operation::{Forecast, Order};
use crate::planning::orphans;
use crate::sketch;

const PRIMARIES: [&str; 6] = [
    "",
    "ro",
    "silent refused 2s",
    "silent timeout 5s",
    "unprobed",
    "ss=source wait_for=1 clients=2",
];

const REPLICAS: [&str; 14] = [
    "<- p1",
    "<- p1 io=connecting",
    "<- p1 io=stopped",
    "missing=3 <- p1",
    "unapplied=3 <- p1 io=stopped",
    "errant=2 <- p1",
    "must_not <- p1",
    "downtime <- p1",
    "<- p1 filtered",
    "<- p1 delay=1h lag=1h",
    "silent refused 2s <- p1",
    "noupdates <- p1",
    "ss=replica <- p1",
    "ro",
];

/// r2 may also follow r1.
const SECOND: [&str; 2] = ["<- r1", "<- r1 io=connecting"];

fn worlds() -> impl Iterator<Item = String> {
    PRIMARIES.into_iter().flat_map(|primary| {
        REPLICAS.into_iter().flat_map(move |first| {
            let seconds = REPLICAS.into_iter().chain(SECOND);
            seconds.map(move |second| format!("p1 primary {primary}\nr1 {first}\nr2 {second}"))
        })
    })
}

fn writers(snapshot: &Snapshot) -> Vec<&ServerId> {
    let servers = snapshot.servers.values();
    let writable = servers.filter(|server| {
        let facts = server.last_facts();
        server.answers() && facts.is_some_and(ServerFacts::is_writable)
    });
    writable.map(|server: &Server| &server.id).collect()
}

fn run(order: Order, world: &str) -> Forecast {
    let forecast = forecast(order, &sketch::snapshot(world));
    assert_ne!(forecast.outcome, RecoveryOutcome::Running, "{world}");
    let refused = forecast
        .problems
        .iter()
        .find(|text| text.starts_with("the plan") || text.starts_with("step "));
    assert_eq!(refused, None, "the checker refuses a plan in\n{world}");
    if forecast.outcome != RecoveryOutcome::Succeeded {
        let is_told = !forecast.problems.is_empty();
        assert!(is_told, "nothing is said about the failure in\n{world}");
    }
    forecast
}

#[test]
fn after_a_failover_or_a_switchover_there_is_one_writer_and_it_is_recorded() {
    let mut succeeded = 0;
    for world in worlds() {
        for kind in [RecoveryKind::Failover, RecoveryKind::Switchover] {
            let end = run(order(kind), &world);
            if end.outcome != RecoveryOutcome::Succeeded {
                continue;
            }
            succeeded += 1;
            let primary = end.after.cluster.primary.as_ref();
            assert_eq!(primary, end.successor.as_ref(), "{kind:?}\n{world}");
            assert_eq!(
                Some(writers(&end.after)),
                primary.map(|id| vec![id]),
                "{kind:?}\n{world}"
            );
        }
    }
    assert!(succeeded > 100, "{succeeded}");
}

#[test]
fn a_switchover_that_was_carried_out_is_not_planned_again() {
    for world in worlds() {
        let mut ordered = order(RecoveryKind::Switchover);
        ordered.requested = Some(id("r1"));
        let end = run(ordered.clone(), &world);
        if end.outcome == RecoveryOutcome::Succeeded {
            ordered.subject = id("r1");
            let again = forecast(ordered, &end.after);
            assert_eq!(again.steps, [], "{world}");
            assert_eq!(again.outcome, RecoveryOutcome::Failed, "{world}");
        }
    }
}

/// What the servers of a cluster say, without the time at which they said it.
fn facts(snapshot: &Snapshot) -> Vec<(&ServerId, Option<&ServerFacts>)> {
    let servers = snapshot.servers.values();
    servers
        .map(|server| (&server.id, server.last_facts()))
        .collect()
}

#[test]
fn replicas_that_were_moved_are_not_moved_again() {
    let mut moved = 0;
    for dead in ["silent refused 2s <- p1", "silent timeout 5s <- p1"] {
        for replica in REPLICAS {
            for other in ["<- p1", "missing=3 <- p1", "must_not <- p1", "nolog <- p1"] {
                let orphan = replica.replace("p1", "r1");
                let world = format!("p1 primary\nr1 {dead}\nr2 {orphan}\nr3 {other}");
                let mut ordered = order(RecoveryKind::IntermediateFailover);
                ordered.subject = id("r1");
                let end = run(ordered.clone(), &world);
                if end.outcome == RecoveryOutcome::Succeeded {
                    moved += 1;
                    let left = orphans(&end.after, &Topology::of(&end.after), &id("r1"));
                    assert_eq!(left, [], "{world}");
                }
            }
        }
    }
    assert!(moved > 50, "{moved}");
}

#[test]
fn a_server_that_was_taken_back_twice_is_as_if_it_was_once() {
    for returned in [
        "",
        "ro",
        "missing=3",
        "unapplied=3 <- r1 io=stopped",
        "<- r1",
        "<- x1",
        "errant=2",
    ] {
        for sibling in ["<- r1", "silent refused 2s", "<- p1"] {
            let world = format!(
                "cluster past=failover:succeeded:p1:r1:1m\np1 {returned}\nr1 primary\nr2 {sibling}"
            );
            let once = run(order(RecoveryKind::Rejoin), &world);
            let twice = forecast(order(RecoveryKind::Rejoin), &once.after);
            assert_eq!(once.outcome, twice.outcome, "{world}");
            assert_eq!(facts(&once.after), facts(&twice.after), "{world}");
            assert_eq!(writers(&once.after), [&id("r1")], "{world}");
        }
    }
}
