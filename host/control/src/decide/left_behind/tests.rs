use std::collections::BTreeSet;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::sketch::snapshot;
use baton_core::time::WallTime;
use baton_ports::RecoveryRow;

use super::{astray, findings, left_behind};

fn ids(names: &[&str]) -> BTreeSet<ServerId> {
    names.iter().map(|name| ServerId::new(*name)).collect()
}

/// Whom of `left` the loop brings back.
fn brought_back(sketch: &str, left: &[&str]) -> Vec<String> {
    findings(&snapshot(sketch), &ids(left))
        .into_iter()
        .map(|finding| finding.server.to_string())
        .collect()
}

#[test]
fn who_is_brought_back() {
    for (what, line, expected) in [
        ("stopped by the revoke", "r <- p io=stopped", true),
        ("left on a dead source", "r <- old io=connecting", true),
        ("lost in the middle of being pointed", "r", true),
        ("follows", "r <- p io=running", false),
        (
            "does not answer",
            "r silent refused 2s <- p io=stopped",
            false,
        ),
        (
            "its applier has an error",
            "r <- p io=stopped sql=stopped:1062",
            false,
        ),
        ("set aside", "r quarantined <- p io=stopped", false),
        (
            "an operator works on it",
            "r downtime <- p io=stopped",
            false,
        ),
        ("takes writes", "r rw <- p io=stopped", false),
        ("replicates without GTID", "r <- p io=stopped nogtid", false),
        (
            "two channels",
            "r <- p@a io=stopped <- old@b io=stopped",
            false,
        ),
    ] {
        let sketch = format!("cluster auto lease=7\np primary\nold silent refused 9s\n{line}");
        let expected: &[&str] = if expected { &["r"] } else { &[] };
        assert_eq!(brought_back(&sketch, &["r"]), expected, "{what}");
    }
}

#[test]
fn a_replica_that_no_recovery_left_behind_is_left_alone() {
    let sketch = "cluster auto lease=7\np primary\nr <- p io=stopped";
    assert!(brought_back(sketch, &[]).is_empty());
}

#[test]
fn nobody_is_brought_back_to_a_primary_that_does_not_stand() {
    for primary in ["p primary silent refused 2s", "p primary ro"] {
        let sketch = format!("cluster auto lease=7\n{primary}\nr <- p io=stopped");
        assert!(brought_back(&sketch, &["r"]).is_empty(), "{primary}");
    }
}

#[test]
fn who_is_astray_when_a_recovery_ends() {
    let sketch = "cluster auto lease=7\n\
        p primary\n\
        a <- p io=running\n\
        b <- a io=running\n\
        c <- p io=stopped\n\
        d <- c io=running\n\
        e silent refused 2s <- p io=running";
    let found = astray(
        &snapshot(sketch),
        &ids(&["a", "b", "c", "d", "e", "unknown"]),
    );
    assert_eq!(ids(&["c", "d", "e"]).into_iter().collect::<Vec<_>>(), found);
}

fn row(kind: RecoveryKind, failed: &str, outcome: RecoveryOutcome, lost: &[&str]) -> RecoveryRow {
    RecoveryRow {
        id: RecoveryId::new("x"),
        number: 1,
        cluster: ClusterId::new("c"),
        cluster_name: "c".to_owned(),
        kind,
        finding: String::new(),
        failed: ServerId::new(failed),
        failed_address: Address::new("h", 3306).expect("an address"),
        successor: None,
        successor_address: None,
        outcome,
        automatic: true,
        node: NodeName::new("n"),
        epoch: LeaseEpoch(1),
        started: WallTime::from_millis(1),
        ended: Some(WallTime::from_millis(2)),
        lost: ids(lost).into_iter().collect(),
        errors: Vec::new(),
        decision: String::new(),
        acknowledged: None,
        committed: true,
    }
}

#[test]
fn a_later_recovery_settles_an_earlier_loss() {
    use RecoveryKind::{Failover, Rejoin};
    use RecoveryOutcome::{Failed, Succeeded};
    let lost = row(Failover, "p", Succeeded, &["a", "b"]);
    assert_eq!(left_behind([&lost]), ids(&["a", "b"]));
    let back = row(Rejoin, "a", Succeeded, &[]);
    assert_eq!(left_behind([&back, &lost]), ids(&["b"]));
    assert_eq!(left_behind([&lost, &back]), ids(&["a", "b"]), "lost again");
    let vain = row(Rejoin, "b", Failed, &[]);
    assert_eq!(left_behind([&vain, &vain, &lost]), ids(&["a", "b"]));
    assert_eq!(left_behind([&vain, &vain, &vain, &lost]), ids(&["a"]));
    let mut promoted = row(Failover, "q", Succeeded, &[]);
    promoted.successor = Some(ServerId::new("a"));
    assert_eq!(left_behind([&promoted, &lost]), ids(&["b"]));
}
