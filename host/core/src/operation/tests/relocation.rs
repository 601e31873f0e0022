//! Replicas of a dead intermediate source.

use super::play::{Play, id, order};
use crate::model::RecoveryKind;
use crate::operation::{Event, LeftOpen, Next, Order, PlanEnd};

fn below(server: &str) -> Order {
    Order {
        subject: id(server),
        ..order(RecoveryKind::IntermediateFailover)
    }
}

const DEAD: &str = "
    p1 primary
    r1 <- p1
    m1 silent refused 2s <- p1
    c1 <- m1 io=connecting
    c2 <- m1 io=connecting";

#[test]
fn one_destination_after_the_other() {
    let mut play = Play::new(below("m1"), DEAD);
    play.ranked(&["r1"]);
    play.happens(Event::Ran(PlanEnd::Completed { tolerated: true }));
    play.completed();
    insta::assert_snapshot!(play.text(), @r"
    begun
      rank p1, r1
    the policy answered
        note: test ranks r1: r1 is near.
        successor: r1
      run
        1. confirm the locks on 2 servers
        2. point c1 at r1:3306
        3. read back that c1 replicates from r1
        4. point c2 at r1:3306
        5. read back that c2 replicates from r1
    some steps failed
        successor: p1
      run
        1. confirm the locks on 2 servers
        2. point c1 at p1:3306
        3. read back that c1 replicates from p1
        4. point c2 at p1:3306
        5. read back that c2 replicates from p1
    the plan was carried out
      end: succeeded
    ");
}

#[test]
fn nothing_left_to_move_is_a_success() {
    let moved = "p1 primary\nr1 <- p1\nm1 silent refused 2s <- p1\nc1 <- r1";
    let play = Play::resumed(below("m1"), LeftOpen::default(), moved);
    assert!(matches!(play.next(), Next::End(end) if end.outcome.word() == "succeeded"));
}
