//! What operators said.

use super::verdict_of;

#[test]
fn a_dead_primary_in_downtime_is_left_alone() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused downtime
        r1 <- p1 io=connecting
    "), @"CRITICAL primary-dead p1: hold failover; does-not-answer p1; receiver-lost-it r1; downtimed p1");
}

#[test]
fn a_silent_primary_in_maintenance_is_left_alone() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout maintenance
        r1 <- p1
    "), @"CRITICAL primary-silent p1: hold failover; does-not-answer p1; receiver-still-connected r1; reconnect-one-replica r1; maintenance p1");
}

#[test]
fn a_downtime_that_has_not_begun_or_is_over_is_none() {
    for shift in [-7_200_000_i64, 7_200_000] {
        let mut snapshot = crate::sketch::snapshot(
            "
            p1 primary silent refused downtime
            r1 <- p1 io=connecting
        ",
        );
        let wall = snapshot.wall.millis().saturating_add_signed(shift);
        snapshot.wall = crate::time::WallTime::from_millis(wall);
        let report = super::analyze(&snapshot, &super::AnalysisSettings::default());
        assert_eq!(
            report.findings[0].suggestion,
            crate::policy::Suggestion::Act,
            "{shift}"
        );
    }
}

#[test]
fn replicas_in_downtime_need_no_source() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1
        r1 <- i1 io=connecting reconnected=2s downtime
        r2 <- i1 io=connecting reconnected=2s downtime
    "), @r"
    CRITICAL intermediate-replicas-cannot-connect i1: hold intermediate-failover; cannot-connect r1 r2; replicas-downtimed r1 r2
    warning replication-broken r1: hold; cannot-connect r1; downtimed r1
    warning replication-broken r2: hold; cannot-connect r2; downtimed r2
    ");
}

#[test]
fn replicas_in_downtime_still_count_as_evidence() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect
        r1 <- p1 downtime heartbeat=1s
        r2 <- p1 io=connecting
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1; receiver-lost-it r2");
}
