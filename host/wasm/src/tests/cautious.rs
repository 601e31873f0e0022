//! The second example policy, beside the default: the same questions, visibly other answers.

use serde_json::json;

use super::fixture::{cautious_policy, default_policy, with_settings};
use super::sketch::{ranking_of, verdict_of};

const KILLED: &str = "p1 silent fail=refused failures=1 answered=15
    r1 <- p1 connecting\n";

fn verdict(sketch: &str) -> String {
    verdict_of(cautious_policy(), &format!("{KILLED}{sketch}"))
}

#[test]
fn it_confirms_for_longer_and_asks_a_person() {
    assert_eq!(
        verdict_of(default_policy(), KILLED),
        "act: confirmed replicas-agree"
    );
    assert_eq!(
        verdict("finding primary-dead held=40"),
        "wait 2960: still-confirming"
    );
    assert_eq!(
        verdict("finding primary-dead held=3000"),
        "ask primary-dead:p1: asks-a-person"
    );
    let answered = |answer: &str| {
        verdict(&format!(
            "finding primary-dead held=3000\n approval {answer}"
        ))
    };
    assert_eq!(answered("primary-dead:p1 granted"), "act: approved");
    assert_eq!(answered("primary-dead:p1"), "hold: declined");
    assert_eq!(
        answered("primary-hung:p1 granted"),
        "ask primary-dead:p1: asks-a-person"
    );
}

#[test]
fn it_listens_to_the_host() {
    assert_eq!(
        verdict("finding primary-dead held=9000 suggest=hold"),
        "hold: host-holds"
    );
    assert_eq!(
        verdict("finding primary-dead held=9000 suggest=wait"),
        "wait 100: host-waits"
    );
}

#[test]
fn it_can_be_told_not_to_ask() {
    let policy = with_settings(
        &cautious_policy(),
        &json!({ "ask": false, "confirm-ms": 10 }),
    )
    .expect("settings");
    assert_eq!(verdict_of(policy, KILLED), "act: confirmed");
}

#[test]
fn it_stays_in_the_data_center_and_never_leaves_the_region() {
    let sketch = "p1 silent dc=a region=eu
        r1 <- p1 dc=x region=us promotion=must
        r2 <- p1 dc=b region=eu promotion=must
        r3 <- p1 dc=a region=eu promotion=prefer-not missing=9
        r4 <- p1";
    assert_eq!(
        ranking_of(cautious_policy(), sketch),
        "r3 > r2(same-region), not r1(other-region), not r4(other-region)"
    );
    assert_eq!(
        ranking_of(default_policy(), sketch),
        "r2 > r1(other-region) > r4(promotion-rule-lower) > r3(promotion-rule-lower)"
    );
}
