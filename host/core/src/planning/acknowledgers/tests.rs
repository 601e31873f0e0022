use std::collections::BTreeSet;

use super::{Acknowledgers, Waiting};
use crate::ids::ServerId;
use crate::model::Risk;
use crate::sketch;
use crate::time::Timestamp;

/// Who could acknowledge, and who may hold what nobody else has; before anything was revoked.
fn counted(text: &str) -> (Vec<String>, Vec<String>) {
    counted_after(text, None)
}

fn counted_after(text: &str, revoked_after: Option<Timestamp>) -> (Vec<String>, Vec<String>) {
    let snapshot = sketch::snapshot(text);
    let found = Acknowledgers::of(&snapshot, &ServerId::new("p1"), revoked_after);
    let names = |set: BTreeSet<ServerId>| set.iter().map(ToString::to_string).collect();
    (names(found.could), names(found.may_hold))
}

const NOBODY: (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());

/// `{Baton, A} | {P, B, C, D}`: the other side goes on acknowledging.
#[test]
fn acknowledgers_beside_an_isolated_primary_are_counted() {
    let (could, may_hold) = counted(
        "p1 primary silent timeout-connect 2s ss=source clients=4
         a <- p1 ss=replica
         b silent timeout-connect 2s <- p1 ss=replica
         c silent timeout-connect 2s <- p1 ss=replica
         d silent timeout-connect 2s <- p1 ss=replica",
    );
    assert_eq!(could, ["b", "c", "d"]);
    assert_eq!(may_hold, ["b", "c", "d"]);
}

#[test]
fn a_process_that_is_gone_counts_for_loss_only() {
    for primary in ["silent timeout-connect", "silent refused"] {
        let (could, may_hold) = counted(&format!(
            "p1 primary {primary} 2s ss=source
             r1 silent refused 2s <- p1 ss=replica
             r2 <- p1"
        ));
        assert_eq!(could, Vec::<String>::new(), "{primary}");
        assert_eq!(may_hold, ["r1"], "{primary}");
    }
}

/// MariaDB whose relay log has no space. Others have all that the primary had committed since it
/// stands still; if not, or if it was merely silent at first, it may hold more.
#[test]
fn a_receiver_that_waits_for_space_holds_nothing_new() {
    for (primary, r1, r2, expected) in [
        ("refused 2s", "receiver-waits-for-space 10s", "", NOBODY),
        (
            "refused 2s",
            "receiver-waits-for-space 1s",
            "",
            held("", "r1"),
        ),
        (
            "refused 2s",
            "receiver-waits-for-space 10s",
            "missing=1",
            held("", "r1"),
        ),
        ("refused 2s", "timeout 10s", "", held("", "r1")),
        // There may be space, and the primary lives.
        (
            "timeout-connect 2s",
            "receiver-waits-for-space 10s",
            "",
            held("r1", ""),
        ),
    ] {
        let found = counted(&format!(
            "p1 primary silent {primary} ss=source clients=2
             r1 partial {r1} <- p1 ss=replica
             r2 {r2} <- p1 ss=replica io=connecting"
        ));
        assert_eq!(found, expected, "{primary}, {r1}, {r2}");
    }
}

fn held(could: &str, may_hold: &str) -> (Vec<String>, Vec<String>) {
    let names = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    (names(could), names(may_hold))
}

/// To a process that has ended nobody acknowledges any more, but a silent replica may hold what it
/// acknowledged before.
#[test]
fn nobody_acknowledges_to_a_process_that_is_gone() {
    let (could, may_hold) = counted(
        "p1 primary silent refused 2s ss=source
         r1 silent timeout-connect 2s <- p1 ss=replica
         r2 <- p1 ss=replica io=connecting",
    );
    assert_eq!(could, Vec::<String>::new());
    assert_eq!(may_hold, ["r1"]);
}

#[test]
fn who_was_no_acknowledger_at_the_loss_counts_for_neither() {
    for replica in [
        // It never was to acknowledge, or had been away for a while when the primary was lost.
        "r1 silent refused 2s <- p1 wait_for=1",
        "r1 silent refused 1m <- p1 ss=replica",
        "r1 silent timeout-connect 2s <- p1 ss=replica io=stopped",
    ] {
        let found = counted(&format!(
            "p1 primary silent timeout-connect 2s ss=source
             {replica}
             r2 <- p1 ss=replica"
        ));
        assert_eq!(found, NOBODY, "{replica}");
    }
}

/// Silent to us for a long time, and the primary had one acknowledger more than those that we saw.
#[test]
fn one_that_only_we_do_not_hear_counts() {
    let (could, _) = counted(
        "p1 primary silent timeout-connect 2s ss=source clients=2
         r1 silent timeout-connect 1m <- p1 ss=replica
         r2 <- p1 ss=replica",
    );
    assert_eq!(could, ["r1"]);
}

#[test]
fn a_receiver_that_retries_is_not_cut_off() {
    let revoked = sketch::NOW.since(Timestamp::from_millis(1000));
    let revoked = Some(Timestamp::default().plus(revoked));
    for (replica, cut) in [
        ("io=connecting acked=3s", false),
        ("io=running acked=3s", false),
        ("io=stopped acked=3s", true),
        ("io=running acked=3s severed=500ms", true),
        ("io=running acked=3s severed=5s", false),
    ] {
        let (could, may_hold) = counted_after(
            &format!(
                "p1 primary silent timeout-connect 2s ss=source
                 r1 <- p1 ss=replica {replica}"
            ),
            revoked,
        );
        assert_eq!(could.is_empty(), cut, "{replica}");
        assert!(may_hold.is_empty(), "it was read: {replica}");
    }
}

/// Severed, and dead before it was read: nothing more reaches it, and what it holds is not known.
#[test]
fn one_that_died_after_it_was_severed_may_hold() {
    let revoked = sketch::NOW.since(Timestamp::from_millis(1000));
    let (could, may_hold) = counted_after(
        "p1 primary silent timeout-connect 2s ss=source
         r1 silent timeout-connect 200ms read=2s <- p1 ss=replica severed=500ms",
        Some(Timestamp::default().plus(revoked)),
    );
    assert_eq!((could.len(), may_hold.len()), (0, 1));
}

#[test]
fn what_waits_and_what_may_be_risked_decide() {
    for (primary, risk, waiting, objections) in [
        ("ss=source", Risk::Usual, Waiting::Always, 2),
        ("ss=source", Risk::Acknowledged, Waiting::Always, 0),
        ("ss=fallback", Risk::Usual, Waiting::No, 0),
        ("", Risk::Usual, Waiting::No, 0),
        ("ss=source wait_for=2", Risk::Usual, Waiting::Always, 0),
    ] {
        let snapshot = sketch::snapshot(&format!(
            "p1 primary silent timeout-connect 2s {primary}
             r1 silent timeout-connect 2s <- p1 ss=replica
             r2 <- p1 ss=replica"
        ));
        let found = Acknowledgers::of(&snapshot, &ServerId::new("p1"), None);
        assert_eq!(found.waiting, waiting, "{primary}");
        assert_eq!(
            found.objections(risk).len(),
            objections,
            "{primary} {risk:?}"
        );
    }
}

/// r1 ended, the primary went on and was read, and r2 has what it had by then: what came later, r1
/// did not acknowledge.
#[test]
fn one_that_ended_before_a_reading_of_the_primary_holds_nothing_alone() {
    for (read, r2, held) in [
        ("read=2s", "", false),
        ("read=4s", "", true),
        ("read=2s", "missing=3", true),
    ] {
        let (_, may_hold) = counted(&format!(
            "p1 primary silent refused 1s ss=source {read}
             r1 silent refused 3s read=4s <- p1 ss=replica
             r2 {r2} <- p1 io=connecting ss=replica acked=2s"
        ));
        assert_eq!(!may_hold.is_empty(), held, "{read} {r2}");
    }
}

/// A node that began to watch after the primary had died knows no reading of it, nor of a replica
/// that is away.
#[test]
fn what_was_never_read_is_unknown_and_counts() {
    let (_, may_hold) = counted(
        "p1 primary unread silent refused 2s
         r1 unread silent refused 2s
         r2 <- p1 ss=replica io=connecting",
    );
    assert_eq!(may_hold, ["r1"]);
}
