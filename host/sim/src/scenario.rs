//! A story as data: a topology, some Baton nodes, a backend, a fault, perhaps another one in the
//! middle of the recovery.

use std::fmt;

use baton_ports::RecoveryRecord;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::backend::BackendKind;
use crate::faults::{Fault, Moment, Point, Trap};
use crate::hazards::Hazards;
use crate::invariants::Violation;

/// What happens to the cluster first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The primary is killed.
    KillPrimary,
    /// The primary freezes.
    FreezePrimary,
    /// The primary is cut off from Baton and its replicas.
    CutPrimary,
    /// The primary is cut off from Baton only: its replicas still hear it. Nothing may happen.
    CutFromBaton,
    /// The intermediate source is killed.
    KillIntermediate,
    /// A person orders a switchover.
    Switchover,
    /// The primary has a co-primary, and is killed.
    KillCoPrimary,
    /// The primary was replaced, and comes back.
    Return,
    /// The acting node is left with the primary and one replica, cut off from everything else, and
    /// the primary is killed.
    Partition,
    /// Nothing beyond what happened before.
    Nothing,
    /// The pair of a backend is split: the acting node reaches the one, the others the other. Then
    /// the primary is killed.
    SplitBackend,
}

impl First {
    /// Those that a single node's stories draw from.
    pub const ALL: [Self; 6] = [
        Self::KillPrimary,
        Self::FreezePrimary,
        Self::CutPrimary,
        Self::CutFromBaton,
        Self::KillIntermediate,
        Self::Switchover,
    ];

    /// One for each kind of recovery.
    pub const RECOVERIES: [Self; 5] = [
        Self::KillPrimary,
        Self::KillCoPrimary,
        Self::KillIntermediate,
        Self::Switchover,
        Self::Return,
    ];
}

/// A story.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed of everything random in it.
    pub seed: u64,
    /// Replicas directly below the primary.
    pub replicas: u32,
    /// Replicas below the first replica.
    pub below: u32,
    /// Baton nodes.
    pub nodes: u32,
    /// Their backend.
    pub backend: BackendKind,
    /// What happens first.
    pub first: First,
    /// What happens in the middle of the recovery.
    pub trap: Option<Trap>,
    /// What is unusual about the servers, and what happens before the first fault.
    pub hazards: Hazards,
}

impl Scenario {
    /// A story of a single node from a seed alone.
    pub fn from_seed(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let faults = [
            Fault::KillNode,
            Fault::KillServer,
            Fault::LoseReply,
            Fault::ReviveOld,
            Fault::StoreAway,
        ];
        let first = pick(&mut random, &First::ALL, First::KillPrimary);
        let trap = random.random_bool(0.8).then(|| Trap {
            point: Point::Change,
            nth: random.random_range(1..=12),
            moment: moment(&mut random),
            fault: pick(&mut random, &faults, Fault::KillNode),
        });
        Self {
            seed,
            replicas: random.random_range(2..=4),
            below: random.random_range(1..=2),
            nodes: 1,
            backend: BackendKind::Own,
            first,
            trap,
            hazards: Hazards::default(),
        }
    }

    /// A story of three nodes from a seed alone.
    pub fn of_several(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x3_0de5);
        let faults = [
            Fault::KillNode,
            Fault::FreezeNode,
            Fault::KillBackend,
            Fault::KillBoth,
            Fault::IsolateNode,
            Fault::KillServer,
            Fault::LoseReply,
            Fault::ReviveOld,
            Fault::StoreAway,
            Fault::BackendGone,
        ];
        let all = [
            First::ALL.as_slice(),
            First::RECOVERIES.as_slice(),
            &[First::Partition, First::SplitBackend],
        ]
        .concat();
        let first = pick(&mut random, &all, First::KillPrimary);
        let backend = pick(&mut random, &BackendKind::SHARED, BackendKind::Synchronous);
        let trap = random.random_bool(0.85).then(|| Trap {
            point: if random.random_bool(0.5) {
                Point::Change
            } else {
                Point::Journal
            },
            nth: random.random_range(1..=14),
            moment: moment(&mut random),
            fault: pick(&mut random, &faults, Fault::KillNode),
        });
        Self {
            seed,
            replicas: random.random_range(2..=4),
            below: random.random_range(1..=2),
            nodes: 3,
            backend,
            first,
            trap,
            hazards: Hazards::default(),
        }
    }

    /// A story of a single node, of three with an odd third part of the seeds, in an unusual
    /// cluster, from a seed alone.
    pub fn of_hazards(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x4a2a_4d00);
        let firsts = [
            First::KillPrimary,
            First::KillPrimary,
            First::FreezePrimary,
            First::CutPrimary,
            First::Switchover,
            First::Nothing,
        ];
        let nodes = if seed.is_multiple_of(3) { 3 } else { 1 };
        let replicas = random.random_range(2..=4);
        let mut hazards = Hazards::draw(&mut random, replicas);
        hazards.shared &= nodes == 1;
        let first = pick(&mut random, &firsts, First::KillPrimary);
        let faults = [Fault::KillNode, Fault::KillServer, Fault::LoseReply];
        let trap = random.random_bool(0.3).then(|| Trap {
            point: Point::Change,
            nth: random.random_range(1..=12),
            moment: moment(&mut random),
            fault: pick(&mut random, &faults, Fault::KillNode),
        });
        Self {
            seed,
            replicas,
            below: random.random_range(0..=1),
            nodes,
            backend: if nodes == 1 {
                BackendKind::Own
            } else {
                BackendKind::Synchronous
            },
            first,
            trap,
            hazards,
        }
    }

    /// The command that repeats a story drawn from its seed.
    pub fn repeat(&self) -> String {
        let which = match (self.hazards == Hazards::default(), self.nodes > 1) {
            (false, _) => "hazards ",
            (true, true) => "several ",
            (true, false) => "",
        };
        format!("cargo xtask sim {which}{}", self.seed)
    }
}

fn moment(random: &mut SmallRng) -> Moment {
    if random.random_bool(0.5) {
        Moment::Before
    } else {
        Moment::After
    }
}

fn pick<T: Copy>(random: &mut SmallRng, all: &[T], otherwise: T) -> T {
    all.get(random.random_range(0..all.len()))
        .copied()
        .unwrap_or(otherwise)
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The story.
    pub scenario: Scenario,
    /// Broken invariants; empty = well.
    pub violations: Vec<Violation>,
    /// Recoveries that Baton recorded.
    pub recoveries: Vec<RecoveryRecord>,
    /// Acknowledged transactions.
    pub acknowledged: usize,
    /// Changes that Baton sent after the first fault.
    pub changes: u32,
    /// Writes of recoveries to the backend after it.
    pub journaled: u32,
    /// Longest time without a server that takes writes, milliseconds, at the resolution of the
    /// simulation.
    pub gap_ms: u64,
    /// Length of the story, milliseconds.
    pub lasted_ms: u64,
    /// What happened, as the world saw it.
    pub tale: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.scenario)?;
        for violation in &self.violations {
            writeln!(f, "  broken: {violation}")?;
        }
        for row in &self.recoveries {
            let kind = row.kind.word();
            writeln!(
                f,
                "  {kind} of {} by {} in epoch {}: {} {:?}",
                row.subject,
                row.node,
                row.epoch,
                row.outcome.word(),
                row.errors
            )?;
        }
        write!(
            f,
            "  {} acknowledged, gap {} ms of {} ms",
            self.acknowledged, self.gap_ms, self.lasted_ms
        )
    }
}
