//! What acknowledgements are worth, said in calm times.

use super::verdict_of;

#[test]
fn a_crash_takes_back_what_was_acknowledged() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=2 sync_binlog=0 flush=1
        r1 ss=replica sync_binlog=1 flush=2 sync_relay_log=10000 relay_log_recovery=on <- p1
        r2 ss=replica sync_binlog=1 flush=1 sync_relay_log=1 relay_log_recovery=off <- p1
        r3 sync_binlog=0 flush=0 sync_relay_log=0 <- p1
    "), @r"
    warning acknowledgements-not-durable p1: hold; binary-log-not-synced p1
    warning acknowledgements-not-durable r1: hold; engine-log-not-flushed r1; relay-log-recovery r1; relay-log-not-synced r1
    ");
}

#[test]
fn without_acknowledgements_the_settings_do_not_matter() {
    insta::assert_snapshot!(verdict_of("
        p1 primary sync_binlog=0 flush=0
        r1 <- p1 ss=replica sync_relay_log=0 relay_log_recovery=on
    "), @"fine");
}

/// No setting helps: only worth knowing.
#[test]
fn mariadb_throws_relay_logs_away() {
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb ss=source sync_binlog=1
        r1 mariadb ss=replica sync_binlog=1 sync_relay_log=10000 <- p1
    "), @"notice acknowledgements-not-durable r1: hold; relay-log-dropped r1");
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb ss=source
        r1 mariadb ss=replica flush=2 <- p1
    "), @"warning acknowledgements-not-durable r1: hold; engine-log-not-flushed r1; relay-log-dropped r1");
}

#[test]
fn others_read_what_no_replica_has() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source wait_point=after_commit
        r1 <- p1 ss=replica
    "), @"warning acknowledged-after-commit p1: hold; waits-after-commit p1");
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source wait_point=after_sync
        r1 <- p1 ss=replica wait_point=after_commit
    "), @"fine");
}

#[test]
fn too_few_acknowledgements_for_so_many_replicas() {
    for (clients, wait_for, number) in [
        (2, 1, None),
        (3, 1, Some(2)),
        (3, 2, None),
        (4, 2, None),
        (5, 2, Some(3)),
    ] {
        let verdict = super::report_of(&format!(
            "p1 primary ss=source clients={clients} wait_for={wait_for}\nr1 <- p1 ss=replica"
        ));
        let texts: Vec<&str> = verdict
            .findings
            .iter()
            .flat_map(|finding| &finding.evidence)
            .map(|found| found.text.as_str())
            .collect();
        match number {
            None => assert!(texts.is_empty(), "{texts:?}"),
            Some(number) => {
                let expected = format!("Set the count to {number}.");
                assert!(
                    texts.iter().any(|text| text.ends_with(&expected)),
                    "{texts:?}"
                );
            }
        }
    }
    insta::assert_snapshot!(verdict_of("
        p1 primary mariadb ss=source clients=3
        r1 <- p1
    "), @"warning wait-count-too-small p1: hold; acknowledged-by-few p1");
}

#[test]
fn more_acknowledgements_than_replicas() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source wait_for=2
        r1 <- p1 ss=replica
    "), @"warning not-enough-semi-sync-replicas p1: hold; more-acknowledgements-than-replicas p1");
}

#[test]
fn who_acknowledges_may_not_be_promoted() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=6 wait_for=3
        r1 must_not ss=replica <- p1
        r2 downtime ss=replica <- p1
        r3 maintenance ss=replica <- p1
        r4 quarantined ss=replica <- p1
        r5 ss=replica <- p1 delay=1h
        r6 ss=replica <- p1 filtered
        r7 noupdates ss=replica <- p1
        r8 ss=replica <- p1
    "), @r"
    warning unfit-acknowledger r1: hold; acknowledger-not-promotable r1
    warning unfit-acknowledger r2: hold; acknowledger-not-promotable r2; downtimed r2
    warning unfit-acknowledger r3: hold; acknowledger-not-promotable r3; maintenance r3
    warning unfit-acknowledger r4: hold; acknowledger-not-promotable r4
    warning unfit-acknowledger r5: hold; acknowledger-not-promotable r5
    warning unfit-acknowledger r6: hold; acknowledger-not-promotable r6
    warning unfit-acknowledger r7: hold; acknowledger-not-promotable r7
    ");
    // Somebody else has to acknowledge as well.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source clients=3 wait_for=2
        r1 must_not ss=replica <- p1
        r2 ss=replica <- p1
        r3 ss=replica <- p1
    "), @"fine");
}

#[test]
fn a_replica_waits_for_nobody() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source
        r1 ss=both <- p1
    "), @"warning replica-waits-for-acknowledgements r1: hold; source-side-on r1");
    // An intermediate source with an acknowledging replica of its own.
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source
        r1 ss=both clients=1 <- p1
        r2 ss=replica <- r1
    "), @"fine");
}

#[test]
fn a_new_primary_was_not_told_to_wait() {
    insta::assert_snapshot!(verdict_of("
        cluster past=failover:succeeded:p0:p1:1m
        p0 ss=replica <- p1
        p1 primary wait_for=1
        r1 ss=replica <- p1
    "), @"warning primary-does-not-wait p1: hold; source-side-off p1");
}
