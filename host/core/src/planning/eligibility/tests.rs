//! Each reason has a row: the smallest cluster in which it holds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::planning::{PlanSettings, SwitchoverRequest, candidates, plan_switchover};
use crate::sketch;

const LIMIT: Duration = Duration::from_secs(10);

fn id(name: &str) -> ServerId {
    ServerId::new(name)
}

/// Why r1 may not replace the lost p1, if receivers were stopped before the readings.
fn failover(lines: &str) -> Vec<Ineligible> {
    let snapshot = sketch::snapshot(lines);
    // Servers of a sketch were read 100 ms before its "now".
    let stopped = Timestamp::from_micros(sketch::NOW.micros() - 150_000);
    let list = candidates(&snapshot, &id("p1"), Some(stopped));
    let found = list.into_iter().find(|one| one.server == id("r1"));
    found.map(|one| one.excluded).unwrap_or_default()
}

/// Why r1 may not replace the living p1.
fn switchover(lines: &str, to: &str) -> Vec<Ineligible> {
    let snapshot = sketch::snapshot(lines);
    let topology = Topology::of(&snapshot);
    let from = id("p1");
    let rules = Switchover {
        snapshot: &snapshot,
        topology: &topology,
        from: &from,
        lag_limit: LIMIT,
    };
    rules.reasons(&snapshot.servers[&id(to)])
}

fn codes(reasons: &[Ineligible]) -> Vec<&'static str> {
    reasons.iter().map(Ineligible::word).collect()
}

const LOST: &str = "p1 primary silent refused 2s\n";
const ALIVE: &str = "p1 primary\n";

#[test]
fn a_healthy_replica_may_be_primary() {
    assert!(failover(&format!("{LOST} r1 <- p1 io=stopped")).is_empty());
    assert!(switchover(&format!("{ALIVE} r1 <- p1"), "r1").is_empty());
}

/// What the line of r1, and of others, leads to in a failover.
const FAILOVER: [(&str, &[&str]); 15] = [
    ("r1 must_not <- p1 io=stopped", &["must-not"]),
    ("r1 quarantined <- p1 io=stopped", &["quarantined"]),
    ("r1 maintenance <- p1 io=stopped", &["maintenance"]),
    ("r1 downtime <- p1 io=stopped", &["downtimed"]),
    ("r1 silent refused 2s <- p1", &["not-read"]),
    (
        "r1 errant=2 <- p1 io=stopped\nr2 <- p1 io=stopped",
        &["errant"],
    ),
    ("r1 space=waits:1 <- p1 io=stopped", &["waits-for-space"]),
    (
        "r1 missing=1000 <- p1 io=stopped\nr2 <- p1 io=stopped",
        &["empty"],
    ),
    ("r1 nolog <- p1 io=stopped", &["no-binary-log"]),
    (
        "r1 noupdates <- p1 io=stopped\nr2 <- p1 io=stopped",
        &["no-replica-updates"],
    ),
    ("r1 <- p1 io=connecting", &["still-receiving"]),
    ("r1 <- p1 io=stopped:1236", &["receiver-broken"]),
    ("r1 <- p1 io=stopped sql=stopped:1062", &["applier-broken"]),
    ("r1 <- p1 io=stopped filtered", &["filtered"]),
    ("r1 <- p1 io=stopped nogtid", &["no-gtid"]),
];

/// The same in a switchover.
const SWITCHOVER: [(&str, &[&str]); 16] = [
    ("r1 must_not <- p1", &["must-not"]),
    ("r1 quarantined <- p1", &["quarantined"]),
    // That server was named, or nobody ranked it.
    ("r1 maintenance <- p1", &[]),
    ("r1 downtime <- p1", &[]),
    ("r1 silent refused 2s <- p1", &["not-answering"]),
    ("r1 errant=2 <- p1", &["errant"]),
    ("r1 space=waits:1 <- p1", &["waits-for-space"]),
    ("r1 nolog <- p1", &["no-binary-log"]),
    ("r1 noupdates <- p1", &["no-replica-updates"]),
    ("r1 <- p1 io=stopped:1236", &["not-replicating"]),
    (
        "r1 <- p1 sql=stopped:1062",
        &["not-replicating", "applier-broken"],
    ),
    ("r1 <- p1 filtered", &["filtered"]),
    ("r1 <- p1 nogtid", &["no-gtid"]),
    ("r1 <- r2\nr2 <- p1", &["not-a-direct-replica"]),
    ("r1 <- p1 lag=11s", &["lagging"]),
    // A configured delay is no lag.
    ("r1 <- p1 delay=1h lag=3605s", &[]),
];

#[test]
fn each_reason_excludes_from_a_failover() {
    for (lines, expected) in FAILOVER {
        let found = failover(&format!("{LOST}{lines}"));
        assert_eq!(codes(&found), expected, "{lines}");
    }
}

#[test]
fn each_reason_excludes_from_a_switchover() {
    for (lines, expected) in SWITCHOVER {
        let found = switchover(&format!("{ALIVE}{lines}"), "r1");
        assert_eq!(codes(&found), expected, "{lines}");
    }
    let prepared = "p1 primary prepared=x:2m\nr1 prepared= <- p1";
    assert_eq!(
        codes(&switchover(prepared, "r1")),
        ["prepared-not-replicated"]
    );
    let primary = codes(&switchover(ALIVE, "p1")).join(" ");
    assert_eq!(primary, "already-primary not-a-direct-replica");
}

#[test]
fn every_reason_has_a_row() {
    let rows = FAILOVER.iter().chain(&SWITCHOVER).flat_map(|row| row.1);
    let mut shown: BTreeSet<&str> = rows.copied().collect();
    // Rows of their own.
    shown.extend(["already-primary", "prepared-not-replicated"]);
    let all: BTreeSet<&str> = Ineligible::WORDS.iter().copied().collect();
    assert_eq!(shown, all);
}

#[test]
fn only_errant_transactions_are_lifted_by_a_name() {
    let lines = format!("{LOST} r1 errant=2 <- p1 io=stopped\nr2 <- p1 io=stopped");
    assert!(failover(&lines).iter().all(Ineligible::is_lifted_by_name));
    for (lines, _) in FAILOVER.iter().filter(|(_, codes)| *codes != ["errant"]) {
        let found = failover(&format!("{LOST}{lines}"));
        assert!(!found.iter().any(Ineligible::is_lifted_by_name), "{lines}");
    }
}

#[test]
fn without_anybody_better_errant_transactions_and_a_missing_log_exclude_nobody() {
    let errant = format!("{LOST} r1 errant=2 <- p1 io=stopped");
    let unlogged = format!("{LOST} r1 noupdates <- p1 io=stopped\nr2 noupdates <- p1 io=stopped");
    for lines in [errant, unlogged] {
        assert!(failover(&lines).is_empty(), "{lines}");
    }
}

#[test]
fn channels_that_lead_outside_the_cluster_do_not_exclude() {
    let lines = format!("{LOST} r1 <- p1 io=stopped <- elsewhere@side filtered nogtid");
    assert!(failover(&lines).is_empty());
}

#[test]
fn the_planner_of_switchovers_refuses_for_the_same_reasons() {
    for (lines, expected) in SWITCHOVER {
        let snapshot = sketch::snapshot(&format!("cluster auto lease=7\n{ALIVE}{lines}"));
        let request = SwitchoverRequest {
            from: id("p1"),
            to: id("r1"),
            epoch: crate::ids::LeaseEpoch(7),
            lag_limit: LIMIT,
        };
        let plan = plan_switchover(&snapshot, &request, &PlanSettings::default());
        let refused = plan
            .err()
            .map(|blocked| blocked.reasons)
            .unwrap_or_default();
        let refused: Vec<String> = refused.into_iter().map(|reason| reason.code).collect();
        assert_eq!(refused, expected, "{lines}");
    }
}
