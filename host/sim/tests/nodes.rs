//! Three nodes on a shared backend: the invariants hold whichever node, and whichever part of the
//! backend, fails in the middle.

use baton_sim::{
    BackendKind, Fault, First, Hazards, Moment, Point, Scenario, Selection, Trap, explore, run,
};

fn story(first: First, backend: BackendKind, trap: Option<Trap>) -> Scenario {
    Scenario {
        seed: 7,
        replicas: 3,
        below: 1,
        nodes: 3,
        backend,
        first,
        trap,
        hazards: Hazards::default(),
    }
}

/// Strikes at the nth change of a server.
fn at_change(nth: u32, moment: Moment, fault: Fault) -> Trap {
    let point = Point::Change;
    Trap {
        point,
        nth,
        moment,
        fault,
    }
}

/// Runs a story and demands that no invariant was broken.
fn demand(scenario: &Scenario) {
    let outcome = run(scenario);
    assert!(outcome.violations.is_empty(), "{outcome}");
}

#[test]
fn each_kind_of_recovery_on_each_kind_of_backend() {
    for first in First::RECOVERIES {
        for backend in BackendKind::SHARED {
            let outcome = run(&story(first, backend, None));
            assert!(outcome.violations.is_empty(), "{outcome}");
            assert!(outcome.changes > 0, "nothing was done: {outcome}");
        }
    }
}

#[test]
fn another_node_finishes_what_a_killed_one_began() {
    for moment in [Moment::Before, Moment::After] {
        let trap = at_change(3, moment, Fault::KillNode);
        let outcome = run(&story(
            First::KillPrimary,
            BackendKind::Synchronous,
            Some(trap),
        ));
        assert!(outcome.violations.is_empty(), "{outcome}");
        assert!(
            outcome.recoveries.iter().any(|row| row.epoch.0 > 1),
            "the same node went on: {outcome}"
        );
    }
}

/// The successor of a node that was killed right after it opened a server for writes opened another
/// one: it went by what it had read before it led.
#[test]
fn whoever_takes_over_reads_what_the_dead_one_did() {
    for nth in [6, 7] {
        let trap = at_change(nth, Moment::Before, Fault::KillNode);
        demand(&story(
            First::KillPrimary,
            BackendKind::Synchronous,
            Some(trap),
        ));
    }
}

/// The leader dies when it has just opened the successor, or is about to, and that one answers
/// nobody for a while. It had a replica of its own, which acknowledged what it took when it went on
/// beside the one that was opened in its place.
#[test]
fn a_successor_that_falls_silent_with_its_leader_is_replaced_and_closed_when_it_returns() {
    for fault in [Fault::KillNodeHushServer, Fault::KillNodeFreezeServer] {
        for first in [First::KillPrimary, First::KillCoPrimary] {
            for moment in [Moment::Before, Moment::After] {
                let trap = at_change(4, moment, fault);
                demand(&story(first, BackendKind::Synchronous, Some(trap)));
            }
        }
    }
}

#[test]
fn a_frozen_leader_that_wakes_changes_nothing() {
    for nth in [1, 4, 5] {
        let trap = at_change(nth, Moment::Before, Fault::FreezeNode);
        demand(&story(First::KillPrimary, BackendKind::Galera, Some(trap)));
    }
}

/// Some of what `cargo xtask sim explore` strikes at.
fn sample(first: First) {
    let selection = Selection {
        firsts: vec![first],
        every: 83,
        offset: 5,
        ..Selection::whole(7)
    };
    let found = explore(&selection, &mut |_| {});
    let broken: Vec<String> = found.broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(found.points > 3, "{} points", found.points);
}

#[test]
fn faults_in_a_failover() {
    sample(First::KillPrimary);
}

#[test]
fn faults_in_a_failover_of_a_co_primary() {
    sample(First::KillCoPrimary);
}

#[test]
fn faults_in_a_failover_of_an_intermediate_source() {
    sample(First::KillIntermediate);
}

#[test]
fn faults_in_a_switchover() {
    sample(First::Switchover);
}

#[test]
fn faults_in_a_rejoin() {
    sample(First::Return);
}

#[test]
fn a_line_that_the_backend_forgot_does_not_open_a_second_server() {
    for (first, backend, nth) in [
        (First::KillPrimary, BackendKind::Pair, 6),
        (First::Switchover, BackendKind::Galera, 7),
    ] {
        for moment in [Moment::Before, Moment::After] {
            let trap = at_change(nth, moment, Fault::KillBoth);
            demand(&story(first, backend, Some(trap)));
        }
    }
}

/// The leader was cut off with the primary and one replica while the others failed over. When the
/// cut healed, it saw the store before it heard its peers and took the lease back, took the primary
/// it knew for promoted anew, and both stayed writable; and once that was mended, the old primary
/// was left writable for a minute, because receivers that had been pointed elsewhere still counted
/// as severed.
#[test]
fn a_leader_that_was_cut_off_lets_the_others_lead_and_its_primary_is_fenced() {
    let outcome = run(&Scenario::of_several(106));
    assert!(outcome.violations.is_empty(), "{outcome}");
    let takers: Vec<&String> = outcome
        .tale
        .iter()
        .filter(|line| line.ends_with("is given the lease"))
        .collect();
    assert_eq!(takers.len(), 2, "{takers:?}");
    assert!(outcome.lasted_ms < 40_000, "{} ms", outcome.lasted_ms);
}

/// A replaced co-primary came back writable and replicated from its successor as before, so it
/// passed for a second writer that somebody wanted.
#[test]
fn a_replaced_co_primary_that_comes_back_writable_is_fenced() {
    for seed in [142, 156] {
        demand(&Scenario::of_several(seed));
    }
}

/// A leader that was frozen for less time than the others take to replace it gave its failover up
/// when it woke, and began another one ten seconds later.
#[test]
fn a_leader_that_nobody_replaced_while_it_was_frozen_goes_on() {
    for seed in [2, 3, 9, 11] {
        let trap = at_change(3, Moment::Before, Fault::FreezeNode);
        let outcome = run(&Scenario {
            seed,
            ..story(First::KillPrimary, BackendKind::Synchronous, Some(trap))
        });
        assert!(outcome.violations.is_empty(), "{outcome}");
        assert!(outcome.gap_ms < 5_000, "{outcome}");
    }
}

/// The node that led ended between stopping a receiver, to find out whether the primary hangs, and
/// starting it. The only replica told nothing more, for ever, and nobody started it when the
/// primary was back.
#[test]
fn a_receiver_that_a_dead_node_left_stopped_is_started_by_the_next_one() {
    for first in [First::FreezePrimary, First::CutPrimary] {
        for fault in [Fault::KillNode, Fault::KillBoth] {
            let trap = at_change(1, Moment::After, fault);
            let outcome = run(&Scenario {
                replicas: 1,
                below: 0,
                ..story(first, BackendKind::Synchronous, Some(trap))
            });
            assert!(outcome.violations.is_empty(), "{outcome}");
            let halted =
                |line: &String| line.contains("reconnect-receiver") && line.contains("NotReached");
            assert!(
                outcome.tale.iter().any(halted),
                "no receiver was halted: {outcome}"
            );
        }
    }
}

/// Its old primary, a replica by now, was being read when it was to be started again, and that was
/// not tried a second time.
#[test]
fn a_receiver_that_was_ended_to_ask_after_a_frozen_source_is_started_again() {
    for nth in 18..=22 {
        let trap = Trap {
            point: Point::Journal,
            nth,
            moment: Moment::Before,
            fault: Fault::KillNodeFreezeServer,
        };
        demand(&story(
            First::Switchover,
            BackendKind::Synchronous,
            Some(trap),
        ));
    }
}

/// An asynchronous pair forgot a switchover together with the process that drove it. That process
/// finds it on its disk when it is started again and hands it over; nobody looked for it then, and
/// the replicas stayed stopped.
#[test]
fn what_a_pair_forgot_is_ended_when_the_process_that_knew_it_is_back() {
    for (point, nth) in [(Point::Change, 2), (Point::Journal, 5), (Point::Journal, 8)] {
        let trap = Trap {
            point,
            nth,
            moment: Moment::After,
            fault: Fault::KillBoth,
        };
        demand(&story(First::Switchover, BackendKind::Pair, Some(trap)));
    }
}

/// A leader that reached only a cut-off node of the backend failed over, wrote so to its own disk,
/// and was frozen. Its successor never heard that there is a new primary, and both took writes.
#[test]
fn what_an_earlier_leader_hands_over_counts_for_the_present_one() {
    demand(&Scenario::of_several(1498));
}

/// The successor ended at the very step that opens writes, and was started again a moment later.
/// Nobody waited for it to say whether it took writes, and the old primary stayed closed for a
/// person to look at.
#[test]
fn a_switchover_waits_for_a_successor_that_was_lost_as_it_was_opened() {
    demand(&Scenario::of_several(1241));
}

/// Two servers and the lease are two votes and a half. Who succeeds a leader that died together
/// with the primary has one, and waits until the dead one could not count its lease as half a vote
/// any more: half its term and a margin, less what had passed since its last renewal.
#[test]
fn two_servers_without_leader_and_primary_wait_for_half_a_term() {
    for backend in [BackendKind::Synchronous, BackendKind::Galera] {
        let trap = at_change(1, Moment::Before, Fault::KillNode);
        let outcome = run(&Scenario {
            replicas: 1,
            below: 0,
            ..story(First::KillPrimary, backend, Some(trap))
        });
        assert!(outcome.violations.is_empty(), "{outcome}");
        assert!(outcome.gap_ms < 8_000, "{outcome}");
    }
}

/// The node that acted was cut off in a switchover, and still reached the servers: it ended the
/// session with which its successor undid the switchover, and that was given up for it.
#[test]
fn a_switchover_is_undone_although_the_old_leader_ends_sessions() {
    for moment in [Moment::Before, Moment::After] {
        let trap = at_change(5, moment, Fault::IsolateNode);
        demand(&story(
            First::Switchover,
            BackendKind::Synchronous,
            Some(trap),
        ));
    }
}
