//! Unknown is not absent.

use super::verdict_of;

#[test]
fn nothing_is_known_before_the_first_probe() {
    insta::assert_snapshot!(verdict_of("
        p1 primary unprobed
        r1 unprobed
    "), @"fine");
}

#[test]
fn a_silent_primary_is_not_dead_while_a_member_was_never_probed() {
    insta::assert_snapshot!(verdict_of("
        p1 primary unread silent refused
        r1 <- p1 io=connecting
        r2 unprobed
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-lost-it r1
    ? read r2
    ");
}

#[test]
fn a_primary_never_read_by_this_process_can_be_dead() {
    // Baton was restarted while the primary was away.
    insta::assert_snapshot!(verdict_of("
        p1 primary unread silent refused
        r1 <- p1 io=connecting
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r1");
}

#[test]
fn a_silent_source_that_was_never_read_is_not_taken_for_the_primary() {
    // It may be an intermediate source of a primary that nobody has told us about.
    insta::assert_snapshot!(verdict_of("
        i1 unread silent refused
        r1 <- i1 io=connecting
    "), @r"
    primary unknown: i1
    CRITICAL intermediate-dead-single-replica-cannot-connect i1: hold intermediate-failover; does-not-answer i1; receiver-lost-it r1; primary-unknown
    warning primary-unknown i1: hold; no-primary-recorded i1
    ");
}

#[test]
fn the_primary_is_derived() {
    insta::assert_snapshot!(verdict_of("
        p1 rw
        r1 <- p1
        r2 <- r1
    "), @"primary derived: p1");
}

#[test]
fn the_writable_one_of_two_tops_is_derived() {
    insta::assert_snapshot!(verdict_of("
        p1 ro
        p2 rw
        r1 <- p1
        r2 <- p2
    "), @r"
    primary derived: p2
    notice server-detached p1: hold rejoin; outside-the-topology p1; not-proven p1; has-followers r1
    ");
}

#[test]
fn two_equal_tops_are_ambiguous() {
    insta::assert_snapshot!(verdict_of("
        p1 rw
        p2 rw
        r1 <- p1
        r2 <- p2
    "), @r"
    primary unknown: p1 p2
    CRITICAL split-brain p1: hold; also-writable p2
    warning primary-unknown p1: hold; no-primary-recorded p1 p2
    ");
}

#[test]
fn the_writable_co_primary_is_derived() {
    insta::assert_snapshot!(verdict_of("
        p1 rw <- p2
        p2 ro <- p1
    "), @"primary derived: p1");
}

#[test]
fn servers_without_any_replication_have_no_primary() {
    insta::assert_snapshot!(verdict_of("
        a ro
        b ro
    "), @r"
    primary unknown: nobody
    warning primary-unknown a: hold; no-primary-recorded
    ");
}

#[test]
fn a_recorded_primary_that_was_forgotten_is_no_record() {
    let mut snapshot = crate::sketch::snapshot(
        "
        p1 rw
        r1 <- p1
    ",
    );
    snapshot.cluster.primary = Some(crate::ids::ServerId::new("gone"));
    let report = super::analyze(&snapshot, &super::AnalysisSettings::default());
    insta::assert_snapshot!(super::said(&report), @"primary derived: p1");
}

#[test]
fn a_state_that_is_not_understood() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 io=unknown
        r2 <- p1
    "), @"warning replication-broken r1: hold; state-not-understood r1");
}
