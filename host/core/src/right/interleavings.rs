//! Every interleaving of the protocol around the vote in a small world: three actors, clocks that run unequally, members that change.
//!
//! Each statement is one atomic move; any move may be delayed for ever (a frozen process, a slow network); sessions die at any time;
//! locks are taken and their holders sent away; the lease changes hands. Ages are kept instead of instants, so that no bound of time is
//! needed. What is checked: no step of an actor executes while another one has the right. Each rule is shown to be needed by
//! leaving it out.

#![expect(
    clippy::disallowed_types,
    reason = "asked for membership only, so its order decides nothing; a tree of this size takes three times as long"
)]

use std::collections::{BTreeSet, HashSet};

use super::{Voters, Votes};
use crate::ids::ServerId;

const ACTORS: usize = 3;
/// Ticks that a guard lasts on a server.
const GUARD: u8 = 2;

/// The rules that are followed, and the clocks.
#[derive(Clone)]
struct Rules {
    servers: usize,
    /// Which server each actor wants to open.
    candidates: [usize; ACTORS],
    /// How many ticks of the world each actor waits after it gained anything: one guard and a margin, by its own clock.
    waits: [u8; ACTORS],
    /// How many ticks each actor believes in a lease after its renewal, by its own clock.
    believes: [u8; ACTORS],
    /// How many ticks a contender leaves an unchanged lease alone, by the fastest clock.
    lease_rests: u8,
    /// The step carries its own condition.
    guarded: bool,
    /// A gained lock or lease voids a verification under way.
    voids: bool,
    /// The locks that a verification sees are confirmed one by one, not at once.
    one_by_one: bool,
    /// Recorded members, in the order in which they are recorded.
    records: Vec<Voters>,
    /// A change is settled only when every actor has read it.
    joint: bool,
    /// An actor says that it has read a change only when nothing that it verified by the old members can still execute.
    reads_late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Idle,
    /// The guard is armed; these locks (bits) and perhaps the lease were seen since.
    Verifying(u8, bool),
    /// Enough was seen.
    Right,
    /// The step is on its way.
    Sent,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Actor {
    /// Ticks since it gained something, as far as they matter.
    gained: u8,
    /// Ticks that its guard lasts still.
    left: u8,
    stage: Stage,
    /// The record it knows.
    knows: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    /// Who holds the lock of each server.
    holders: [Option<u8>; 3],
    /// Who was granted the lease, and ticks since its last renewal.
    lease: Option<(u8, u8)>,
    record: u8,
    actors: [Actor; ACTORS],
}

struct Explorer {
    rules: Rules,
    /// Whether a set of locks (bits), with or without the lease, is enough: by record.
    enough: Vec<[[bool; 2]; 8]>,
    seen: HashSet<World>,
    todo: Vec<World>,
}

impl Explorer {
    fn new(rules: Rules) -> Self {
        let table = |voters: &Voters| {
            let mut table = [[false; 2]; 8];
            for (mask, row) in table.iter_mut().enumerate() {
                let held = (0..3).filter(|server| mask >> server & 1 == 1);
                let locks: BTreeSet<ServerId> = held.map(id).collect();
                for (lease, granted) in row.iter_mut().enumerate() {
                    let (locks, lease) = (locks.clone(), lease == 1);
                    *granted = voters.count(&Votes { locks, lease }).granted;
                }
            }
            table
        };
        Self {
            enough: rules.records.iter().map(table).collect(),
            rules,
            seen: HashSet::new(),
            todo: Vec::new(),
        }
    }

    /// Number of states; `None` if a step executes while another actor has the right.
    fn explore(mut self) -> Option<usize> {
        let actor = Actor {
            gained: 9,
            left: 0,
            stage: Stage::Idle,
            knows: 0,
        };
        let start = World {
            holders: [None; 3],
            lease: None,
            record: 0,
            actors: [actor; ACTORS],
        };
        self.put(start);
        while let Some(world) = self.todo.pop() {
            self.tick(world);
            self.settle(world);
            for x in 0..ACTORS {
                if !self.step(world, x) {
                    return None;
                }
                self.locks(world, x);
                self.lease(world, x);
                self.verify(world, x);
                self.read(world, x);
            }
        }
        Some(self.seen.len())
    }

    fn put(&mut self, mut world: World) {
        for (x, actor) in world.actors.iter_mut().enumerate() {
            // What cannot have an effect any more is nothing.
            if actor.left == 0 && (self.rules.guarded || actor.stage != Stage::Sent) {
                actor.stage = Stage::Idle;
            }
            actor.gained = actor.gained.min(self.rules.waits[x]);
        }
        if self.seen.insert(world) {
            self.todo.push(world);
        }
    }

    fn with(&mut self, mut world: World, x: usize, change: impl FnOnce(&mut Actor)) {
        change(&mut world.actors[x]);
        self.put(world);
    }

    fn tick(&mut self, mut world: World) {
        for actor in &mut world.actors {
            actor.gained = actor.gained.saturating_add(1);
            actor.left = actor.left.saturating_sub(1);
        }
        if let Some((_, age)) = &mut world.lease {
            *age = (*age + 1).min(self.rules.lease_rests);
        }
        self.put(world);
    }

    fn gain(&self, actor: &mut Actor) {
        actor.gained = 0;
        if self.rules.voids && actor.stage != Stage::Sent {
            actor.stage = Stage::Idle;
            actor.left = 0;
        }
    }

    fn locks(&mut self, world: World, x: usize) {
        for server in 0..self.rules.servers {
            let mut next = world;
            if world.holders[server] == Some(x as u8) {
                // The session dies; a later lock is another session's, on which nothing is armed.
                next.holders[server] = None;
                if server == self.rules.candidates[x] {
                    next.actors[x].stage = Stage::Idle;
                    next.actors[x].left = 0;
                }
            } else {
                // It was free, or its holder's session is ended. With it ends what the holder sent on it.
                if let Some(other) = world.holders[server].map(usize::from)
                    && server == self.rules.candidates[other]
                {
                    next.actors[other].left = 0;
                }
                next.holders[server] = Some(x as u8);
                self.gain(&mut next.actors[x]);
            }
            self.put(next);
        }
    }

    fn lease(&mut self, world: World, x: usize) {
        let own = world.lease.is_some_and(|(owner, _)| owner == x as u8);
        let rested = world
            .lease
            .is_none_or(|(_, age)| age >= self.rules.lease_rests);
        if own || rested {
            let mut next = world;
            next.lease = Some((x as u8, 0));
            if !own {
                self.gain(&mut next.actors[x]);
            }
            self.put(next);
        }
    }

    fn verify(&mut self, world: World, x: usize) {
        let actor = world.actors[x];
        let candidate = self.rules.candidates[x];
        let waited = actor.gained >= self.rules.waits[x];
        if actor.stage == Stage::Idle && waited && world.holders[candidate] == Some(x as u8) {
            self.with(world, x, |actor| {
                actor.left = GUARD;
                actor.stage = Stage::Verifying(1 << candidate, false);
            });
        }
        let Stage::Verifying(seen, lease) = actor.stage else {
            return;
        };
        let held = |server: &usize| world.holders[*server] == Some(x as u8);
        let held: Vec<usize> = (0..self.rules.servers).filter(held).collect();
        if self.rules.one_by_one {
            for server in &held {
                self.see(world, x, (seen | 1 << server, lease));
            }
        } else {
            let all = held.iter().fold(seen, |mask, server| mask | 1 << server);
            self.see(world, x, (all, lease));
        }
        let believed = |(owner, age)| owner == x as u8 && age < self.rules.believes[x];
        if world.lease.is_some_and(believed) {
            self.see(world, x, (seen, true));
        }
        let enough = |record: usize| self.enough[record][usize::from(seen)][usize::from(lease)];
        if enough(usize::from(actor.knows)) {
            self.with(world, x, |actor| actor.stage = Stage::Right);
        }
        self.record(world, x, (seen, lease));
    }

    fn see(&mut self, world: World, x: usize, (seen, lease): (u8, bool)) {
        self.with(world, x, |actor| {
            actor.stage = Stage::Verifying(seen, lease);
        });
    }

    /// Whoever has the right in the old members and in the change records it.
    fn record(&mut self, world: World, x: usize, (seen, lease): (u8, bool)) {
        let knows = world.actors[x].knows;
        let next = usize::from(knows) + 1;
        let begins = knows == 0 && world.record == 0 && next < self.rules.records.len();
        if begins && self.enough[next][usize::from(seen)][usize::from(lease)] {
            let mut changed = world;
            changed.record = if self.rules.joint { 1 } else { 2 };
            changed.actors[x].knows = changed.record;
            changed.actors[x].stage = Stage::Idle;
            self.put(changed);
        }
    }

    fn settle(&mut self, world: World) {
        let known = world.actors.iter().map(|actor| actor.knows).min();
        let version = |record: u8| self.rules.records[usize::from(record)].version;
        let by_all = known.map_or(0, version);
        let change = &self.rules.records[usize::from(world.record)];
        if let Some(settled) = change.settled(by_all) {
            let mut next = world;
            next.record = 2;
            assert_eq!(settled.current, self.rules.records[2].current);
            self.put(next);
        }
    }

    fn read(&mut self, world: World, x: usize) {
        if world.actors[x].knows != world.record {
            let may = world.actors[x].stage != Stage::Sent || !self.rules.reads_late;
            if may {
                self.with(world, x, |actor| {
                    actor.knows = world.record;
                    if actor.stage != Stage::Sent {
                        actor.stage = Stage::Idle;
                    }
                });
            }
        }
    }

    /// The step is sent, and arrives. False if it takes effect while another one has the right.
    fn step(&mut self, world: World, x: usize) -> bool {
        let actor = world.actors[x];
        if actor.stage == Stage::Right {
            self.with(world, x, |actor| actor.stage = Stage::Sent);
        }
        if actor.stage != Stage::Sent {
            return true;
        }
        let holds = world.holders[self.rules.candidates[x]] == Some(x as u8);
        let executes = !self.rules.guarded || holds && actor.left > 0;
        let rival = |y: usize| y != x && world.actors[y].stage == Stage::Right;
        if executes && (0..ACTORS).any(rival) {
            return false;
        }
        self.with(world, x, |actor| {
            actor.stage = Stage::Idle;
            actor.left = 0;
        });
        true
    }
}

fn id(server: usize) -> ServerId {
    ServerId::new(server.to_string())
}

fn members(servers: &[usize]) -> BTreeSet<ServerId> {
    servers.iter().copied().map(id).collect()
}

/// All rules, clocks that differ: the second actor's runs so fast that its wait is barely a guard, the first one's so slow that
/// it believes in its lease half as long again.
fn rules(servers: usize) -> Rules {
    let all: Vec<usize> = (0..servers).collect();
    let first = Voters::default().change_to(&members(&all), 1);
    Rules {
        servers,
        candidates: [0, servers - 1, servers / 2],
        waits: [GUARD + 1, GUARD, GUARD + 1],
        believes: [3, 2, 2],
        lease_rests: 3,
        guarded: true,
        voids: true,
        one_by_one: servers < 3,
        records: first.into_iter().collect(),
        joint: true,
        reads_late: true,
    }
}

/// The members become `to`, in two moves.
fn changing(servers: usize, to: &[usize]) -> Rules {
    let mut rules = rules(servers);
    let first = rules.records[0].clone();
    let joint = first.change_to(&members(to), 2).unwrap();
    let settled = joint.settled(2).unwrap();
    rules.records = vec![first, joint, settled];
    // The clocks of leases are explored without a change.
    rules.believes = [1, 1, 1];
    rules.lease_rests = 1;
    rules
}

#[test]
fn no_step_executes_while_another_actor_has_the_right() {
    for servers in [1, 2, 3] {
        let states = Explorer::new(rules(servers)).explore();
        assert!(
            states.is_some_and(|states| states > 500),
            "{servers} servers: {states:?}"
        );
    }
}

#[test]
fn nor_while_the_members_change() {
    for to in [&[0][..], &[1]] {
        let states = Explorer::new(changing(2, to)).explore();
        assert!(
            states.is_some_and(|states| states > 500),
            "to {to:?}: {states:?}"
        );
    }
}

#[test]
fn each_rule_is_needed() {
    let mut no_wait = rules(2);
    no_wait.waits = [GUARD, 0, GUARD];
    let mut no_guard = rules(2);
    no_guard.guarded = false;
    let mut keeps = rules(2);
    keeps.voids = false;
    let mut no_joint = changing(2, &[1]);
    no_joint.joint = false;
    let mut reads_early = changing(2, &[0]);
    reads_early.reads_late = false;
    for (rule, rules) in [
        ("waiting after a gain", no_wait),
        ("the guard in the statement", no_guard),
        ("a gain voids what was verified", keeps),
        ("changes in two moves", no_joint),
        (
            "a guard between reading a change and saying so",
            reads_early,
        ),
    ] {
        let states = Explorer::new(rules).explore();
        assert_eq!(states, None, "{rule} is not needed");
    }
}
