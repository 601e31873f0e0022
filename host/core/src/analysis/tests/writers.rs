//! Who takes writes.

use super::verdict_of;

#[test]
fn nobody_takes_writes() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ro
        r1 <- p1
    "), @"CRITICAL no-writable-primary p1: hold reopen; read-only p1; closing-not-seen p1");
}

#[test]
fn the_old_primary_returned_writable() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary
        r1 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0
    ");
}

#[test]
fn the_old_primary_returned_read_only() {
    insta::assert_snapshot!(verdict_of("
        p0 ro
        p1 primary
        r1 <- p1
    "), @"notice server-detached p0: hold rejoin; outside-the-topology p0; not-proven p0");
}

#[test]
fn the_old_primary_still_follows_somebody_unknown() {
    insta::assert_snapshot!(verdict_of("
        p0 ro <- elsewhere
        p1 primary
    "), @r"
    warning source-unknown p0: hold; points-outside p0
    notice server-detached p0: hold rejoin; outside-the-topology p0; not-proven p0
    ");
}

#[test]
fn a_server_set_aside_stays_aside_unless_it_takes_writes() {
    insta::assert_snapshot!(verdict_of("
        p0 ro quarantined
        p1 primary
    "), @"notice server-detached p0: hold rejoin; outside-the-topology p0; not-proven p0; quarantined p0");
    insta::assert_snapshot!(verdict_of("
        p0 rw quarantined
        p1 primary
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    CRITICAL old-primary-returned p0: act rejoin; outside-the-topology p0; quarantined p0
    ");
}

#[test]
fn a_second_top_with_followers_is_not_fenced() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary
        r0 <- p0
        r1 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0; has-followers r0
    ");
}

#[test]
fn the_second_source_of_a_multi_source_replica_is_not_fenced() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        p2 rw
        m1 <- p1@one <- p2@two
        r1 <- p1
    "), @"notice server-detached p2: hold rejoin; outside-the-topology p2; not-proven p2; one-of-several-sources m1");
}

#[test]
fn nobody_is_fenced_for_a_read_only_primary() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary ro
        r1 <- p1
    "), @"warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0; primary-read-only p1");
}

#[test]
fn nobody_is_fenced_while_the_primary_is_silent() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary silent
        r1 <- p1 io=connecting
    "), @"CRITICAL primary-dead p1: hold failover; does-not-answer p1; receiver-lost-it r1; another-writer p0");
}

#[test]
fn two_tops_take_writes_and_no_primary_answers() {
    insta::assert_snapshot!(verdict_of("
        a rw
        b rw
        p1 primary silent
        r1 <- p1 io=connecting
    "), @r"
    CRITICAL primary-dead p1: hold failover; does-not-answer p1; receiver-lost-it r1; another-writer a b
    CRITICAL split-brain a: hold; also-writable b
    ");
}

#[test]
fn both_co_primaries_take_writes() {
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2
        p2 rw <- p1
    "), @"warning split-brain p1: hold; co-primary-writable p2");
}

#[test]
fn a_replica_takes_writes() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 rw <- p1
    "), @"warning replica-writable r1: hold; writable r1");
}

#[test]
fn the_recorded_primary_follows_another_one() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ro <- p2
        p2 rw
        r1 <- p2
    "), @r"
    primary moved: p1 to p2
    warning primary-moved p2: hold; promoted-by-others p1 p2
    ");
}

/// The old primary is back, and the new one's channel to it, stopped for the promotion, was not
/// read since.
#[test]
fn a_stopped_or_severed_channel_does_not_make_the_old_primary_the_new_one() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary <- p0 io=stopped sql=stopped
        r1 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0; one-of-several-sources p1
    warning intermediate-replicas-stopped p0: hold; not-replicating p1
    ");
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary <- p0 severed=1s
        r1 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0; one-of-several-sources p1
    ");
}

#[test]
fn a_person_promoted_a_replica_while_the_primary_was_dead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent
        p2 rw
        r1 <- p2
    "), @r"
    primary moved: p1 to p2
    warning primary-moved p2: hold; promoted-by-others p1 p2
    warning server-silent p1: hold; does-not-answer p1
    ");
}

/// A node that was cut off from most of the cluster, and reads in the store that `p2` was promoted
/// meanwhile, took `p1` for promoted instead of it, because it remembered that everybody followed
/// `p1`.
#[test]
fn who_was_not_heard_since_may_follow_the_recorded_primary() {
    let view = verdict_of(
        "
        p1 rw
        p2 primary silent
        r1 <- p1
        r2 silent <- p1
        r3 silent <- p1
    ",
    );
    assert!(!view.contains("primary moved"), "{view}");
}

#[test]
fn the_recorded_primary_came_back_read_only_after_that() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ro
        p2 rw
        r1 <- p2
    "), @r"
    primary moved: p1 to p2
    warning primary-moved p2: hold; promoted-by-others p1 p2
    notice server-detached p1: hold rejoin; outside-the-topology p1; not-proven p1
    ");
}

#[test]
fn the_recorded_primary_came_back_writable_after_that() {
    // Fencing the wrong one would stop the cluster, so nobody is.
    insta::assert_snapshot!(verdict_of("
        p1 primary rw
        p2 rw
        r1 <- p2
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p2
    warning somebody-promotes p2: hold rejoin; outside-the-topology p2; not-proven p2; has-followers r1
    ");
}

#[test]
fn a_replica_was_detached_and_made_writable_while_the_primary_is_dead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent
        r1 rw <- p1 io=stopped sql=stopped
        r2 <- p1 io=connecting
    "), @r"
    CRITICAL primary-dead p1: hold failover; does-not-answer p1; receiver-lost-it r2; receiver-not-running r1; another-writer r1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    warning replica-writable r1: hold; writable r1
    ");
}

#[test]
fn a_writable_replica_that_lost_its_source_was_not_promoted() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent
        r1 rw <- p1 io=connecting
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r1
    warning replica-writable r1: hold; writable r1
    ");
}

#[test]
fn a_full_disk_is_no_reason_for_a_second_writer() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary commit=refused:1021
        r1 <- p1
    "), @r"
    CRITICAL primary-useless p1: hold failover; storage-refuses-commits p1; healthy-replica r1; another-writer p0
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0
    ");
}

#[test]
fn most_servers_follow_the_primary_so_the_other_one_is_fenced() {
    insta::assert_snapshot!(verdict_of("
        p0 rw
        p1 primary
        r0 <- p0 io=connecting
        r1 <- p1
        r2 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable p0
    warning somebody-promotes p0: hold rejoin; outside-the-topology p0; not-proven p0
    warning intermediate-replicas-stopped p0: hold; cannot-connect r0
    warning replication-broken r0: hold; cannot-connect r0
    ");
}

#[test]
fn accounts_that_no_fence_binds() {
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb privileged=shop@%,batch@10.0.0.%
        r1 <- p1 mariadb privileged=shop@%
    "), @"warning privileged-writers p1: hold; writes-when-read-only p1");
    // None, and not to be seen.
    for known in ["privileged=", ""] {
        let text = format!("p1 primary mariadb {known}\nr1 <- p1 mariadb");
        assert_eq!(verdict_of(&text), "fine");
    }
}

/// A coordinator ends what it prepared within moments.
#[test]
fn prepared_transactions_that_nobody_ends() {
    insta::assert_snapshot!(verdict_of("
        p1 primary prepared=x:61s,y:59s
        r1 <- p1 prepared=x:61s,y:59s
    "), @"warning prepared-transactions p1: hold; prepared-for-long p1");
    insta::assert_snapshot!(verdict_of("
        p1 primary prepared=y
        r1 <- p1 lag=1s prepared=x:61s
        r2 <- p1 lag=1s prepared=x:59s,y:61s
        r3 <- p1 lag=11s prepared=x:61s
        r4 <- p1 lag=1s delay=5s prepared=x:61s
        r5 <- p1 lag=1s
    "), @"warning prepared-transactions r1: hold; prepared-only-here r1");
    // Nobody may look at the primary's.
    let text = "p1 primary\nr1 <- p1 prepared=x:61s";
    assert_eq!(verdict_of(text), "fine");
}
