//! The primary answers us, and not its replicas.

use super::verdict_of;

/// Commits wait, and receivers have not noticed anything yet.
#[test]
fn one_that_looks_connected_is_to_connect_anew() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=2 waiting=3 stalled=2s
        r1 <- p1
        r2 <- p1 heartbeat=3s
    "), @"? reconnect r1@ to p1");
    // Too early; somebody hears it; it was accepted; only its applier keeps its relay log.
    for line in [
        "stalled=1s\nr1 <- p1",
        "stalled=3s\nr1 <- p1\nr2 <- p1 heartbeat=2s",
        "stalled=3s\nr1 <- p1 reconnected=1s",
        "stalled=3s\nr1 <- p1 sql=stopped",
    ] {
        let verdict = verdict_of(&format!("p1 primary ss=source waiting=3 {line}"));
        assert!(!verdict.contains("reconnect"), "{verdict}");
    }
}

#[test]
fn commits_hang_and_nobody_can_connect() {
    // Not tried yet.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=2 waiting=3 stalled=7s
        r1 <- p1 io=connecting
        r2 <- p1 io=connecting
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL primary-replicas-cannot-connect p1: wait failover; cannot-connect r1 r2; reconnect-to-living r1; acknowledgements-missing p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    warning first-tier-replica-cannot-connect r2: hold; cannot-connect r2
    ? reconnect r1@ to p1
    ");
    // Tried, and not for long enough.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=2 waiting=3 stalled=4s
        r1 <- p1 io=connecting reconnected=2s
        r2 <- p1
    "), @r"
    CRITICAL primary-replicas-cannot-connect p1: wait failover; cannot-connect r1; receiver-still-connected r2; acknowledgements-missing p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=2 waiting=3 stalled=6s
        r1 <- p1 io=connecting reconnected=2s
        r2 <- p1 heartbeat=7s
        r3 silent <- p1
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL primary-replicas-cannot-connect p1: act failover; cannot-connect r1; receiver-still-connected r2; replica-silent r3; acknowledgements-missing p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    warning server-silent r3: hold; does-not-answer r3
    ");
    // Its source did not even let it go.
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb ss=source clients=1 waiting=3 stalled=6s
        r1 mariadb <- p1 reconnect-failed=2s
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL primary-replicas-cannot-connect p1: act failover; cannot-connect r1; acknowledgements-missing p1
    ");
}

#[test]
fn another_primary_would_not_help() {
    // It commits without them, now or soon.
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 io=connecting reconnected=2s
        r2 <- p1 io=stopped:2003
    "), @r"
    warning primary-replicas-cannot-connect p1: hold failover; cannot-connect r1 r2; goes-on-alone p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    warning first-tier-replica-cannot-connect r2: hold; cannot-connect r2
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source waiting=3 stalled=6s timeout=10s
        r1 <- p1 io=connecting reconnected=2s
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL primary-replicas-cannot-connect p1: hold failover; cannot-connect r1; acknowledgements-missing p1; goes-on-alone p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
    // Somebody was promoted already.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source waiting=3 stalled=6s
        r1 <- p1 io=connecting reconnected=2s
        r2 rw
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL split-brain p1: hold; also-writable r2
    CRITICAL primary-replicas-cannot-connect p1: hold failover; cannot-connect r1; acknowledgements-missing p1; another-writer r2
    warning somebody-promotes r2: hold rejoin; outside-the-topology r2; not-proven r2
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
    // It refuses them itself.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source waiting=3 stalled=6s
        r1 <- p1 io=connecting:1045 reconnected=2s
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    warning primary-single-replica-stopped p1: hold; cannot-connect r1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
}

#[test]
fn operators_ignore_its_replicas() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source waiting=3 stalled=6s
        r1 downtime <- p1 io=connecting reconnected=2s
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    CRITICAL primary-replicas-cannot-connect p1: hold failover; cannot-connect r1; acknowledgements-missing p1; replicas-downtimed r1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1; downtimed r1
    ");
}

/// A MariaDB whose semi-synchronous replicas return lets nobody in for seconds.
#[test]
fn a_primary_whose_replicas_return_does_not_hang() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-handshake 2s
        r1 <- p1 reconnect-failed=500ms cut=20s..4s
        r2 <- p1
    "), @"CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1; replicas-return r1");
    // They lost it when we did; it is gone; it takes too long.
    for (primary, cut) in [
        ("timeout-handshake 2s", "cut=2s..1s"),
        ("timeout-connect 2s", "cut=20s..4s"),
        ("timeout-handshake 21s", "cut=60s..22s"),
        ("timeout-handshake 2s", "cut=60s..20s"),
    ] {
        let verdict = verdict_of(&format!(
            "p1 primary silent {primary}\nr1 <- p1 reconnect-failed=500ms {cut}"
        ));
        assert!(
            verdict.contains("primary-hung p1: act") || verdict.contains("primary-dead p1: act"),
            "{verdict}"
        );
    }
}

#[test]
fn a_receiver_that_runs_receives_nothing() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 starving=6s
        r2 <- p1 starving=4s
    "), @"warning replica-receives-nothing r1: hold; receives-nothing r1");
}

/// Its relay log's volume is full, say: both threads say Yes (MySQL).
#[test]
fn a_receiver_that_stood_still_is_no_veto() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 3s
        r1 missing=50 <- p1 starving=20s read=100ms
        r2 <- p1 io=connecting
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r2; receiver-not-running r1");
    // Nobody received more, or it stood still only since the loss: it may hear what nobody else
    // does.
    for r1 in ["<- p1 starving=20s", "missing=50 <- p1 starving=4s"] {
        let verdict = verdict_of(&format!(
            "p1 primary silent refused 3s\nr1 {r1}\nr2 <- p1 io=connecting"
        ));
        assert!(verdict.contains("primary-silent p1: wait"), "{verdict}");
    }
}
