//! Every fault at every point of every kind of recovery, on every kind of backend.

use crate::backend::BackendKind;
use crate::faults::{Fault, Moment, Point, Trap};
use crate::hazards::Hazards;
use crate::scenario::{First, Outcome, Scenario};
use crate::story::run;

/// What is explored.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Seed of what is random in each story.
    pub seed: u64,
    /// Kinds of recovery.
    pub firsts: Vec<First>,
    /// Kinds of backend.
    pub backends: Vec<BackendKind>,
    /// Faults.
    pub faults: Vec<Fault>,
    /// Only each n-th point, from the given one on; 1 and 0 are all of them.
    pub every: u32,
    /// The first of them.
    pub offset: u32,
}

impl Selection {
    /// Everything.
    pub fn whole(seed: u64) -> Self {
        Self {
            seed,
            firsts: First::RECOVERIES.to_vec(),
            backends: BackendKind::SHARED.to_vec(),
            faults: vec![
                Fault::KillNode,
                Fault::KillBackend,
                Fault::KillBoth,
                Fault::FreezeNode,
                Fault::BackendGone,
                Fault::IsolateNode,
                Fault::KillNodeHushServer,
                Fault::KillNodeFreezeServer,
            ],
            every: 1,
            offset: 0,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Stories told.
    pub told: u32,
    /// Points at which something happened.
    pub points: u32,
    /// Stories that broke an invariant.
    pub broken: Vec<Outcome>,
}

/// Tells all stories of a selection; `note` hears of each outcome.
pub fn explore(selection: &Selection, note: &mut dyn FnMut(&Outcome)) -> Found {
    let mut found = Found::default();
    let mut tell = |scenario: &Scenario| {
        let outcome = run(scenario);
        note(&outcome);
        found.told += 1;
        if !outcome.violations.is_empty() {
            found.broken.push(outcome.clone());
        }
        outcome
    };
    let mut points = 0;
    for first in &selection.firsts {
        for backend in &selection.backends {
            let plain = scenario(selection.seed, *first, *backend);
            // How many points there are, is seen in a story without a trap.
            let outcome = tell(&plain);
            for (point, count) in [
                (Point::Change, outcome.changes),
                (Point::Journal, outcome.journaled),
            ] {
                for trap in traps(selection, point, count) {
                    points += 1;
                    tell(&Scenario {
                        trap: Some(trap),
                        ..plain.clone()
                    });
                }
            }
        }
    }
    found.points = points;
    found
}

fn scenario(seed: u64, first: First, backend: BackendKind) -> Scenario {
    Scenario {
        seed,
        replicas: 3,
        below: 1,
        nodes: 3,
        backend,
        first,
        trap: None,
        hazards: Hazards::default(),
    }
}

fn traps(selection: &Selection, point: Point, count: u32) -> Vec<Trap> {
    let mut traps = Vec::new();
    for nth in 1..=count {
        for moment in [Moment::Before, Moment::After] {
            for fault in &selection.faults {
                traps.push(Trap {
                    point,
                    nth,
                    moment,
                    fault: *fault,
                });
            }
        }
    }
    let every = usize::try_from(selection.every.max(1)).unwrap_or(1);
    let offset = usize::try_from(selection.offset).unwrap_or(0);
    traps.into_iter().skip(offset).step_by(every).collect()
}
