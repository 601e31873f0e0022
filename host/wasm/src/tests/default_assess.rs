//! When the default policy acts, waits and holds.

use serde_json::json;

use super::fixture::{default_policy, with_settings};
use super::sketch::verdict_of;

fn verdict(sketch: &str) -> String {
    verdict_of(default_policy(), sketch)
}

fn verdict_with(settings: &serde_json::Value, sketch: &str) -> String {
    verdict_of(
        with_settings(&default_policy(), settings).expect("settings"),
        sketch,
    )
}

const KILLED: &str = "p1 silent fail=refused failures=1 answered=15
    r1 <- p1 connecting
    r2 <- p1 connecting\n";

#[test]
fn a_killed_process_with_agreeing_replicas_needs_one_probe() {
    assert_eq!(verdict(KILLED), "act: confirmed replicas-agree");
    let reset = KILLED.replace("refused", "reset");
    assert_eq!(verdict(&reset), "act: confirmed replicas-agree");
}

#[test]
fn confirmations_can_be_asked_for() {
    assert_eq!(
        verdict_with(&json!({ "confirmations": 3 }), KILLED),
        "wait 50: too-few-confirmations"
    );
    let more = KILLED.replace("failures=1", "failures=3");
    assert_eq!(
        verdict_with(&json!({ "confirmations": 3 }), &more),
        "act: confirmed replicas-agree"
    );
}

#[test]
fn a_replica_that_is_still_connected_stops_it() {
    let sketch = "p1 silent fail=refused failures=9 answered=9000
        r1 <- p1 running received=3000
        r2 <- p1 connecting";
    assert_eq!(verdict(sketch), "wait 50: replica-still-connected");
}

#[test]
fn replicas_read_before_the_loss_prove_nothing() {
    let sketch = "p1 silent fail=refused failures=1 answered=15
        r1 <- p1 connecting stale";
    assert_eq!(
        verdict(sketch),
        "wait 785: too-few-confirmations not-silent-long-enough"
    );
    let later = "p1 silent fail=refused failures=2 answered=1500
        r1 <- p1 connecting stale";
    assert_eq!(
        verdict(later),
        "act: confirmed silent-long-enough no-replica-testifies"
    );
}

#[test]
fn silence_must_last() {
    let hung = |answered: u32, failures: u32| {
        format!(
            "p1 silent fail=timeout failures={failures} answered={answered}
            r1 <- p1 running received=2000
            finding primary-hung held=400"
        )
    };
    assert_eq!(verdict(&hung(300, 2)), "wait 500: not-silent-long-enough");
    assert_eq!(
        verdict(&hung(300, 1)),
        "wait 500: too-few-confirmations not-silent-long-enough"
    );
    assert_eq!(verdict(&hung(900, 1)), "wait 50: too-few-confirmations");
    assert_eq!(verdict(&hung(900, 2)), "act: confirmed silent-long-enough");
    assert_eq!(
        verdict_with(&json!({ "silence-ms": 5000 }), &hung(900, 2)),
        "wait 4100: not-silent-long-enough replica-still-receives"
    );
}

#[test]
fn heartbeats_at_a_replica_are_proof_of_life() {
    let sketch = "p1 silent fail=timeout failures=9 answered=9000
        r1 <- p1 running received=100
        r2 <- p1 connecting
        finding primary-unreachable held=9000";
    assert_eq!(verdict(sketch), "wait 700: replica-still-receives");
}

#[test]
fn a_server_that_answers_must_have_been_useless_for_a_while() {
    let useless = |held: u32| {
        format!(
            "p1 answering failures=0 answered=5\n r1 <- p1 running\n finding primary-useless held={held}"
        )
    };
    assert_eq!(verdict(&useless(300)), "wait 500: not-held-long-enough");
    assert_eq!(verdict(&useless(800)), "act: held-long-enough");
}

#[test]
fn the_host_may_ask_for_patience() {
    let with = |suggestion: &str| format!("{KILLED} finding primary-dead suggest={suggestion}");
    assert_eq!(verdict(&with("wait")), "wait 50: host-waits");
    assert_eq!(verdict(&with("hold")), "hold: host-holds");
}

#[test]
fn cooldown_holds_until_it_is_over_or_acknowledged() {
    let after = |recovery: &str| verdict(&format!("{KILLED} recovery {recovery}"));
    assert_eq!(after("failover age=60000 auto"), "hold: cooldown");
    // Another server's failure is not flapping; many of them are more than servers that fail.
    let other = "failover age=60000 auto from=p0 to=p1";
    assert_eq!(after(other), "act: confirmed replicas-agree");
    let three = format!("{other}\n recovery {other}\n recovery {other}");
    assert_eq!(after(&three), "hold: cooldown");
    // A failed attempt must not leave the cluster without a primary for an hour.
    assert_eq!(
        after("failover age=60000 auto outcome=failed"),
        "act: confirmed replicas-agree"
    );
    assert_eq!(
        after("intermediate-failover age=60000 auto"),
        "act: confirmed replicas-agree"
    );
    assert_eq!(
        after("failover age=60000 auto acknowledged"),
        "act: confirmed replicas-agree"
    );
    assert_eq!(
        after("failover age=3600000 auto"),
        "act: confirmed replicas-agree"
    );
    assert_eq!(
        after("switchover age=60000"),
        "act: confirmed replicas-agree"
    );
    for harmless in ["rejoin", "reopen"] {
        let before = format!("{harmless} age=60000 auto from=p1");
        assert_eq!(
            after(&before),
            "act: confirmed replicas-agree",
            "{harmless}"
        );
    }
    assert_eq!(
        after("failover age=60000 auto outcome=unwound"),
        "act: confirmed replicas-agree"
    );
    let short = json!({ "cooldown-ms": 1000 });
    let sketch = format!("{KILLED} recovery failover age=60000 auto");
    assert_eq!(
        verdict_with(&short, &sketch),
        "act: confirmed replicas-agree"
    );
}

#[test]
fn many_clusters_at_once_hold_all_of_them() {
    let with = |elsewhere: u32, clusters: u32| {
        verdict(&format!(
            "{KILLED} finding primary-dead elsewhere={elsewhere} clusters={clusters}"
        ))
    };
    assert_eq!(with(3, 10), "hold: mass-failure");
    assert_eq!(with(2, 3), "act: confirmed replicas-agree");
    assert_eq!(with(3, 100), "act: confirmed replicas-agree");
    let sketch = format!("{KILLED} finding primary-dead elsewhere=3 clusters=100");
    assert_eq!(
        verdict_with(&json!({ "mass-failure-percent": 4 }), &sketch),
        "hold: mass-failure"
    );
}

#[test]
fn people_come_first() {
    let with = |word: &str| KILLED.replacen("silent", &format!("silent {word}"), 1);
    assert_eq!(verdict(&with("maintenance")), "hold: in-maintenance");
    assert_eq!(verdict(&with("downtime")), "hold: in-downtime");
}

#[test]
fn every_objection_is_told() {
    let sketch = "p1 silent fail=timeout failures=1 answered=100
        r1 <- p1 running received=50
        recovery failover age=60000 auto
        finding primary-dead elsewhere=5 clusters=6 suggest=wait";
    assert_eq!(
        verdict(sketch),
        "hold: host-waits cooldown mass-failure too-few-confirmations not-silent-long-enough replica-still-receives"
    );
}
