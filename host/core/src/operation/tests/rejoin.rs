//! Taking a server back, and opening the recorded primary again.

use super::play::{Play, id, order};
use crate::model::RecoveryKind;
use crate::operation::{Next, Order, Reading};

fn back(server: &str) -> Order {
    Order {
        subject: id(server),
        ..order(RecoveryKind::Rejoin)
    }
}

#[test]
fn a_returned_server_is_closed_compared_and_attached() {
    let mut play = Play::new(back("p0"), "p1 primary\np0 rw");
    play.look("p1 primary\np0 ro").completed().completed();
    insta::assert_snapshot!(play.text(), @r"
    begun
      run
        1. confirm the locks on 1 servers
        2. fence on p0
        3. read p0
        4. read p1
    the plan was carried out
        successor: p1
      run
        5. point p0 at p1:3306
        6. read back that p0 replicates from p1
    the plan was carried out
      end: succeeded
    ");
}

#[test]
fn one_with_transactions_of_its_own_is_set_aside() {
    let mut play = Play::new(back("p0"), "p1 primary\np0 rw errant=2");
    play.look("p1 primary\np0 ro errant=2").completed();
    insta::assert_snapshot!(play.text(), @r"
    begun
      run
        1. confirm the locks on 1 servers
        2. fence on p0
        3. read p0
        4. read p1
    the plan was carried out
        set aside: p0 with 00000000-0000-0000-0000-000000000102:1-2
        problem: p0 has 2 transactions that the primary lacks: 00000000-0000-0000-0000-000000000102:1-2
      end: failed
    ");
}

#[test]
fn nobody_is_attached_to_a_primary_that_does_not_serve() {
    let mut play = Play::new(back("p0"), "p1 primary\np0 rw");
    play.look("p1 primary silent 1s\np0 ro").completed();
    assert!(
        play.text().contains("does not take writes now"),
        "{}",
        play.text()
    );
    assert!(matches!(play.next(), Next::End(end) if end.outcome.word() == "failed"));
}

#[test]
fn the_recorded_primary_is_opened_again() {
    let closed = "cluster auto lease=7\np1 primary ro\nr1 <- p1\nr2 <- p1";
    let mut play = Play::new(order(RecoveryKind::Reopen), closed);
    play.completed()
        .perhaps_open()
        .read(Reading::Answered { writable: true });
    insta::assert_snapshot!(play.text(), @r"
    begun
        not committed
      run
        1. confirm the locks on 2 servers
        2. read r1
        3. read r2
        4. read p1
    the plan was carried out
        problem: Nobody saw how p1 was closed.
      end: failed
    the plan stopped: perhaps open
      end: failed
    it takes writes
      end: failed
    ");
}

#[test]
fn it_stays_closed_beside_another_writer() {
    let closed = "cluster auto lease=7\np1 primary ro\nr1 <- p1\nr2 <- p1";
    let mut play = Play::new(order(RecoveryKind::Reopen), closed);
    play.look("cluster auto lease=7\np1 primary ro\nr1 rw <- p1\nr2 <- p1")
        .completed();
    assert!(
        play.text().contains("problem: r1 takes writes."),
        "{}",
        play.text()
    );
    assert!(matches!(play.next(), Next::End(end) if end.outcome.word() == "failed"));
}
