//! Single replicas.

use super::verdict_of;

#[test]
fn cannot_connect_to_the_primary() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 io=connecting:1045
        r2 <- p1
    "), @"warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1");
}

#[test]
fn cannot_connect_further_down() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1
        r2 <- r1 io=stopped:2003
        r3 <- r1
    "), @"warning replication-broken r2: hold; cannot-connect r2");
}

#[test]
fn stopped_by_a_person() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1@main sql=stopped io=stopped
        r2 <- p1
    "), @"warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1");
}

#[test]
fn broken_and_stopped_at_once() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1@a sql=stopped:1062 <- p1@b io=stopped:1236 sql=stopped
        r2 <- p1
    "), @r"
    warning replication-stopped r1: hold; thread-stopped r1
    warning replication-broken r1: hold; thread-broken r1; thread-broken r1
    ");
}

#[test]
fn a_primary_need_not_replicate() {
    insta::assert_snapshot!(verdict_of("
        p1 primary <- elsewhere io=stopped sql=stopped
        r1 <- p1
    "), @"notice source-unknown p1: hold; points-outside p1");
}

#[test]
fn lags() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 lag=31s
        r2 <- p1 lag=30s
        r3 <- p1 lag=3601s delay=3600s
    "), @"warning replica-lagging r1: hold; lag r1");
}

#[test]
fn has_errant_transactions() {
    insta::assert_snapshot!(verdict_of("
        p1 primary errant=7
        r1 <- p1 errant=2
        r2 <- p1 errant=unknown
    "), @"warning errant-transactions r1: hold; errant r1");
}

#[test]
fn follows_a_server_that_is_unknown() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 <- elsewhere@side
        r2 <- p1 <- ?@side
    "), @r"
    warning source-unknown r1: hold; points-outside r1
    warning source-unknown r2: hold; points-outside r2
    ");
}

#[test]
fn replicate_in_a_circle() {
    insta::assert_snapshot!(verdict_of("
        a primary <- c
        b <- a
        c <- b
        d <- c
    "), @"CRITICAL replication-loop a: hold; circle a c b");
}

#[test]
fn follows_itself() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- r1
        r2 <- p1
    "), @r"
    CRITICAL replication-loop r1: hold; own-source r1
    notice server-detached r1: hold rejoin; outside-the-topology r1; not-proven r1
    ");
}

#[test]
fn co_primaries_in_a_star_are_no_circle() {
    insta::assert_snapshot!(verdict_of("
        a primary <- b@b <- c@c
        b <- a
        c <- a
    "), @"fine");
}

#[test]
fn does_not_answer_or_refuses_us() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 silent timeout-connect 90s
        r2 <- p1 host-blocked
        r3 <- p1
    "), @r"
    warning server-silent r1: hold; does-not-answer r1
    warning server-refuses-us r2: hold; refused-by-server r2
    ");
}
