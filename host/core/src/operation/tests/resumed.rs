//! Going on with what a process left open when it ended.

use super::play::{Play, id, order};
use crate::model::RecoveryKind;
use crate::operation::{LeftOpen, Next, Reading};

fn left(successor: Option<&str>, committed: bool) -> LeftOpen {
    LeftOpen {
        successor: successor.map(id),
        committed,
    }
}

/// What a resumed operation does first.
fn first(play: &Play) -> &'static str {
    match play.next() {
        Next::Run(plan) if plan.fence_waiver.is_some() && plan.successor.is_some() => "goes on",
        Next::Run(plan) if plan.revoked_after.is_some() => "secures",
        Next::Run(_) => "undoes",
        Next::Rank(_) => "ranks",
        Next::Read { .. } => "asks",
        Next::Wait(_) => "waits",
        Next::End(_) => "ends",
    }
}

/// A failover of which r1 is open already.
pub(super) fn resumed_failover() -> Play {
    let mut play = Play::resumed(
        order(RecoveryKind::Failover),
        left(Some("r1"), true),
        "p1 primary silent refused 9s
         r1 rw
         r2 <- p1 io=stopped",
    );
    play.completed();
    play
}

#[test]
fn a_resumed_failover_in_full() {
    insta::assert_snapshot!(resumed_failover().text(), @r"
    begun
        successor: r1
      run
        1. record r1 as primary
        2. send clients to r1
        3. forget-replication on r1
        4. confirm the locks on 1 servers
        5. point r2 at r1:3306
        6. read back that r2 replicates from r1
    the plan was carried out
      end: succeeded
    ");
}

#[test]
fn what_the_servers_show_decides() {
    let lost = "p1 primary silent refused 9s\nr1 <- p1 io=stopped\nr2 <- p1 io=stopped";
    let back = "p1 primary\nr1 <- p1 io=stopped\nr2 <- p1 io=stopped";
    let open = "p1 primary silent refused 9s\nr1 rw\nr2 <- p1 io=stopped";
    let failover = RecoveryKind::Failover;
    let switchover = RecoveryKind::Switchover;
    for (what, kind, left, sketch, expected) in [
        (
            "nobody was opened",
            failover,
            left(None, false),
            lost,
            "secures",
        ),
        (
            "the old primary is back",
            failover,
            left(None, false),
            back,
            "undoes",
        ),
        (
            "the recorded one is open",
            failover,
            left(Some("r1"), true),
            open,
            "goes on",
        ),
        (
            "the line was lost",
            failover,
            left(None, false),
            open,
            "goes on",
        ),
        (
            "sent, not seen",
            failover,
            left(Some("r1"), true),
            lost,
            "asks",
        ),
        (
            "sent, not seen",
            switchover,
            left(Some("r1"), true),
            back,
            "asks",
        ),
        (
            "not sent",
            switchover,
            left(Some("r1"), false),
            back,
            "undoes",
        ),
    ] {
        let play = Play::resumed(order(kind), left, sketch);
        assert_eq!(first(&play), expected, "{what}: {}", play.text());
    }
}

#[test]
fn whoever_was_not_opened_after_all_lets_it_begin_again() {
    let lost = "p1 primary silent refused 9s\nr1 <- p1 io=stopped\nr2 <- p1 io=stopped";
    let mut play = Play::resumed(order(RecoveryKind::Failover), left(Some("r1"), true), lost);
    play.read(Reading::Answered { writable: false });
    assert_eq!(first(&play), "secures", "{}", play.text());
    assert!(play.text().contains("not committed"));
}
