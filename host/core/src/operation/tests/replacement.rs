//! Failovers and switchovers.

use std::time::Duration;

use super::play::{Play, id, order};
use crate::model::RecoveryKind;
use crate::operation::{Event, Next, Order, Reading};

const LOST: &str = "
    p1 primary silent refused 2s
    r1 <- p1 io=connecting
    r2 <- p1 io=connecting";
const SECURED: &str = "
    p1 primary silent refused 2s
    r1 <- p1 io=stopped
    r2 missing=3 <- p1 io=stopped";
const ALIVE: &str = "
    p1 primary
    r1 <- p1
    r2 <- p1";

fn failover() -> Order {
    order(RecoveryKind::Failover)
}

/// A failover that has come to the opening of r1.
fn opening() -> Play {
    let mut play = Play::new(failover(), LOST);
    play.look(SECURED).completed().ranked(&["r1", "r2"]);
    play
}

pub(super) fn failover_in_full() -> Play {
    let mut play = opening();
    play.completed();
    play
}

/// A switchover that stops after p1 was closed and r2 was moved.
pub(super) fn undone_switchover() -> Play {
    let mut play = Play::new(order(RecoveryKind::Switchover), ALIVE);
    let midway = "p1 primary ro\nr1 <- p1\nr2 <- r1";
    play.ranked(&["r1", "r2"]).look(midway).stopped(None);
    play.completed();
    play
}

fn outcome(play: &Play) -> String {
    match play.next() {
        Next::End(end) => end.outcome.word().to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_failover_in_full() {
    insta::assert_snapshot!(failover_in_full().text(), @r"
    begun
      run
        1. confirm the locks on 2 servers
        2. stop-receivers on r1
        3. read r1
        4. stop-receivers on r2
        5. read r2
    the plan was carried out
      rank r1, r2
    the policy answered
        note: test ranks r1, r2: r1 is near.
        nobody is left behind
        note: r1 takes over; 1 replica follows
        successor: r1
      run
        6. wait until r1 has applied what it received
        7. arm the guard on r1 and confirm the locks on 1 servers
        8. open-writes on r1
        9. record r1 as primary
        10. send clients to r1
        11. forget-replication on r1
        12. point r2 at r1:3306
        13. read back that r2 replicates from r1
        14. read back that r1 is writable
    the plan was carried out
      end: succeeded
    ");
}

#[test]
fn a_successor_that_does_not_drain_gives_way_to_the_next() {
    let mut play = Play::new(failover(), LOST);
    play.look(&SECURED.replace(" missing=3", ""))
        .completed()
        .ranked(&["r1", "r2"]);
    play.stopped(Some("r1")).ranked(&["r2"]).completed();
    insta::assert_snapshot!(play.text(), @r"
    begun
      run
        1. confirm the locks on 2 servers
        2. stop-receivers on r1
        3. read r1
        4. stop-receivers on r2
        5. read r2
    the plan was carried out
      rank r1, r2
    the policy answered
        note: test ranks r1, r2: r1 is near.
        nobody is left behind
        note: r1 takes over; 1 replica follows
        successor: r1
      run
        6. wait until r1 has applied what it received
        7. arm the guard on r1 and confirm the locks on 1 servers
        8. open-writes on r1
        9. record r1 as primary
        10. send clients to r1
        11. forget-replication on r1
        12. point r2 at r1:3306
        13. read back that r2 replicates from r1
        14. read back that r1 is writable
    the plan stopped: r1 did not drain
        not committed
      rank r2
    the policy answered
        note: test ranks r2: r2 is near.
        nobody is left behind
        note: r2 takes over; 0 replicas follow
        successor: r2
      run
        15. wait until r2 has applied what it received
        16. arm the guard on r2 and confirm the locks on 1 servers
        17. open-writes on r2
        18. record r2 as primary
        19. send clients to r2
        20. forget-replication on r2
        21. point r1 at r2:3306
        22. read back that r1 replicates from r2
        23. read back that r2 is writable
    the plan was carried out
      end: succeeded
    ");
}

#[test]
fn a_failover_gives_up_after_three_successors() {
    let five = "
        p1 primary silent refused 2s
        r1 <- p1 io=stopped
        r2 <- p1 io=stopped
        r3 <- p1 io=stopped
        r4 <- p1 io=stopped";
    let mut play = Play::new(failover(), five);
    play.look(five).completed();
    for successor in ["r1", "r2", "r3"] {
        assert!(matches!(play.next(), Next::Rank(_)), "{successor}");
        play.ranked(&[successor]).stopped(None);
    }
    assert!(
        play.text()
            .contains("no successor could be promoted in 3 tries")
    );
    assert_eq!(outcome(&play), "failed", "{}", play.text());
}

#[test]
fn what_a_successor_says_decides_whether_it_was_opened() {
    for (reading, expected) in [
        (Reading::Answered { writable: true }, "route"),
        (Reading::Answered { writable: false }, "next"),
        (Reading::Silent, "replaced"),
        (Reading::Unreachable, "next"),
    ] {
        let mut play = opening();
        play.perhaps_open().read(reading);
        let found = match play.next() {
            Next::Run(plan) if plan.steps.len() > 3 => "route",
            Next::Run(_) => "replaced",
            Next::Rank(_) => "next",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{}", play.text());
    }
}

#[test]
fn a_silent_successor_is_recorded_and_replaced() {
    let mut play = opening();
    play.perhaps_open().read(Reading::Silent).completed();
    insta::assert_snapshot!(play.text(), @r"
    begun
      run
        1. confirm the locks on 2 servers
        2. stop-receivers on r1
        3. read r1
        4. stop-receivers on r2
        5. read r2
    the plan was carried out
      rank r1, r2
    the policy answered
        note: test ranks r1, r2: r1 is near.
        nobody is left behind
        note: r1 takes over; 1 replica follows
        successor: r1
      run
        6. wait until r1 has applied what it received
        7. arm the guard on r1 and confirm the locks on 1 servers
        8. open-writes on r1
        9. record r1 as primary
        10. send clients to r1
        11. forget-replication on r1
        12. point r2 at r1:3306
        13. read back that r2 replicates from r1
        14. read back that r1 is writable
    the plan stopped: perhaps open
      read r1
    it is silent
        problem: r1 may take writes, and does not answer: it is the primary, and is replaced
        successor: r1
      run
        15. record r1 as primary
        16. send clients to r1
    the plan was carried out
      end: succeeded, and r1 is replaced
    ");
}

#[test]
fn nobody_is_opened_beside_a_successor_that_may_take_writes() {
    let mut play = opening();
    play.perhaps_open().read(Reading::Unreachable);
    play.ranked(&["r2"]).stopped(None);
    assert!(
        play.text().contains("a person has to look"),
        "{}",
        play.text()
    );
    assert_eq!(outcome(&play), "failed");
}

#[test]
fn without_the_lease_nothing_more_is_done() {
    let mut play = opening();
    play.has_lease = false;
    play.stopped(None);
    assert_eq!(outcome(&play), "failed");
    let mut play = opening();
    play.has_lease = false;
    play.perhaps_open().read(Reading::Unreachable);
    assert_eq!(outcome(&play), "failed");
}

#[test]
fn an_event_that_answers_nothing_ends_an_operation() {
    let mut play = opening();
    play.happens(Event::Woke);
    assert_eq!(outcome(&play), "failed");
    play.happens(Event::Begun);
    assert_eq!(outcome(&play), "failed");
}

#[test]
fn a_switchover_that_is_undone() {
    insta::assert_snapshot!(undone_switchover().text(), @r"
    begun
      rank r1, r2
    the policy answered
        note: test ranks r1, r2: r1 is near.
        successor: r1
      run
        1. confirm the locks on 3 servers
        2. stop-replication on r2
        3. wait until r1 has applied all that r2 executed
        4. point r2 at r1:3306
        5. read back that r2 replicates from r1
        6. fence on p1
        7. wait until r1 has applied all that p1 executed
        8. forget-replication on r1
        9. read p1 again: r1 must have all that it executed
        10. arm the guard on r1 and confirm the locks on 2 servers
        11. open-writes on r1
        12. record r1 as primary
        13. send clients to r1
        14. compare the history of p1 with that of r1
        15. point p1 at r1:3306
        16. read back that p1 replicates from r1
        17. read back that r1 is writable
    the plan stopped
        not committed
        no successor
        no deadline any more
      run
        18. arm the guard on p1 and confirm the locks on 2 servers
        19. open-writes on p1
        20. start-replication on r1
        21. point r2 at p1:3306
    the plan was carried out
      end: unwound
    ");
}

#[test]
fn the_successor_of_a_living_primary_is_asked_for_half_a_minute() {
    let mut play = Play::new(order(RecoveryKind::Switchover), ALIVE);
    play.ranked(&["r1", "r2"]).perhaps_open();
    let mut asked = 0;
    while matches!(play.next(), Next::Read { .. }) {
        asked += 1;
        play.after(Duration::from_secs(2)).read(Reading::Silent);
        if matches!(play.next(), Next::Wait(_)) {
            play.after(Duration::from_millis(250)).happens(Event::Woke);
        }
    }
    assert_eq!(asked, 14);
    // Nobody but a person opens the old primary beside it.
    assert!(play.text().contains("p1 stays as it is"), "{}", play.text());
    assert_eq!(outcome(&play), "failed");
}

#[test]
fn a_switchover_is_undone_later_while_the_members_refuse() {
    let mut play = Play::new(order(RecoveryKind::Switchover), ALIVE);
    play.ranked(&["r1"]).stopped(None);
    let mut tries = 0;
    while let Next::Run(_) = play.next() {
        tries += 1;
        play.after(Duration::from_secs(1)).stopped(None);
        if matches!(play.next(), Next::Wait(_)) {
            play.happens(Event::Woke);
        }
    }
    assert_eq!(tries, 6);
    assert_eq!(outcome(&play), "running");
}

#[test]
fn a_named_successor_that_may_not_take_over_is_refused() {
    let requested = Some(id("r1"));
    let order = Order {
        requested,
        ..order(RecoveryKind::Switchover)
    };
    let play = Play::new(
        order,
        "
        p1 primary
        r1 quarantined <- p1
        r2 <- p1",
    );
    assert_eq!(outcome(&play), "failed", "{}", play.text());
    assert!(
        play.text().contains("problem: no switchover is possible"),
        "{}",
        play.text()
    );
}
