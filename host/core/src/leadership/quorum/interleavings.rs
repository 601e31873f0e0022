//! Every interleaving of the protocol around the quorum in a small world: three nodes, clocks that
//! run unequally, members that change.
//!
//! Each statement is one atomic move. Any move may be delayed for ever (a stopped process, a slow
//! network). Sessions end at any time, locks change hands, their holders' sessions are ended, and
//! the lease changes hands. Ages are kept instead of instants, so that no bound of time is needed.
//! The check: no step of a node executes while another node has the quorum. Each rule of the
//! protocol is shown to be needed: without it the check fails.

#![expect(
    clippy::disallowed_types,
    reason = "asked for membership only, so its order decides nothing; a tree of this size takes three times as long"
)]

use std::collections::{BTreeSet, HashSet};

use super::{Voters, Votes};
use crate::ids::ServerId;

const NODES: usize = 3;
/// Ticks for which a guard lasts on a server.
const GUARD: u8 = 2;

/// The rules that are followed, and the clocks.
#[derive(Clone)]
struct Rules {
    servers: usize,
    /// The server that each node wants to open.
    candidates: [usize; NODES],
    /// Ticks of the world that each node waits after it gained a lock or the lease: one guard and a
    /// margin, by its own clock.
    waits: [u8; NODES],
    /// Ticks for which each node counts a lease after its renewal, by its own clock.
    believes: [u8; NODES],
    /// Ticks for which a contender leaves an unchanged lease alone, by the fastest clock.
    lease_rests: u8,
    /// The step carries its own condition.
    guarded: bool,
    /// A gained lock or lease cancels a verification under way.
    cancels: bool,
    /// A verification confirms the locks one by one, not all at once.
    one_by_one: bool,
    /// Recorded members, in the order in which they are recorded.
    records: Vec<Voters>,
    /// A change is settled only when every node has read it.
    joint: bool,
    /// A node reports that it has read a change only when nothing that it verified by the old
    /// members can still execute.
    reads_late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Idle,
    /// The guard is armed. These locks (bits) and perhaps the lease were confirmed since.
    Verifying(u8, bool),
    /// The confirmed votes are a quorum.
    Quorum,
    /// The step is on its way.
    Sent,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    /// Ticks since it gained a lock or the lease, as far as they matter.
    gained: u8,
    /// Ticks for which its guard still lasts.
    left: u8,
    stage: Stage,
    /// The record it knows.
    knows: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    /// Who holds the lock of each server.
    holders: [Option<u8>; 3],
    /// Holder of the lease, and ticks since its last renewal.
    lease: Option<(u8, u8)>,
    record: u8,
    nodes: [Node; NODES],
}

struct Explorer {
    rules: Rules,
    /// Whether a set of locks (bits), without or with the lease, is a quorum: by record.
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

    /// Number of states; `None` if a step executes while another node has the quorum.
    fn explore(mut self) -> Option<usize> {
        let node = Node {
            gained: 9,
            left: 0,
            stage: Stage::Idle,
            knows: 0,
        };
        let start = World {
            holders: [None; 3],
            lease: None,
            record: 0,
            nodes: [node; NODES],
        };
        self.put(start);
        while let Some(world) = self.todo.pop() {
            self.tick(world);
            self.settle(world);
            for x in 0..NODES {
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
        for (x, node) in world.nodes.iter_mut().enumerate() {
            // A step that cannot execute any more needs no state.
            if node.left == 0 && (self.rules.guarded || node.stage != Stage::Sent) {
                node.stage = Stage::Idle;
            }
            node.gained = node.gained.min(self.rules.waits[x]);
        }
        if self.seen.insert(world) {
            self.todo.push(world);
        }
    }

    fn with(&mut self, mut world: World, x: usize, change: impl FnOnce(&mut Node)) {
        change(&mut world.nodes[x]);
        self.put(world);
    }

    fn tick(&mut self, mut world: World) {
        for node in &mut world.nodes {
            node.gained = node.gained.saturating_add(1);
            node.left = node.left.saturating_sub(1);
        }
        if let Some((_, age)) = &mut world.lease {
            *age = (*age + 1).min(self.rules.lease_rests);
        }
        self.put(world);
    }

    fn gain(&self, node: &mut Node) {
        node.gained = 0;
        if self.rules.cancels && node.stage != Stage::Sent {
            node.stage = Stage::Idle;
            node.left = 0;
        }
    }

    fn locks(&mut self, world: World, x: usize) {
        for server in 0..self.rules.servers {
            let mut next = world;
            if world.holders[server] == Some(x as u8) {
                // The session ends. A later lock belongs to another session, on which no guard is
                // armed.
                next.holders[server] = None;
                if server == self.rules.candidates[x] {
                    next.nodes[x].stage = Stage::Idle;
                    next.nodes[x].left = 0;
                }
            } else {
                // The lock was free, or the session of its holder is ended, and with it the step
                // that the holder sent on it.
                if let Some(other) = world.holders[server].map(usize::from)
                    && server == self.rules.candidates[other]
                {
                    next.nodes[other].left = 0;
                }
                next.holders[server] = Some(x as u8);
                self.gain(&mut next.nodes[x]);
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
                self.gain(&mut next.nodes[x]);
            }
            self.put(next);
        }
    }

    fn verify(&mut self, world: World, x: usize) {
        let node = world.nodes[x];
        let candidate = self.rules.candidates[x];
        let waited = node.gained >= self.rules.waits[x];
        if node.stage == Stage::Idle && waited && world.holders[candidate] == Some(x as u8) {
            self.with(world, x, |node| {
                node.left = GUARD;
                node.stage = Stage::Verifying(1 << candidate, false);
            });
        }
        let Stage::Verifying(seen, lease) = node.stage else {
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
        if enough(usize::from(node.knows)) {
            self.with(world, x, |node| node.stage = Stage::Quorum);
        }
        self.record(world, x, (seen, lease));
    }

    fn see(&mut self, world: World, x: usize, (seen, lease): (u8, bool)) {
        self.with(world, x, |node| {
            node.stage = Stage::Verifying(seen, lease);
        });
    }

    /// A node that has the quorum in the old members and in the change records the change.
    fn record(&mut self, world: World, x: usize, (seen, lease): (u8, bool)) {
        let knows = world.nodes[x].knows;
        let next = usize::from(knows) + 1;
        let begins = knows == 0 && world.record == 0 && next < self.rules.records.len();
        if begins && self.enough[next][usize::from(seen)][usize::from(lease)] {
            let mut changed = world;
            changed.record = if self.rules.joint { 1 } else { 2 };
            changed.nodes[x].knows = changed.record;
            changed.nodes[x].stage = Stage::Idle;
            self.put(changed);
        }
    }

    fn settle(&mut self, world: World) {
        let known = world.nodes.iter().map(|node| node.knows).min();
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
        if world.nodes[x].knows != world.record {
            let may = world.nodes[x].stage != Stage::Sent || !self.rules.reads_late;
            if may {
                self.with(world, x, |node| {
                    node.knows = world.record;
                    if node.stage != Stage::Sent {
                        node.stage = Stage::Idle;
                    }
                });
            }
        }
    }

    /// The step is sent, and arrives. False if it executes while another node has the quorum.
    fn step(&mut self, world: World, x: usize) -> bool {
        let node = world.nodes[x];
        if node.stage == Stage::Quorum {
            self.with(world, x, |node| node.stage = Stage::Sent);
        }
        if node.stage != Stage::Sent {
            return true;
        }
        let holds = world.holders[self.rules.candidates[x]] == Some(x as u8);
        let executes = !self.rules.guarded || holds && node.left > 0;
        let rival = |y: usize| y != x && world.nodes[y].stage == Stage::Quorum;
        if executes && (0..NODES).any(rival) {
            return false;
        }
        self.with(world, x, |node| {
            node.stage = Stage::Idle;
            node.left = 0;
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

/// All rules, and clocks that differ: the clock of the second node runs so fast that it waits
/// barely one guard. The clock of the first node runs so slowly that it counts its lease half as
/// long again.
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
        cancels: true,
        one_by_one: servers < 3,
        records: first.into_iter().collect(),
        joint: true,
        reads_late: true,
    }
}

/// The members become `to`, in two steps.
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
fn no_step_executes_while_another_node_has_the_quorum() {
    for servers in [1, 2, 3] {
        let states = Explorer::new(rules(servers)).explore();
        assert!(
            states.is_some_and(|states| states > 500),
            "{servers} servers: {states:?}"
        );
    }
}

#[test]
fn no_step_executes_without_quorum_while_members_change() {
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
    keeps.cancels = false;
    let mut no_joint = changing(2, &[1]);
    no_joint.joint = false;
    let mut reads_early = changing(2, &[0]);
    reads_early.reads_late = false;
    for (rule, rules) in [
        ("waiting after a gain", no_wait),
        ("the guard in the statement", no_guard),
        ("a gain cancels a verification", keeps),
        ("changes in two steps", no_joint),
        (
            "a guard between reading a change and reporting it",
            reads_early,
        ),
    ] {
        let states = Explorer::new(rules).explore();
        assert_eq!(states, None, "{rule} is not needed");
    }
}
