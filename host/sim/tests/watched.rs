//! Whole stories in which the real watch selects the database node that each Baton node uses, and
//! the simulated store follows it: the invariants hold whenever the node in use dies.

use baton_sim::{BackendKind, Fault, First, Hazards, Moment, Outcome, Point, Scenario, Trap, run};

/// A story of three nodes in which the database node in use dies at the nth line of a recovery.
fn story(first: First, backend: BackendKind, nth: Option<u32>) -> Outcome {
    let trap = nth.map(|nth| Trap {
        point: Point::Journal,
        nth,
        moment: Moment::After,
        fault: Fault::KillBackend,
    });
    run(&Scenario {
        seed: 7,
        replicas: 3,
        below: 1,
        nodes: 3,
        backend,
        first,
        trap,
        hazards: Hazards {
            watched: true,
            ..Hazards::default()
        },
    })
}

#[test]
fn each_kind_of_recovery_with_a_watched_backend() {
    for first in First::RECOVERIES {
        for backend in BackendKind::SHARED {
            let outcome = story(first, backend, None);
            assert!(outcome.violations.is_empty(), "{outcome}");
            assert!(outcome.changes > 0, "nothing was done: {outcome}");
        }
    }
}

/// The database node in use dies at any line of a failover.
fn dies_at_any_line(backend: BackendKind) {
    let lines = story(First::KillPrimary, backend, None).journaled;
    assert!(lines > 0);
    for nth in 1..=lines {
        let outcome = story(First::KillPrimary, backend, Some(nth));
        assert!(outcome.violations.is_empty(), "line {nth}: {outcome}");
    }
}

#[test]
fn a_synchronous_node_dies_at_any_line_of_a_failover() {
    dies_at_any_line(BackendKind::Synchronous);
}

#[test]
fn a_galera_node_dies_at_any_line_of_a_failover() {
    dies_at_any_line(BackendKind::Galera);
}

#[test]
fn a_node_of_a_pair_dies_at_any_line_of_a_failover() {
    dies_at_any_line(BackendKind::Pair);
}

#[test]
fn a_watched_story_repeats() {
    let tale = || story(First::KillPrimary, BackendKind::Pair, Some(3)).tale;
    assert_eq!(tale(), tale());
}
