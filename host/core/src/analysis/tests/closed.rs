//! A cluster whose record and positions prove who should take writes is opened again; no other
//! server is, instead.

use super::{report_of, verdict_of};
use crate::analysis::Code;
use crate::model::RecoveryKind;
use crate::policy::Suggestion;

fn reopening(text: &str) -> Option<(Suggestion, Vec<&'static str>)> {
    let report = report_of(text);
    let mut findings = report.findings.iter();
    let found = findings.find(|finding| finding.recovery == Some(RecoveryKind::Reopen))?;
    let words = found.evidence.iter().map(|evidence| evidence.code);
    Some((found.suggestion, words.collect()))
}

#[test]
fn a_primary_that_was_merely_restarted_is_opened_again() {
    for text in [
        "p1 primary ro restarted\nr1 <- p1",
        "p1 primary ro restarted\nr1 silent <- p1",
        "p1 primary ro restarted <- r1\nr1 ro <- p1",
        "p1 primary ro restarted",
        // What a replica wrote itself is known to be errant, and no reason to do without a primary.
        "p1 primary ro restarted\nr1 errant=1 <- p1",
        "p1 primary ro restarted mariadb\nr1 errant=1 mariadb <- p1",
        "cluster past=failover:succeeded:p0:p1:1h\np0 silent rw\np1 primary ro restarted",
        // What a replaced server has beyond its successor was given up.
        "cluster past=failover:succeeded:p0:p1:1h\np0 ro ahead=9\np1 primary ro restarted",
        "cluster past=failover:succeeded:p0:p1:1h\np0 silent unread\np1 primary ro started",
    ] {
        let found = reopening(text).map(|(suggestion, _)| suggestion);
        assert_eq!(found, Some(Suggestion::Act), "{text}");
    }
    insta::assert_snapshot!(verdict_of("
        p1 primary ro restarted
        r1 <- p1
    "), @"CRITICAL no-writable-primary p1: act reopen; read-only p1; restarted-read-only p1");
}

#[test]
fn what_speaks_against_opening_it_again_is_said() {
    for (text, word) in [
        ("p1 primary ro closed\nr1 <- p1", "closed-by-hand"),
        ("p1 primary ro\nr1 <- p1", "closing-not-seen"),
        ("p1 primary ro started\nr1 <- p1", "closing-not-seen"),
        (
            "p1 primary ro restarted\nr1 ahead=3 <- p1",
            "others-have-more",
        ),
        (
            "cluster seen=1005\np1 primary ro restarted\nr1 silent <- p1",
            "lacks-what-was-seen",
        ),
        (
            "p1 primary ro restarted\nr1 unread silent",
            "member-not-seen",
        ),
        ("p1 primary ro restarted\nr1 rw silent", "member-not-seen"),
        (
            "p1 primary ro restarted quarantined\nr1 <- p1",
            "quarantined",
        ),
        (
            "p1 primary ro restarted <- ext\nr1 <- p1",
            "reads-from-elsewhere",
        ),
        ("p1 primary ro restarted downtime\nr1 <- p1", "downtimed"),
    ] {
        let (suggestion, words) = reopening(text).expect("a finding");
        assert_eq!(suggestion, Suggestion::Hold, "{text}");
        assert!(words.contains(&word), "{text}: {words:?}");
    }
    assert_eq!(reopening("p1 primary ro restarted\nr1 rw\nr2 <- p1"), None);
}

/// A died, B took writes, B died, A returns alone.
#[test]
fn the_successor_that_died_is_waited_for_by_name() {
    let record = "cluster past=failover:succeeded:a:b:1h";
    insta::assert_snapshot!(verdict_of(&format!("{record}
        a ro
        b primary silent
    ")), @r"
    CRITICAL primary-dead-without-replicas b: hold; does-not-answer b
    warning old-primary-returned a: hold rejoin; replaced-on-record a b; waits-for-successor b
    ");
    insta::assert_snapshot!(verdict_of(&format!("{record}
        a rw
        b primary silent
    ")), @r"
    CRITICAL primary-dead-without-replicas b: hold; does-not-answer b
    CRITICAL old-primary-returned a: act rejoin; replaced-on-record a b; waits-for-successor b
    ");
    // A person set it aside and gave it followers.
    let aside = format!("{record}\na rw quarantined\nb primary silent\nr1 <- a");
    let report = report_of(&aside);
    let about_a = |f: &&crate::analysis::Finding| f.code == Code::OldPrimaryReturned;
    let found = report.findings.iter().find(about_a).expect("a finding");
    assert_eq!(found.suggestion, Suggestion::Hold);
}

#[test]
fn a_replaced_server_is_closed_while_its_successor_is_away_or_comes_back_read_only() {
    let record = "cluster past=failover:succeeded:a:b:1h";
    for (b, followers, expected) in [
        ("silent", "", Some(Suggestion::Act)),
        ("silent", "\nr1 <- a", Some(Suggestion::Act)),
        ("authentication:1045", "", Some(Suggestion::Act)),
        ("ro restarted", "\nr1 <- a", Some(Suggestion::Act)),
        ("ro started", "", Some(Suggestion::Act)),
        ("ro closed", "", None),
        ("unprobed", "", None),
    ] {
        let text = format!("{record}\na rw\nb primary {b}{followers}");
        let report = report_of(&text);
        let mut findings = report.findings.iter();
        let found = findings.find(|f| f.recovery == Some(RecoveryKind::Rejoin));
        let acting = found
            .map(|f| f.suggestion)
            .filter(|s| *s == Suggestion::Act);
        assert_eq!(acting, expected, "{text}");
    }
}

/// Closed by Baton in a failover that came to nothing; a person had opened a replica before, and
/// clients went there.
#[test]
fn a_closed_primary_beside_a_replica_that_takes_writes_is_named() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ro
        r1 rw ahead=20 <- p1
        r2 <- p1
    "), @"
    CRITICAL no-writable-primary p1: hold reopen; writable r1
    warning replica-writable r1: hold; writable r1
    ");
}
