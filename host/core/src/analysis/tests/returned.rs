//! What the record of past recoveries adds to what is known about a former primary.

use super::{report_of, verdict_of};
use crate::model::RecoveryKind;
use crate::policy::Suggestion;

/// What is suggested about `p0` as a former primary.
fn about_p0(text: &str) -> Option<Suggestion> {
    let report = report_of(text);
    let mut findings = report.findings.iter();
    findings
        .find(|finding| {
            finding.recovery == Some(RecoveryKind::Rejoin) && finding.server.as_str() == "p0"
        })
        .map(|finding| finding.suggestion)
}

#[test]
fn a_replaced_co_primary_that_takes_writes_and_still_replicates_is_fenced() {
    insta::assert_snapshot!(verdict_of("
        cluster past=co-primary-failover:succeeded:p0:p1:1m
        p0 rw <- p1
        p1 primary
        r1 <- p1
    "), @r"
    CRITICAL old-primary-returned p0: act rejoin; replaced-on-record p0 p1
    warning replica-writable p0: hold; writable p0
    ");
}

#[test]
fn a_replaced_co_primary_of_a_standing_pair_is_fenced() {
    let text = "
        cluster past=co-primary-failover:succeeded:p0:p1:1m
        p0 rw <- p1
        p1 primary <- p0
        r1 <- p1
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Act));
}

#[test]
fn a_replaced_primary_is_fenced_although_as_many_follow_it_after_a_partition() {
    let text = "
        p0 rw
        p1 primary
        r0 <- p0
        r1 <- p1
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Hold));
    let recorded = format!("cluster past=failover:succeeded:p0:p1:1m\n{text}");
    assert_eq!(about_p0(&recorded), Some(Suggestion::Act));
}

#[test]
fn a_chain_of_recoveries_that_ends_at_the_primary_replaced_all_before() {
    let text = "
        cluster past=switchover:succeeded:p2:p1:1m past=failover:succeeded:p0:p2:1h
        p0 rw
        p1 primary
        p2 ro <- p1
        r0 <- p0
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Act));
}

/// It died before it could follow: it is proven to be replaced as one that was lost is. One that
/// followed then is not: who makes it a primary again later is a person.
#[test]
fn an_old_primary_that_died_in_the_switchover_is_fenced() {
    let text = |left| {
        format!(
            "cluster past=switchover:succeeded:p0:p1:1m{left}
             p0 rw
             p1 primary
             r0 <- p0"
        )
    };
    assert_eq!(about_p0(&text(":left-behind")), Some(Suggestion::Act));
    assert_eq!(about_p0(&text("")), Some(Suggestion::Hold));
}

#[test]
fn two_that_were_replaced_one_after_the_other_and_follow_each_other_are_taken_back() {
    let text = "
        cluster past=failover:succeeded:p2:p1:1m past=failover:succeeded:p0:p2:2m
        p0 ro <- p2
        p2 ro <- p0
        p1 primary
        r1 <- p1
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Act));
    // It was taken back by somebody already.
    let below = text.replace("p0 ro <- p2", "p0 ro <- p1");
    assert_eq!(about_p0(&below), None);
}

/// No record, or none that is the last word: `p0` is a co-primary that takes writes, as somebody
/// wanted it.
#[test]
fn a_co_primary_that_no_recovery_replaced_last_is_not_fenced() {
    let pair = "
        p0 rw <- p1
        p1 primary <- p0
        r1 <- p1
    ";
    let records = [
        // Nothing at all.
        "",
        // Not reached, given up.
        "past=co-primary-failover:failed:p0:p1:1m",
        "past=co-primary-failover:unwound:p0:p1:1m",
        // Taken back since; later somebody made it writable.
        "past=rejoin:succeeded:p0:p1:1m past=co-primary-failover:succeeded:p0:p1:1h",
        // Fenced by a switchover, which saw it follow.
        "past=switchover:succeeded:p0:p1:1m",
        // It became the primary after that.
        "past=failover:succeeded:p1:p0:1m past=failover:succeeded:p0:p1:1h",
        // The other one was promoted by somebody else after that.
        "past=co-primary-failover:succeeded:p0:r1:1m",
        // It was about another server.
        "past=failover:succeeded:r1:p1:1m",
    ];
    for record in records {
        let text = format!("cluster {record}\n{pair}");
        assert_eq!(about_p0(&text), None, "{record}");
    }
}

#[test]
fn a_replaced_primary_whose_taking_back_failed_is_fenced_again() {
    let text = "
        cluster past=rejoin:failed:p0::1m past=co-primary-failover:succeeded:p0:p1:1h
        p0 rw <- p1
        p1 primary <- p0
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Act));
}

#[test]
fn nobody_is_fenced_on_record_for_a_primary_that_somebody_closed() {
    let record = "cluster past=co-primary-failover:succeeded:p0:p1:1m\n";
    let closed = format!("{record} p0 rw <- p1\n p1 primary ro\n r1 <- p1");
    assert_eq!(about_p0(&closed), Some(Suggestion::Hold));
    // What the successor took is there only, or with its replicas: nobody else takes writes
    // meanwhile.
    let restarted = closed.replace("ro\n", "ro restarted\n");
    assert_eq!(about_p0(&restarted), Some(Suggestion::Act));
    let silent = closed.replace("primary ro", "primary silent");
    assert_eq!(about_p0(&silent), Some(Suggestion::Act));
}

/// Who is set aside was closed by Baton, however long ago. A person takes it out of that state
/// first.
#[test]
fn one_that_is_set_aside_and_takes_writes_is_closed_without_a_record() {
    let text = "p0 rw quarantined\np1 primary\nr1 <- p1";
    assert_eq!(about_p0(text), Some(Suggestion::Act));
    let followed = format!("{text}\nr0 <- p0");
    assert_eq!(about_p0(&followed), Some(Suggestion::Hold));
}

/// It was fenced since, so whoever made it writable and let others follow it did that by hand.
#[test]
fn one_that_was_set_aside_and_has_followers_now_is_not_fenced() {
    let text = "
        cluster past=rejoin:failed:p0::1m past=failover:succeeded:p0:p1:1h
        p0 rw quarantined
        p1 primary
        r0 <- p0
        r1 <- p1
    ";
    assert_eq!(about_p0(text), Some(Suggestion::Hold));
}

#[test]
fn a_replica_that_was_a_primary_once_is_no_finding() {
    insta::assert_snapshot!(verdict_of("
        cluster past=failover:succeeded:p0:p1:1h
        p0 ro <- p1
        p1 primary
    "), @"fine");
}
