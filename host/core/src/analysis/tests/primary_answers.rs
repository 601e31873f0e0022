//! A primary that answers and has trouble.

use super::verdict_of;

#[test]
fn no_connection_left_for_us() {
    insta::assert_snapshot!(verdict_of("
        p1 primary too-many-connections
        r1 <- p1 io=connecting:1040
    "), @r"
    CRITICAL primary-useless p1: hold failover; connections-exhausted p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
}

#[test]
fn no_connection_left_for_others() {
    insta::assert_snapshot!(verdict_of("
        p1 primary connections=151/151
        r1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; connections-exhausted p1");
}

#[test]
fn refused_credentials_are_no_death() {
    insta::assert_snapshot!(verdict_of("
        p1 primary authentication:1045
        r1 <- p1 io=connecting
    "), @r"
    CRITICAL server-refuses-us p1: hold; refused-by-server p1
    warning first-tier-replica-cannot-connect r1: hold; cannot-connect r1
    ");
}

#[test]
fn a_disk_fails_under_our_probe() {
    insta::assert_snapshot!(verdict_of("
        p1 primary statement:1021
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; storage-fails p1; healthy-replica r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary statement:1114 5s
        r1 <- p1 progressed=2s
    "), @"CRITICAL primary-useless p1: hold failover; storage-fails p1; still-commits r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 statement:1114 <- p1
        r2 <- p1
    "), @"warning server-refuses-us r1: hold; storage-fails r1");
}

#[test]
fn full_disk_seen_by_a_commit() {
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=refused:1021
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; storage-refuses-commits p1; healthy-replica r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=refused:3
        r1 <- p1 sql=stopped
    "), @r"
    CRITICAL primary-useless p1: hold failover; storage-refuses-commits p1; no-healthy-replica p1
    warning primary-single-replica-stopped p1: hold; not-replicating r1
    warning replication-stopped r1: hold; thread-stopped r1
    ");
}

#[test]
fn full_disk_seen_by_those_who_wait_for_space() {
    insta::assert_snapshot!(verdict_of("
        p1 primary space=waits:3 awaited=1s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; waits-for-space p1; healthy-replica r1");
    // Seen by one reading only.
    insta::assert_snapshot!(verdict_of("
        p1 primary space=waits:3 awaited=100ms
        r1 <- p1
    "), @"fine");
    // Somebody who is as full takes nothing over.
    insta::assert_snapshot!(verdict_of("
        p1 primary space=waits:3 awaited=1s
        r1 space=waits:1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; waits-for-space p1; no-healthy-replica p1");
}

#[test]
fn full_disk_seen_by_the_engine() {
    insta::assert_snapshot!(verdict_of("
        p1 primary space=refused:4s..100ms progressed=5s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; disk-full p1; healthy-replica r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary space=refused:4s..100ms progressed=1s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; disk-full p1; still-commits p1");
    insta::assert_snapshot!(verdict_of("
        p1 primary space=refused:1s..100ms progressed=5s
        r1 <- p1
    "), @"fine");
    // One statement filled the disk and gave its room back; there is room again.
    insta::assert_snapshot!(verdict_of("
        p1 primary space=refused:4s..4s progressed=5s
        r1 <- p1
    "), @"fine");
    insta::assert_snapshot!(verdict_of("
        p1 primary space=refused:9s..4s progressed=10s
        r1 <- p1
    "), @"fine");
}

#[test]
fn made_read_only_below_the_variable() {
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=refused:1836
        r1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; commits-refused p1");
}

#[test]
fn an_error_that_proves_nothing() {
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=refused:1146
        r1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; commits-refused p1");
}

#[test]
fn commits_stall() {
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=stalled:11s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; commits-stall p1; healthy-replica r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary commit=stalled:3s
        r1 <- p1
    "), @"fine");
}

#[test]
fn acknowledgements_do_not_come() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=locked progressed=20s commit=stalled:30s
        r1 <- p1
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    ? reconnect r1@ to p1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=locked progressed=1s
        r1 <- p1
    "), @"fine");
}

#[test]
fn no_progress_was_ever_seen() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=locked
        r1 <- p1
    "), @r"
    CRITICAL primary-semi-sync-locked p1: hold; acknowledgements-missing p1
    ? reconnect r1@ to p1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=locked stalled=1s progressed=1h
        r1 <- p1
    "), @"fine");
}

#[test]
fn semi_sync_fell_back() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=fallback
        r1 <- p1
    "), @"warning not-enough-semi-sync-replicas p1: hold; semi-sync-fell-back p1");
}

#[test]
fn events_do_not_run() {
    insta::assert_snapshot!(verdict_of("
        p1 primary events=on,off:disabled,left:replica,mine:here
        r1 <- p1 events=on:replica
        r2 <- p1 events=on:replica scheduler=off
        r3 <- p1
    "), @r"
    warning events-disabled p1: hold; events-left-disabled p1
    notice event-scheduler-off r2: hold; event-scheduler-off r2
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary events=on scheduler=off
        r1 <- p1 events=on:replica
    "), @"warning event-scheduler-off p1: hold; event-scheduler-off p1");
    insta::assert_snapshot!(verdict_of("
        p1 primary events=on scheduler=off
        r1 <- p1 events=on:replica scheduler=off
    "), @"fine");
}

#[test]
fn its_only_replica_is_stopped_or_dead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 sql=stopped
    "), @r"
    warning primary-single-replica-stopped p1: hold; not-replicating r1
    warning replication-stopped r1: hold; thread-stopped r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 silent
    "), @r"
    warning primary-single-replica-dead p1: hold; replica-silent r1
    warning server-silent r1: hold; does-not-answer r1
    ");
}

#[test]
fn all_its_replicas_are_stopped_or_dead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 sql=stopped:1062
        r2 <- p1 io=connecting
    "), @r"
    warning primary-replicas-stopped p1: hold; cannot-connect r2; not-replicating r1
    warning first-tier-replica-cannot-connect r2: hold; cannot-connect r2
    warning replication-broken r1: hold; thread-broken r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 sql=stopped:1062
        r2 <- p1 silent
    "), @r"
    warning primary-replicas-stopped-or-dead p1: hold; replica-silent r2; not-replicating r1
    warning server-silent r2: hold; does-not-answer r2
    warning replication-broken r1: hold; thread-broken r1
    ");
}

#[test]
fn one_replica_that_cannot_be_read_may_replicate() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 io=stopped
        r2 <- p1 partial
    "), @r"
    warning server-refuses-us r2: hold; refused-by-server r2
    warning replication-stopped r1: hold; thread-stopped r1
    ");
}

#[test]
fn nobody_replicates_from_a_co_primary() {
    insta::assert_snapshot!(verdict_of("
        p1 primary <- p2
        p2 ro <- p1 io=stopped sql=stopped
    "), @r"
    warning co-primary-replicas-stopped p1: hold; not-replicating p2
    warning replication-stopped p2: hold; thread-stopped p2; thread-stopped p2
    ");
}

#[test]
fn replicas_that_cannot_lead() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 <- p1 noupdates nogtid
        r2 <- p1 nolog
    "), @r"
    warning no-logging-replicas p1: hold; no-log-updates r1 r2
    warning no-failover-support p1: hold; no-auto-position r1
    ");
}

#[test]
fn replicas_that_do_not_fit_together() {
    insta::assert_snapshot!(verdict_of("
        p1 primary gtid_mode=ON_PERMISSIVE
        r1 <- p1 format=mixed version=8.0.36
        r2 <- p1 format=statement
        r3 <- p1 gtid_mode=on_permissive
    "), @r"
    warning mixed-log-formats p1: hold; statement-and-mixed r2 r1; statement-and-row r2 r3; mixed-and-row r1 r3
    warning mixed-versions p1: hold; several-versions r1 r2 r3
    warning mixed-gtid-modes p1: hold; gtid-mode-differs r1 r2
    ");
}

#[test]
fn connections_run_out_because_commits_stall() {
    insta::assert_snapshot!(verdict_of("
        p1 primary too-many-connections 2s commit=stalled:15s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: act failover; connections-exhausted p1; commits-stall p1; healthy-replica r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary too-many-connections 2m commit=stalled:15s
        r1 <- p1
    "), @"CRITICAL primary-useless p1: hold failover; connections-exhausted p1");
}

#[test]
fn few_connections_are_left() {
    let with =
        |connections: &str| verdict_of(&format!("p1 primary connections={connections}\nr1 <- p1"));
    insta::assert_snapshot!(with("140/151"), @"warning primary-connections-low p1: hold; few-connections-left p1");
    for fine in ["130/151", "9/10", "20/1000"] {
        assert_eq!(with(fine), "fine", "{fine}");
    }
}
