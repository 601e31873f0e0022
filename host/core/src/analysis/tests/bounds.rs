//! Whom a cluster's recoveries may touch: its own servers, proven.

use super::{report_of, verdict_of};
use crate::analysis::Code;
use crate::model::RecoveryKind;
use crate::policy::Suggestion;

/// What is suggested about `server`, by kind of recovery.
fn suggested(text: &str, server: &str, kind: RecoveryKind) -> Option<Suggestion> {
    let report = report_of(text);
    let mut findings = report.findings.iter();
    findings
        .find(|finding| finding.recovery == Some(kind) && finding.server.as_str() == server)
        .map(|finding| finding.suggestion)
}

fn is_named(text: &str, code: Code) -> bool {
    let report = report_of(text);
    report.findings.iter().any(|finding| finding.code == code)
}

/// Every state of the channel, and every fate of the servers of this cluster.
#[test]
fn the_source_of_another_cluster_keeps_its_clients() {
    for channel in [
        "",
        "io=stopped",
        "io=stopped sql=stopped",
        "io=connecting",
        "io=stopped:1236",
    ] {
        for (p1, m1) in [
            ("primary", "m1 <- p1@one"),
            ("primary ro", "m1 <- p1@one"),
            ("primary silent", "m1 <- p1@one io=connecting"),
            ("primary", "m1 silent <- p1@one"),
        ] {
            let text = format!("p1 {p1}\np2 rw\n{m1} <- p2@two {channel}\nr1 <- p1 io=connecting");
            let asked = suggested(&text, "p2", RecoveryKind::Rejoin);
            assert_ne!(asked, Some(Suggestion::Act), "{text}");
            assert!(!is_named(&text, Code::SplitBrain), "{text}");
        }
    }
}

#[test]
fn a_writer_of_another_cluster_does_not_stop_a_failover() {
    insta::assert_snapshot!(verdict_of("
        p1 primary silent
        p2 rw
        m1 <- p1@one io=connecting <- p2@two
        r1 <- p1 io=connecting
    "), @"CRITICAL primary-dead p1: act failover; does-not-answer p1; receiver-lost-it m1 r1");
}

/// What two clusters share was promoted in this one: it goes on reading from the other one.
#[test]
fn a_shared_replica_that_was_promoted_leaves_the_other_cluster_alone() {
    insta::assert_snapshot!(verdict_of("
        cluster past=failover:succeeded:p1:m1:1m
        p1 silent
        p2 rw foreign=9
        m1 primary <- p2@two
        r1 <- m1
    "), @r"
    warning server-silent p1: hold; does-not-answer p1
    notice server-detached p2: hold rejoin; outside-the-topology p2; not-proven p2; has-followers m1; one-of-several-sources m1
    ");
}

#[test]
fn a_primary_that_imports_has_not_moved_and_is_not_replaced_by_itself() {
    for import in ["p2 rw foreign=9", ""] {
        let alive = format!("p1 primary <- p2@import\n{import}\nr1 <- p1");
        assert!(!is_named(&alive, Code::PrimaryMoved), "{alive}");
        let dead = format!("p1 primary silent <- p2@import\n{import}\nr1 <- p1 io=connecting");
        let asked = suggested(&dead, "p1", RecoveryKind::Failover);
        assert_eq!(asked, Some(Suggestion::Hold), "{dead}");
        let words = report_of(&dead)
            .findings
            .into_iter()
            .flat_map(|finding| finding.evidence);
        let mut words = words.map(|evidence| evidence.code);
        assert!(words.any(|word| word == "reads-from-elsewhere"), "{dead}");
        let shared = dead.replace("r1 <- p1", "r1 <- p2@import <- p1@main");
        let asked = suggested(&shared, "p1", RecoveryKind::Failover);
        assert_eq!(asked, Some(Suggestion::Act), "{shared}");
        let stopped = dead.replace("@import\n", "@import io=stopped sql=stopped\n");
        let asked = suggested(&stopped, "p1", RecoveryKind::Failover);
        assert_eq!(asked, Some(Suggestion::Act), "{stopped}");
    }
}

/// A person promotes a replica by hand, or rebuilds it: nothing is done, and it is named.
#[test]
fn a_replica_that_a_person_opens_or_resets_is_left_alone() {
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 rw
        r2 <- p1
    "), @r"
    CRITICAL split-brain p1: hold; also-writable r1
    warning somebody-promotes r1: hold rejoin; outside-the-topology r1; not-proven r1
    ");
    insta::assert_snapshot!(verdict_of("
        p1 primary
        r1 ro missing=1000
        r2 <- p1
    "), @"notice server-detached r1: hold rejoin; outside-the-topology r1; not-proven r1");
    // It was a primary once, and was taken back.
    let taken_back = "cluster past=rejoin:succeeded:r1:p1:1h past=failover:succeeded:r1:p1:2h
        p1 primary
        r1 rw
        r2 <- p1";
    let asked = suggested(taken_back, "r1", RecoveryKind::Rejoin);
    assert_eq!(asked, Some(Suggestion::Hold));
}

#[test]
fn it_is_adopted_once_the_primary_is_closed() {
    let promoted = "p1 primary ro closed\nr1 rw\nr2 <- p1";
    assert!(is_named(promoted, Code::PrimaryMoved));
    // A restart closed it, or it has more: nobody wanted that.
    assert!(!is_named(
        "p1 primary ro restarted\nr1 rw\nr2 <- p1",
        Code::PrimaryMoved
    ));
    assert!(!is_named(
        "p1 primary ro closed wrote=1001\nr1 rw\nr2 <- p1",
        Code::PrimaryMoved
    ));
    let two = "p1 primary ro closed\nr1 rw\nr2 rw";
    assert!(!is_named(two, Code::PrimaryMoved));
}

#[test]
fn a_history_that_ends_before_the_primarys_own_proves_that_it_was_replaced() {
    for flavor in ["", "mariadb"] {
        let text = format!("p0 rw {flavor}\np1 primary {flavor} wrote=5\nr1 {flavor} <- p1");
        let asked = suggested(&text, "p0", RecoveryKind::Rejoin);
        assert_eq!(asked, Some(Suggestion::Act), "{text}");
        for p0 in ["p0 rw errant=1", "p0 rw wrote=1005"] {
            let text = text.replace("p0 rw", p0);
            let asked = suggested(&text, "p0", RecoveryKind::Rejoin);
            assert_eq!(asked, Some(Suggestion::Hold), "{text}");
        }
    }
    insta::assert_snapshot!(verdict_of("
        p0 ro
        p1 primary wrote=5
        r1 <- p1
    "), @"warning old-primary-returned p0: act rejoin; outside-the-topology p0; older-history p0 p1");
    // The primary has written nothing yet; or it is a replica of the primary that wrote before.
    for text in [
        "p0 rw\np1 primary\nr1 <- p1",
        "p1 primary\np0 rw wrote=0\nr1 <- p1",
    ] {
        let asked = suggested(text, "p0", RecoveryKind::Rejoin);
        assert_eq!(asked, Some(Suggestion::Hold), "{text}");
    }
}

/// A failover whose successor died right after it was opened has failed, and has replaced the old
/// primary all the same.
#[test]
fn whoever_was_replaced_by_one_that_died_at_once_is_fenced() {
    for (outcome, expected) in [
        ("succeeded:p0:p1:1m", Some(Suggestion::Act)),
        ("failed:p0:p1:1m:promoted", Some(Suggestion::Act)),
        ("failed:p0:p1:1m", None),
    ] {
        let text = format!("cluster past=failover:{outcome}\np0 rw\np1 primary silent\nr1 <- p1");
        let asked = suggested(&text, "p0", RecoveryKind::Rejoin);
        assert_eq!(asked, expected, "{outcome}");
    }
}
