//! Whom the default policy prefers and refuses.

use serde_json::json;

use super::fixture::{default_policy, with_settings};
use super::sketch::{ranking_of, strengths_of};

fn ranking(replicas: &str) -> String {
    ranking_of(
        default_policy(),
        &format!("p1 silent dc=a region=eu\n{replicas}"),
    )
}

fn ranking_with(settings: &serde_json::Value, replicas: &str) -> String {
    let policy = with_settings(&default_policy(), settings).expect("settings");
    ranking_of(policy, &format!("p1 silent dc=a region=eu\n{replicas}"))
}

#[test]
fn the_most_advanced_wins_among_equals() {
    let replicas = "r1 <- p1 missing=5\n r2 <- p1 missing=0\n r3 <- p1 missing=?";
    assert_eq!(
        ranking(replicas),
        "r2 > r1(less-advanced) > r3(less-advanced)"
    );
}

#[test]
fn promotion_rules_come_before_position() {
    let replicas = "r1 <- p1 promotion=must-not
        r2 <- p1 promotion=prefer-not
        r3 <- p1
        r4 <- p1 promotion=prefer missing=3
        r5 <- p1 promotion=must missing=9";
    assert_eq!(
        ranking(replicas),
        "r5 > r4(promotion-rule-lower) > r3(promotion-rule-lower) > r2(promotion-rule-lower), \
         not r1(promotion-rule-must-not)"
    );
}

#[test]
fn near_servers_come_before_advanced_ones() {
    let replicas = "r1 <- p1 dc=x region=us
        r2 <- p1 dc=b region=eu
        r3 <- p1 dc=a region=eu missing=9
        r4 <- p1 dc=a region=us";
    let avoided = "r3 > r2(other-data-center) > r1(other-region) > r4(other-region)";
    assert_eq!(ranking(replicas), avoided);
    let forbid = json!({ "cross-region": "forbid" });
    assert_eq!(
        ranking_with(&forbid, replicas),
        "r3 > r2(other-data-center), not r1(other-region), not r4(other-region)"
    );
    let allow = json!({ "cross-region": "allow", "cross-data-center": "allow" });
    assert_eq!(
        ranking_with(&allow, replicas),
        "r1 > r2(equal) > r4(equal) > r3(less-advanced)"
    );
}

#[test]
fn unknown_places_are_not_elsewhere() {
    let forbid = json!({ "cross-region": "forbid", "cross-data-center": "forbid" });
    assert_eq!(
        ranking_with(&forbid, "r1 <- p1\n r2 <- p1 dc=b region=eu"),
        "r1, not r2(other-data-center)"
    );
}

#[test]
fn lag_beyond_the_limit_is_refused() {
    let replicas = "r1 <- p1 lag=60001\n r2 <- p1 lag=60000\n r3 <- p1 delay=3600000";
    assert_eq!(ranking(replicas), "r2, not r1(lagging), not r3(delayed)");
    let off = json!({ "lag-max-ms": null });
    assert_eq!(ranking_with(&off, replicas), "r1 > r2(equal) > r3(equal)");
}

#[test]
fn a_version_most_cannot_follow_is_refused() {
    let replicas = "r1 <- p1 version=11.4\n r2 <- p1 version=10.11\n r3 <- p1 version=10.11";
    assert_eq!(
        ranking(replicas),
        "r2 > r3(equal), not r1(newer-than-followers)"
    );
    let avoid = json!({ "newer-version": "avoid" });
    assert_eq!(
        ranking_with(&avoid, replicas),
        "r2 > r3(equal) > r1(incompatible)"
    );
    // If most are newer already, the newer one is fine.
    let upgraded =
        "r1 <- p1 version=11.4\n r2 <- p1 version=11.4\n r3 <- p1 version=10.11 missing=1";
    assert_eq!(ranking(upgraded), "r1 > r2(equal) > r3(less-advanced)");
    // Versions are numbers: 10.11 is newer than 10.6.
    let numbers = "r1 <- p1 version=10.11\n r2 <- p1 version=10.6\n r3 <- p1 version=10.6";
    assert_eq!(
        ranking(numbers),
        "r2 > r3(equal), not r1(newer-than-followers)"
    );
}

#[test]
fn another_family_is_refused() {
    let replicas = "r1 <- p1 mysql version=8.0\n r2 <- p1\n r3 <- p1";
    assert_eq!(
        ranking(replicas),
        "r2 > r3(equal), not r1(newer-than-followers)"
    );
}

#[test]
fn a_log_format_most_cannot_apply_is_refused() {
    let replicas = "r1 <- p1 format=row\n r2 <- p1 format=mixed\n r3 <- p1 format=mixed\n r4 <- p1 format=unknown";
    assert_eq!(
        ranking(replicas),
        "r2 > r3(equal) > r4(equal), not r1(log-format-above-majority)"
    );
    let allow = json!({ "stricter-log-format": "allow" });
    assert_eq!(
        ranking_with(&allow, replicas),
        "r1 > r2(equal) > r3(equal) > r4(equal)"
    );
    let tie = "r1 <- p1 format=row\n r2 <- p1 format=statement";
    assert_eq!(ranking(tie), "r1 > r2(equal)");
}

#[test]
fn errant_transactions_count_against_a_server() {
    let replicas = "r1 <- p1 errant=2\n r2 <- p1 errant=? missing=0\n r3 <- p1 missing=7";
    assert_eq!(
        ranking(replicas),
        "r3 > r2(errant-transactions-unknown) > r1(errant-transactions)"
    );
    let forbid = json!({ "errant-transactions": "forbid" });
    assert_eq!(
        ranking_with(&forbid, replicas),
        "r3 > r2(errant-transactions-unknown), not r1(errant-transactions)"
    );
}

#[test]
fn log_settings_then_followers_then_the_name_decide() {
    let replicas = "r3 <- p1 followers=1\n r2 <- p1 followers=2\n r1 <- p1 followers=2\n r0 <- p1 log-updates-unknown";
    assert_eq!(
        ranking(replicas),
        "r1 > r2(equal) > r3(fewer-followers) > r0(log-settings-weaker)"
    );
}

#[test]
fn dead_ends_and_servers_under_work_come_last() {
    let replicas = "r1 <- p1 no-log-updates promotion=must
        r2 <- p1 maintenance promotion=must
        r3 <- p1 downtime promotion=must
        r4 <- p1 promotion=prefer-not missing=9";
    assert_eq!(ranking(replicas), "r4 > r2(unfit) > r3(unfit) > r1(unfit)");
}

#[test]
fn partial_copies_and_silent_servers_are_refused() {
    let replicas = "r1 <- p1 filtered\n r2 <- p1 silent\n r3 <- p1";
    assert_eq!(
        ranking(replicas),
        "r3, not r1(filtered), not r2(not-answering)"
    );
}

#[test]
fn a_request_comes_first_but_lifts_no_veto() {
    let replicas = "r1 <- p1\n r2 <- p1 missing=9 promotion=prefer-not requested";
    assert_eq!(ranking(replicas), "r2 > r1(not-requested)");
    let vetoed = "r1 <- p1\n r2 <- p1 promotion=must-not requested";
    assert_eq!(ranking(vetoed), "r1, not r2(promotion-rule-must-not)");
}

#[test]
fn nobody_is_left_when_all_are_vetoed() {
    assert_eq!(
        ranking("r1 <- p1 promotion=must-not"),
        "not r1(promotion-rule-must-not)"
    );
}

#[test]
fn the_first_is_explained_by_its_strengths() {
    let sketch = "p1 silent dc=a region=eu\n r1 <- p1 promotion=prefer dc=a region=eu missing=2 requested\n r2 <- p1 dc=b region=eu";
    assert_eq!(
        strengths_of(default_policy(), sketch),
        "requested promotion-rule-prefer near catches-up"
    );
}
