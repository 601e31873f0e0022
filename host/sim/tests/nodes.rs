//! Three nodes on a shared backend: the invariants hold whichever node, and whichever part of the backend, fails in the middle.

use baton_sim::{BackendKind, Fault, First, Moment, Point, Scenario, Trap, run};

fn story(first: First, backend: BackendKind, trap: Option<Trap>) -> Scenario {
    Scenario {
        seed: 7,
        replicas: 3,
        below: 1,
        nodes: 3,
        backend,
        first,
        trap,
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
        let trap = Trap {
            point: Point::Change,
            nth: 3,
            moment,
            fault: Fault::KillNode,
        };
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

/// The successor of a node that was killed right after it opened a server for writes opened another one: it went by what it had read
/// before it led.
#[test]
fn whoever_takes_over_reads_what_the_dead_one_did() {
    for nth in [6, 7] {
        let trap = Trap {
            point: Point::Change,
            nth,
            moment: Moment::Before,
            fault: Fault::KillNode,
        };
        demand(&story(
            First::KillPrimary,
            BackendKind::Synchronous,
            Some(trap),
        ));
    }
}

#[test]
fn a_frozen_leader_that_wakes_changes_nothing() {
    for nth in [1, 4, 5] {
        let trap = Trap {
            point: Point::Change,
            nth,
            moment: Moment::Before,
            fault: Fault::FreezeNode,
        };
        demand(&story(First::KillPrimary, BackendKind::Galera, Some(trap)));
    }
}
