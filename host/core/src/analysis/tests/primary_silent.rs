//! A primary that does not answer.

use super::verdict_of;

#[test]
fn killed_and_every_replica_lost_it() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 50ms
        r1 <- p1 io=connecting read=20ms
        r2 <- p1 io=connecting read=20ms
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r1 r2");
}

#[test]
fn a_receiver_that_gave_up_connecting_lost_it_too() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect
        r1 <- p1 io=stopped:2003
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r1");
}

#[test]
fn some_replicas_died_with_it() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused
        r1 <- p1 io=connecting
        r2 <- p1 silent timeout-connect
    "), @r"
    CRITICAL primary-and-some-replicas-dead p1: act failover; does-not-answer p1; receiver-lost-it r1; replica-silent r2
    warning server-silent r2: hold; does-not-answer r2
    ");
}

/// Replicas across a cut network look connected for a minute, and the default policy wants to hear
/// from each.
#[test]
fn of_a_dead_primary_every_replica_that_looks_connected_is_made_to_connect_anew() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s
        r1 <- p1 reconnect-failed=1s
        r2 <- p1 heartbeat=7s
        r3 <- p1 heartbeat=7s
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-still-connected r2 r3; receiver-lost-it r1; reconnect-one-replica r2
    ? reconnect r2@ to p1
    ");
}

#[test]
fn nobody_answers_perhaps_it_is_us() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent no-route
        r1 <- p1 silent no-route
        r2 <- p1 silent no-route
    "), @r"
    CRITICAL primary-and-replicas-dead p1: hold; does-not-answer p1; replica-silent r1 r2
    warning server-silent r1: hold; does-not-answer r1
    warning server-silent r2: hold; does-not-answer r2
    ");
}

#[test]
fn nobody_replicates_from_it() {
    insta::assert_snapshot!(verdict_of("p1 primary silent refused"), @"CRITICAL primary-dead-without-replicas p1: hold; does-not-answer p1");
}

#[test]
fn a_heartbeat_after_the_loss_is_a_veto() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 heartbeat=1s
        r2 <- p1 io=connecting
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1; receiver-lost-it r2");
}

#[test]
fn a_heartbeat_before_the_loss_says_nothing() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 heartbeat=3s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
}

#[test]
fn an_old_heartbeat_says_nothing_about_now() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 60s
        r1 <- p1 heartbeat=20s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
}

/// With real servers: a replica was made to connect anew at the very moment at which the primary
/// was cut off, and the new connection was believed in for fifteen seconds, in which no heartbeat
/// came.
#[test]
fn a_sign_of_life_is_over_when_heartbeats_are_missing() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 7s
        r1 <- p1 reconnected=5s period=1s
        r2 <- p1 heartbeat=5s period=1s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 7s
        r1 <- p1 reconnected=3s period=1s
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-reconnected r1");
}

/// With real servers, whose own choice is a heartbeat every 30 s: the primary was cut off from
/// Baton first and from its replicas a moment later, so that something still came after the loss,
/// and that was believed for fifteen seconds.
#[test]
fn the_first_signs_of_life_are_believed_for_a_short_time() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 5s
        r1 <- p1 reconnected=4s period=30s
        r2 <- p1 heartbeat=4s period=30s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 30s
        r1 <- p1 reconnected=14s period=30s
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-reconnected r1");
}

/// A partition that cut us and one replica off ends: the others are back a moment before the
/// primary, and look connected. That the one could not connect meanwhile says nothing about them.
#[test]
fn what_was_tried_in_a_partition_says_nothing_about_those_beyond_it() {
    for (back, expected) in [("", true), ("back=10ms", false), ("back=2s", true)] {
        let text = format!(
            "p1 primary silent timeout-connect 6s
             r1 <- p1 reconnect-failed=1s
             r2 {back} <- p1 heartbeat=7s
             r3 {back} <- p1 heartbeat=7s"
        );
        let verdict = verdict_of(&text);
        assert_eq!(
            verdict.contains("primary-hung"),
            expected,
            "{back}: {verdict}"
        );
    }
}

/// Cut off from us first, and from its replicas a moment later.
#[test]
fn a_reconnection_in_vain_counts_after_the_last_sign_of_life() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 6s
        r1 <- p1 heartbeat=5s period=1s reconnect-failed=1s
        r2 <- p1 heartbeat=5s period=1s
    "), @"CRITICAL primary-hung p1: act failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 6s
        r1 <- p1 heartbeat=1s period=1s reconnect-failed=2s
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1");
}

#[test]
fn a_heartbeat_of_a_receiver_that_lost_it_since_is_no_veto() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 5s
        r1 <- p1 heartbeat=4s io=connecting
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r1");
}

#[test]
fn growth_of_the_executed_set_is_no_sign_of_life() {
    // A lagging replica goes on applying what it received.
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 progressed=0ms unapplied=50
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
}

#[test]
fn all_lag_while_we_do_not_reach_it() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 heartbeat=1s lag=45s
        r2 <- p1 lag=2h delay=1h
    "), @r"
    warning primary-unreachable-replicas-lagging p1: hold; does-not-answer p1; replica-hears-it r1; receiver-still-connected r2
    warning replica-lagging r1: hold; lag r1
    warning replica-lagging r2: hold; lag r2
    ");
}

#[test]
fn hung_until_a_replica_reconnects_it_looks_alive() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 1s
        r1 <- p1 missing=1
        r2 <- p1 missing=5
        r3 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2 r3; reconnect-one-replica r2
    ? reconnect r2@ to p1
    ");
}

#[test]
fn the_replica_that_reconnects_is_one_nobody_works_on() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 1s
        r1 <- p1@main
        r2 <- p1@main missing=5 maintenance
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2; reconnect-one-replica r1
    ? reconnect r1@main to p1
    ");
}

/// r2 lacks more, but holds what it received only as long as its receiver is left alone.
#[test]
fn the_replica_that_reconnects_is_one_whose_applier_runs() {
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb silent timeout 1s
        r1 mariadb <- p1@main
        r2 mariadb missing=5 unapplied=3 <- p1@main sql=stopped
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2; reconnect-one-replica r1
    warning replication-stopped r2: hold; thread-stopped r2
    ? reconnect r1@main to p1
    ");
}

#[test]
fn hung_a_replica_was_told_to_reconnect_just_now() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 1s
        r1 <- p1 reconnected=150ms io=connecting:0 read=100ms
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r2; reconnecting r1
    ? read r1
    ");
}

#[test]
fn hung_a_reading_from_before_the_reconnect_does_not_count() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 3s
        r1 <- p1 reconnected=1s read=2s
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r2; reconnecting r1
    ? read r1
    ");
}

#[test]
fn hung_the_replica_could_not_reconnect() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-handshake 2s
        r1 <- p1 reconnected=900ms io=connecting:0
        r2 <- p1
        r3 <- p1 silent
    "), @r"
    CRITICAL primary-hung p1: act failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1; replica-silent r3
    warning server-silent r3: hold; does-not-answer r3
    ");
}

#[test]
fn hung_it_did_not_even_let_the_receiver_go() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-handshake 2s
        r1 <- p1 reconnect-failed=500ms
        r2 <- p1
    "), @"CRITICAL primary-hung p1: act failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1");
}

#[test]
fn a_receiver_that_hears_something_is_a_veto_even_if_it_was_not_let_go() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-handshake 2s
        r1 <- p1 reconnect-failed=500ms heartbeat=300ms
        r2 <- p1
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1; receiver-still-connected r2");
}

#[test]
fn a_receiver_that_could_not_connect_before_is_no_test() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 io=connecting
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1; reconnect-one-replica r2
    ? reconnect r2@ to p1
    ");
}

#[test]
fn the_replica_did_reconnect() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 reconnected=900ms
        r2 <- p1
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-reconnected r1; receiver-still-connected r2");
}

#[test]
fn the_primary_answered_the_reconnect_with_a_refusal() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 reconnected=900ms io=connecting:1040
        r2 <- p1
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-was-denied r1; receiver-still-connected r2");
}

#[test]
fn an_old_refusal_proves_neither_life_nor_death() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout 2s
        r1 <- p1 io=connecting:1045
    "), @"CRITICAL primary-silent p1: hold failover; does-not-answer p1; receiver-not-running r1");
}

#[test]
fn refused_and_the_replicas_were_read_too_early() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 101ms
        r1 <- p1
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2
    ? read r1 r2
    ");
}

#[test]
fn refused_for_long_and_replicas_stay_connected() {
    // A firewall between us and the primary looks like this.
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 5s
        r1 <- p1
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r1 r2; reconnect-one-replica r1
    ? reconnect r1@ to p1
    ");
}

#[test]
fn refused_and_the_reconnect_failed() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 5s
        r1 <- p1 reconnected=1s io=connecting
        r2 <- p1
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-still-connected r2; receiver-lost-it r1; reconnect-one-replica r2
    ? reconnect r2@ to p1
    ");
}

#[test]
fn a_replica_was_not_read_since() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s
        r1 <- p1 io=connecting
        r2 <- p1 read=3s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; not-read-since r2; receiver-lost-it r1
    ? read r2
    ");
}

#[test]
fn receivers_stopped_by_a_person_are_no_evidence() {
    // OB#138: a backup stopped replication, then the network flapped.
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 io=stopped sql=stopped
    "), @r"
    CRITICAL primary-silent p1: hold failover; does-not-answer p1; receiver-not-running r1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    ");
}

#[test]
fn receivers_stopped_by_a_person_and_nobody_listens() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s
        r1 <- p1 io=stopped sql=stopped
        r2 <- p1 io=stopped:1236
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-not-running r1 r2
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    warning replication-broken r2: hold; thread-broken r2
    ");
}

#[test]
fn a_stopped_receiver_does_not_outvote_one_that_lost_it() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 io=stopped sql=stopped
        r2 <- p1 io=connecting
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r2; receiver-not-running r1
    warning replication-stopped r1: hold; thread-stopped r1; thread-stopped r1
    ");
}

#[test]
fn a_stopped_applier_is_not_a_lost_primary() {
    // PXO#106: the receiver runs, which is what counts.
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 sql=stopped heartbeat=500ms
    "), @r"
    warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1
    warning replication-stopped r1: hold; thread-stopped r1
    ");
}

#[test]
fn replicas_that_refuse_us_are_no_evidence() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s
        r1 <- p1 partial
    "), @r"
    CRITICAL primary-silent p1: hold failover; does-not-answer p1; replica-refuses-us r1
    warning server-refuses-us r1: hold; refused-by-server r1
    ");
}

#[test]
fn a_registered_replica_that_was_never_read_is_waited_for() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s attached=r1,r2,elsewhere
        r1 <- p1 io=connecting
        r2 unprobed
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; not-read-since r2; receiver-lost-it r1
    ? read r2
    ");
}

#[test]
fn a_co_primary_takes_over() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused <- p2
        p2 ro <- p1 io=connecting
        r1 <- p1 io=connecting
    "), @"CRITICAL co-primary-dead p1: act co-primary-failover; does-not-answer p1; receiver-lost-it p2 r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused <- p2
        p2 ro <- p1 io=connecting
        r1 <- p1 silent
    "), @r"
    CRITICAL co-primary-and-some-replicas-dead p1: act co-primary-failover; does-not-answer p1; receiver-lost-it p2; replica-silent r1
    warning server-silent r1: hold; does-not-answer r1
    ");
}

#[test]
fn a_dead_co_primary_does_not_take_over() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused <- p2
        p2 silent refused <- p1
        r1 <- p1 io=connecting
    "), @r"
    CRITICAL co-primary-and-some-replicas-dead p1: act failover; does-not-answer p1; receiver-lost-it r1; replica-silent p2
    warning intermediate-and-replicas-dead p2: hold; does-not-answer p2; replica-silent p1
    ");
}

#[test]
fn a_co_primary_hears_what_we_do_not() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect <- p2
        p2 ro <- p1 heartbeat=500ms
    "), @"warning co-primary-unreachable p1: hold; does-not-answer p1; replica-hears-it p2");
}

#[test]
fn of_two_channels_the_one_that_hears_counts() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect
        r1 <- p1@a io=connecting <- p1@b heartbeat=300ms
    "), @"warning primary-unreachable p1: hold; does-not-answer p1; replica-hears-it r1");
}

/// A node ended between stopping a receiver and starting it, so the only replica that could tell
/// something told nothing, for ever.
#[test]
fn a_receiver_that_a_dead_node_left_stopped_is_started_to_tell() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 20s
        r1 <- p1 io=stopped ran=19s
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-halted r1; reconnect-one-replica r1
    warning replication-stopped r1: hold; thread-stopped r1
    ? reconnect r1@ to p1
    ");
}

#[test]
fn a_receiver_left_stopped_does_not_stand_against_the_others() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 io=stopped ran=3s
        r2 <- p1 io=connecting
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it r2; receiver-halted r1
    warning replication-stopped r1: hold; thread-stopped r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent timeout-connect 2s
        r1 <- p1 io=stopped ran=3s
        r2 <- p1
    "), @r"
    CRITICAL primary-silent p1: wait failover; does-not-answer p1; receiver-still-connected r2; receiver-halted r1; reconnect-one-replica r2
    warning replication-stopped r1: hold; thread-stopped r1
    ? reconnect r2@ to p1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary silent refused 2s
        r1 <- p1 io=stopped ran=3s
    "), @r"
    CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-halted r1
    warning replication-stopped r1: hold; thread-stopped r1
    ");
}

#[test]
fn a_receiver_that_a_person_stopped_is_not_started() {
    for stopped in [
        // Long before the loss.
        "io=stopped ran=1m",
        // With the applier.
        "io=stopped sql=stopped ran=3s",
        // Nobody saw it at work.
        "io=stopped",
        // It stopped by an error of its own.
        "io=stopped:1236 ran=3s",
        // Declared to be worked on.
        "io=stopped ran=3s maintenance",
        "io=stopped ran=3s downtime",
    ] {
        let text = format!("p1 primary silent timeout-connect 2s\n r1 <- p1 {stopped}");
        let view = verdict_of(&text);
        assert!(
            view.contains("primary-silent p1: hold"),
            "{stopped}: {view}"
        );
        assert!(
            view.contains("receiver-not-running r1"),
            "{stopped}: {view}"
        );
    }
}
