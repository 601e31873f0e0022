use std::collections::BTreeSet;

use super::delayed_last;
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Snapshot};
use crate::planning::{
    Candidate, Choice, Plan, PlanSettings, SecureRequest, candidates, plan_promote, plan_secure,
    plan_unwind,
};
use crate::sketch;

fn secured(snapshot: &Snapshot) -> Plan {
    let request = SecureRequest {
        kind: RecoveryKind::Failover,
        subject: ServerId::new("p1"),
        epoch: LeaseEpoch(7),
        first_step: 1,
    };
    plan_secure(snapshot, &request, &PlanSettings::default()).expect("it can be secured")
}

/// What is done, but for reading, confirming and recording: number, what, after which steps.
fn steps(plan: &Plan, words: &[&str]) -> Vec<String> {
    let told = plan.steps.iter().map(|step| {
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        let after = if after.is_empty() {
            "-".to_owned()
        } else {
            after.join(",")
        };
        format!("{} {} after {after}", step.id, step.action.describe())
    });
    told.filter(|text| words.iter().any(|word| text.contains(word)))
        .collect()
}

fn promoted(text: &str, successor: &str, from: Option<&str>) -> Vec<String> {
    let snapshot = sketch::snapshot(text);
    let choice = Choice {
        successor: ServerId::new(successor),
        catch_up_from: from.map(ServerId::new),
        given_up: 0,
        risked: Vec::new(),
    };
    let secured = secured(&snapshot);
    let plan = plan_promote(&snapshot, &secured, &choice, &PlanSettings::default(), 50);
    let words = ["delay", "received", "executed", "point r", "open-writes"];
    steps(&plan, &words)
}

/// Nobody was the primary for 121 s.
#[test]
fn the_delay_of_a_successor_is_lifted_before_it_drains() {
    insta::assert_snapshot!(promoted(
        "p1 primary silent refused 2s
         r1 unapplied=5 <- p1 io=stopped delay=1h
         r2 missing=5 <- p1 io=stopped delay=2h",
        "r1",
        None,
    ).join("\n"), @r"
    50 lift the delay of r1 after -
    51 wait until r1 has applied what it received after 50
    53 open-writes on r1 after 52
    57 point r2 at r1:3306 after 53
    ");
}

/// It is set back on the one that hands its transactions on, before that follows the successor.
#[test]
fn the_delay_of_who_hands_on_is_lifted_and_set_back() {
    insta::assert_snapshot!(promoted(
        "p1 primary silent refused 2s
         r1 unapplied=5 <- p1 io=stopped delay=1h
         r2 missing=5 <- p1 io=stopped",
        "r2",
        Some("r1"),
    ).join("\n"), @r"
    50 lift the delay of r1 after -
    51 wait until r1 has applied what it received after 50
    52 wait until r2 has applied what it received after -
    53 point r2 at r1:3306 after 51,52
    54 wait until r2 has applied all that r1 executed after 53
    57 open-writes on r2 after 56
    60 set the delay of r1 back to 3600 s after 57
    61 point r1 at r2:3306 after 60
    ");
}

/// What it fetches would be delayed, too, although it has nothing to apply now.
#[test]
fn the_delay_of_a_successor_that_fetches_is_lifted() {
    let plan = promoted(
        "p1 primary silent refused 2s
         r1 <- p1 io=stopped delay=1h
         r2 missing=5 <- p1 io=stopped delay=1h",
        "r2",
        Some("r1"),
    );
    let lifts: Vec<&String> = plan.iter().filter(|text| text.contains("delay")).collect();
    assert_eq!(lifts, ["50 lift the delay of r2 after -"]);
}

/// An earlier attempt lifted it.
#[test]
fn a_delay_that_was_lifted_before_is_set_back_and_does_not_exclude() {
    let text = "p1 primary silent refused 2s
         r1 mariadb <- p1 io=stopped lifted=1h nogtid
         r2 mariadb <- p1 io=stopped";
    let snapshot = sketch::snapshot(&text.replace("p1 primary", "p1 mariadb primary"));
    let list = candidates(&snapshot, &ServerId::new("p1"), None);
    assert!(list.iter().all(Candidate::is_allowed), "{list:?}");
    let plan = promoted(text, "r2", None);
    assert!(
        plan.iter()
            .any(|text| text.contains("set the delay of r1 back to 3600 s")),
        "{plan:?}"
    );
}

#[test]
fn a_failover_that_is_undone_sets_the_delay_back() {
    let snapshot = sketch::snapshot(
        "p1 primary
         r1 unapplied=5 <- p1 io=stopped lifted=1h
         r2 <- p1 io=stopped",
    );
    let touched = BTreeSet::from(["r1", "r2"].map(ServerId::new));
    let undone = secured(&snapshot);
    let plan = plan_unwind(&snapshot, &undone, &touched, &PlanSettings::default(), 50);
    insta::assert_snapshot!(steps(&plan, &[""]).join("\n"), @r"
    50 wait until r1 has applied what it received after -
    51 set the delay of r1 back to 3600 s after 50
    52 start-replication on r1 after 51
    53 start-replication on r2 after -
    ");
}

#[test]
fn a_delayed_candidate_comes_after_those_that_have_as_much() {
    for (replicas, order, expected) in [
        (
            "r1 <- p1 delay=1m\nr2 <- p1\nr3 <- p1",
            "r1 r2 r3",
            "r2 r3 r1",
        ),
        ("r1 <- p1 lifted=1m\nr2 <- p1", "r1 r2", "r2 r1"),
        // It alone has the last ones.
        ("r1 <- p1 delay=1m\nr2 missing=3 <- p1", "r1 r2", "r1 r2"),
        ("r1 <- p1 delay=1m\nr2 <- p1 delay=2m", "r1 r2", "r1 r2"),
        // The policy does not want the other one.
        ("r1 <- p1 delay=1m\nr2 <- p1", "r1", "r1"),
    ] {
        let snapshot = sketch::snapshot(&format!("p1 primary silent refused 2s\n{replicas}"));
        let list = candidates(&snapshot, &ServerId::new("p1"), None);
        let order: Vec<ServerId> = order.split(' ').map(ServerId::new).collect();
        let ordered = delayed_last(&order, &list);
        let names: Vec<&str> = ordered.iter().map(ServerId::as_str).collect();
        assert_eq!(names.join(" "), expected, "{replicas}");
    }
}
