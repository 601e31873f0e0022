//! Intermediate sources and passive co-primaries.

use super::verdict_of;

#[test]
fn dead_with_several_replicas() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent refused
        r1 <- i1 io=connecting
        r2 <- i1 io=connecting
    "), @r"
    CRITICAL intermediate-dead i1: act intermediate-failover; does-not-answer i1; receiver-lost-it r1 r2
    warning primary-single-replica-dead p1: hold; replica-silent i1
    ");
}

#[test]
fn dead_with_some_of_its_replicas() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent refused
        r1 <- i1 io=connecting
        r2 <- i1 silent
    "), @r"
    CRITICAL intermediate-and-some-replicas-dead i1: act intermediate-failover; does-not-answer i1; receiver-lost-it r1; replica-silent r2
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning server-silent r2: hold; does-not-answer r2
    ");
}

#[test]
fn dead_with_all_of_its_replicas() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent refused
        r1 <- i1 silent
    "), @r"
    CRITICAL intermediate-and-replicas-dead i1: hold; does-not-answer i1; replica-silent r1
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning server-silent r1: hold; does-not-answer r1
    ");
}

#[test]
fn dead_with_one_replica_that_cannot_connect() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent refused
        r1 <- i1 io=connecting
    "), @r"
    CRITICAL intermediate-dead-single-replica-cannot-connect i1: act intermediate-failover; does-not-answer i1; receiver-lost-it r1
    warning primary-single-replica-dead p1: hold; replica-silent i1
    ");
}

#[test]
fn dead_with_one_replica_that_is_stopped() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent refused
        r1 <- i1 io=stopped sql=stopped
    "), @r"
    CRITICAL intermediate-dead-single-replica i1: hold intermediate-failover; does-not-answer i1; receiver-not-running r1
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    ");
}

#[test]
fn silent_with_one_replica_that_is_stopped() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent timeout-connect
        r1 <- i1 io=stopped sql=stopped
    "), @r"
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning server-silent i1: hold; does-not-answer i1; receiver-not-running r1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    ");
}

#[test]
fn unreachable_for_us_only() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent timeout-connect
        r1 <- i1 heartbeat=1s
        r2 <- i1
    "), @r"
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning intermediate-unreachable i1: hold; does-not-answer i1; replica-hears-it r1; receiver-still-connected r2
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent timeout-connect
        r1 <- i1 heartbeat=1s lag=50s
    "), @r"
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning intermediate-unreachable-replicas-lagging i1: hold; does-not-answer i1; replica-hears-it r1
    warning replica-lagging r1: hold; lag r1
    ");
}

#[test]
fn hung() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent timeout
        r1 <- i1
        r2 <- i1
    "), @r"
    warning primary-single-replica-dead p1: hold; replica-silent i1
    warning server-silent i1: wait intermediate-failover; does-not-answer i1; receiver-still-connected r1 r2; reconnect-one-replica r1
    ? reconnect r1@ to i1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1 silent timeout
        r1 <- i1 reconnected=1s io=connecting:0
        r2 <- i1
    "), @r"
    CRITICAL intermediate-dead i1: act intermediate-failover; does-not-answer i1; receiver-still-connected r2; receiver-lost-it r1
    warning primary-single-replica-dead p1: hold; replica-silent i1
    ");
}

#[test]
fn dead_together_with_the_primary() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused
        i1 <- p1 silent refused
        r1 <- i1 io=connecting
        r2 <- p1 io=connecting
    "), @r"
    CRITICAL primary-and-some-replicas-dead p1: act failover; does-not-answer p1; receiver-lost-it r2; replica-silent i1
    CRITICAL intermediate-dead-single-replica-cannot-connect i1: wait intermediate-failover; does-not-answer i1; receiver-lost-it r1; primary-not-answering p1
    ");
}

#[test]
fn dead_below_an_unknown_primary() {
    insta::assert_snapshot!(verdict_of("
        p1 rw
        p2 rw
        i1 <- p1 silent refused
        r1 <- i1 io=connecting
        r2 <- p2
    "), @r"
    primary unknown: p1 p2
    CRITICAL split-brain p1: hold; also-writable p2
    CRITICAL intermediate-dead-single-replica-cannot-connect i1: hold intermediate-failover; does-not-answer i1; receiver-lost-it r1; primary-unknown
    warning primary-unknown p1: hold; no-primary-recorded p1 p2
    warning intermediate-replicas-stopped p1: hold; replica-silent i1
    ");
}

#[test]
fn a_replica_left_behind_by_a_failover() {
    // It followed the old primary and was away when the others were repointed.
    insta::assert_snapshot!(verdict_of("
        p0 silent refused
        p1 primary
        r1 <- p1
        r2 <- p0 io=connecting
    "), @"CRITICAL intermediate-dead-single-replica-cannot-connect p0: act intermediate-failover; does-not-answer p0; receiver-lost-it r2");
}

#[test]
fn answers_and_nobody_can_connect() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1
        r1 <- i1 io=connecting
        r2 <- i1 silent
    "), @r"
    CRITICAL intermediate-replicas-cannot-connect i1: wait intermediate-failover; replica-silent r2; cannot-connect r1; reconnect-to-living r1
    warning server-silent r2: hold; does-not-answer r2
    warning replication-broken r1: hold; cannot-connect r1
    ? reconnect r1@ to i1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1
        r1 <- i1 io=connecting reconnected=2s
        r2 <- i1 io=connecting:1045
    "), @r"
    CRITICAL intermediate-replicas-cannot-connect i1: act intermediate-failover; cannot-connect r1 r2
    warning replication-broken r1: hold; cannot-connect r1
    warning replication-broken r2: hold; cannot-connect r2
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1
        r1 <- i1 io=connecting
        r2 <- i1 io=connecting:1045 reconnected=300ms
    "), @r"
    CRITICAL intermediate-replicas-cannot-connect i1: wait intermediate-failover; cannot-connect r1 r2; reconnect-to-living r2
    warning replication-broken r1: hold; cannot-connect r1
    warning replication-broken r2: hold; cannot-connect r2
    ? read r2
    ");
}

#[test]
fn answers_and_nobody_replicates() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        i1 <- p1
        r1 <- i1 io=stopped sql=stopped
    "), @r"
    warning intermediate-replicas-stopped i1: hold; not-replicating r1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    ");
}

#[test]
fn a_passive_co_primary_is_dead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2 io=connecting
        p2 ro <- p1 silent refused
        r1 <- p2 io=connecting
        r2 <- p1
    "), @"CRITICAL co-primary-dead p2: act intermediate-failover; does-not-answer p2; receiver-lost-it p1 r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2 io=connecting
        p2 ro <- p1 silent refused
        r1 <- p2 silent
    "), @r"
    warning co-primary-and-some-replicas-dead p2: hold; does-not-answer p2; receiver-lost-it p1; replica-silent r1
    warning server-silent r1: hold; does-not-answer r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2 io=connecting
        p2 ro <- p1 silent refused
        r2 <- p1
    "), @"warning co-primary-dead p2: hold; does-not-answer p2; receiver-lost-it p1");
}

#[test]
fn a_passive_co_primary_is_unreachable_or_not_known_about() {
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2 heartbeat=1s
        p2 ro <- p1 silent timeout-connect
    "), @"warning co-primary-unreachable p2: hold; does-not-answer p2; replica-hears-it p1");
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2
        p2 ro <- p1 silent timeout-connect
        r1 <- p2
    "), @r"
    warning server-silent p2: wait intermediate-failover; does-not-answer p2; receiver-still-connected p1 r1; reconnect-one-replica r1
    ? reconnect r1@ to p2
    ");
}
