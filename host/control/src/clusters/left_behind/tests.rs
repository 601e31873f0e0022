use std::collections::BTreeSet;

use baton_core::ids::ServerId;
use baton_core::sketch::snapshot;

use super::{findings, not_following};

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
    let found = not_following(
        &snapshot(sketch),
        &ids(&["a", "b", "c", "d", "e", "unknown"]),
    );
    assert_eq!(ids(&["c", "d", "e"]).into_iter().collect::<Vec<_>>(), found);
}
