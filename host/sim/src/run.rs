//! A run: the world and the nodes, a millisecond at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_control::{Control, ControlSettings, Handle};
use baton_core::ids::Address;
use baton_core::model::RecoveryOutcome;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::backend::BackendKind;
use crate::network::{NodeId, SECOND_NAME};
use crate::node::{SimNode, name};
use crate::peers::url;
use crate::scenario::Scenario;
use crate::server::{Process, SimChannel, SimServer};
use crate::world::World;

/// A single node that was killed starts again after this, milliseconds.
const RESTART: u64 = 200;
/// Clocks run at 900 to 1100 of their own microseconds in a millisecond of the world.
const PACES: std::ops::RangeInclusive<u64> = 900..=1100;

/// A run.
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) gap: Gap,
    /// Milliseconds that a frozen node stays so.
    frozen_for: u64,
    thaw_at: BTreeMap<NodeId, u64>,
    start_at: BTreeMap<NodeId, u64>,
}

/// Time without a server that takes writes.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    now: u64,
    pub(crate) longest: u64,
}

impl Gap {
    fn note(&mut self, writable: bool) {
        self.now = if writable { 0 } else { self.now + 1 };
        self.longest = self.longest.max(self.now);
    }
}

/// Address of server `number`.
pub(crate) fn address(number: u32) -> Address {
    Address {
        host: format!("s{number}"),
        port: 3306,
    }
}

impl Run {
    /// The world of a scenario, with its nodes started.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut random = SmallRng::seed_from_u64(scenario.seed ^ 0xc10c);
        let world = Arc::new(World::default());
        build(&world, scenario);
        let several = scenario.nodes > 1;
        let mut nodes: Vec<SimNode> = (1..=scenario.nodes)
            .map(|number| {
                let pace = if several {
                    random.random_range(PACES)
                } else {
                    1000
                };
                let id = NodeId(number);
                SimNode::new(id, &world, settings(id, scenario), pace)
            })
            .collect();
        for node in &mut nodes {
            node.start();
        }
        Self {
            world,
            nodes,
            gap: Gap::default(),
            frozen_for: random.random_range(1_200..=12_000),
            thaw_at: BTreeMap::new(),
            start_at: BTreeMap::new(),
        }
    }

    /// Lets `millis` pass.
    pub(crate) fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            self.world.tick();
            self.fulfil();
            self.end_waits();
            let count = self.nodes.len();
            let first = usize::try_from(self.world.lock().now).unwrap_or(0);
            for turn in 0..count {
                if let Some(node) = self.nodes.get_mut((first + turn) % count) {
                    node.step();
                }
                self.fulfil();
            }
            let writable = {
                let state = self.world.lock();
                state.servers.values().any(SimServer::serves)
            };
            self.gap.note(writable);
        }
    }

    /// Lets time pass until `done`, at most `millis`.
    pub(crate) fn pass_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..millis / 50 {
            self.pass(50);
            if done(self) {
                return true;
            }
        }
        false
    }

    /// True if the trap has snapped (or there is none), nothing was changed for `calm`
    /// milliseconds, nobody is frozen, no recovery runs and a server takes writes.
    pub(crate) fn is_over(&self, calm: u64) -> bool {
        let state = self.world.lock();
        let recoveries = &state.backend.present().recoveries;
        let struck = state.trap.is_none() || state.snapped;
        let quiet = state.now > state.last_event + calm;
        let mut writable = state.servers.values().filter(|server| server.serves());
        struck
            && quiet
            && self.thaw_at.is_empty()
            && writable.next().is_some()
            && recoveries
                .iter()
                .all(|row| row.outcome != RecoveryOutcome::Running)
    }

    /// What faults decided about nodes.
    fn fulfil(&mut self) {
        let (fates, now) = {
            let mut state = self.world.lock();
            (std::mem::take(&mut state.fates), state.now)
        };
        let single = self.nodes.len() == 1;
        for (id, fate) in fates {
            let Some(node) = self.nodes.iter_mut().find(|node| node.id == id) else {
                continue;
            };
            self.world.lock().tell(|| format!("{id} is {fate:?}"));
            match fate {
                Process::Dead => {
                    node.kill();
                    if single {
                        self.start_at.insert(id, now + RESTART);
                    }
                }
                Process::Frozen => {
                    node.freeze();
                    self.thaw_at.insert(id, now + self.frozen_for);
                }
                Process::Up => node.thaw(),
            }
        }
    }

    fn end_waits(&mut self) {
        let now = self.world.lock().now;
        for node in &mut self.nodes {
            if self.thaw_at.get(&node.id).is_some_and(|at| now >= *at) {
                self.thaw_at.remove(&node.id);
                self.world.lock().tell(|| format!("{} goes on", node.id));
                node.thaw();
            }
            if self.start_at.get(&node.id).is_some_and(|at| now >= *at) {
                self.start_at.remove(&node.id);
                node.start();
            }
        }
    }

    /// Everything that was broken works again.
    pub(crate) fn heal(&mut self) {
        self.world.change(|state| {
            state.tell(|| "faults end".to_owned());
            state.trap = None;
            state.remember_away();
            state.network.heal();
            state.backend.heal();
            let now = state.now;
            // A primary that nobody replaced, and that starts read-only by its configuration: a
            // person opens it.
            let writable = |server: &SimServer| {
                server.process != Process::Dead && !server.read_only && !server.foreign
            };
            if !state.servers.values().any(writable)
                && let Some(first) = state.first_primary.clone()
                && let Some(server) = state.servers.get_mut(&first)
            {
                server.starts_read_only = false;
            }
            for server in state.servers.values_mut() {
                match server.process {
                    Process::Dead => server.start(now),
                    Process::Frozen => server.process = Process::Up,
                    Process::Up => {}
                }
            }
        });
        for node in &mut self.nodes {
            match node.process() {
                Process::Dead => {
                    self.world.change(|state| state.find_own_disk(node.id));
                    node.start();
                }
                Process::Frozen => node.thaw(),
                Process::Up => {}
            }
        }
    }

    /// The node that acts now.
    pub(crate) fn actor(&self) -> Option<(&SimNode, Arc<Handle>)> {
        let living = self
            .nodes
            .iter()
            .filter(|node| node.process() == Process::Up);
        living
            .filter_map(|node| Some((node, node.handle()?)))
            .find(|(_, handle)| handle.node().lease.is_some())
    }
}

fn settings(id: NodeId, scenario: &Scenario) -> ControlSettings {
    let mut settings = ControlSettings::new(name(id));
    settings.automatic = vec!["*".to_owned()];
    if scenario.nodes == 1 {
        let second_name = Address {
            host: SECOND_NAME.to_owned(),
            port: 3306,
        };
        settings.seeds = vec![address(2), second_name];
        return settings;
    }
    settings.seeds = vec![address(2), address(1)];
    settings.shared_store = true;
    settings.peers = (1..=scenario.nodes)
        .map(NodeId)
        .filter(|other| *other != id)
        .map(url)
        .collect();
    settings
}

/// How often heartbeats come, milliseconds: as a careful person configures it, or by the servers'
/// own choice.
fn heartbeat_period(scenario: &Scenario) -> u64 {
    if (scenario.seed / 2).is_multiple_of(2) {
        500
    } else {
        30_000
    }
}

pub(crate) fn channel(source: Address, scenario: &Scenario) -> SimChannel {
    SimChannel {
        source,
        receiver_on: true,
        connected: true,
        applier_on: true,
        heartbeats: 0,
        heartbeat_period: heartbeat_period(scenario),
        cursor: 0,
    }
}

fn build(world: &World, scenario: &Scenario) {
    world.change(|state| {
        let mut primary = SimServer::new(1, address(1));
        primary.read_only = false;
        (primary.waits, primary.acknowledges) = (true, false);
        // The dangerous configuration: a server that starts writable.
        primary.starts_read_only = !scenario.seed.is_multiple_of(2);
        if scenario.first == crate::scenario::First::KillCoPrimary {
            primary.channel = Some(channel(address(2), scenario));
        }
        state.first_primary = Some(primary.address.clone());
        state.servers.insert(primary.address.clone(), primary);
        for i in 0..scenario.replicas + scenario.below {
            let mut server = SimServer::new(i + 2, address(i + 2));
            let source = if i < scenario.replicas { 1 } else { 2 };
            server.channel = Some(channel(address(source), scenario));
            state.servers.insert(server.address.clone(), server);
        }
        scenario.hazards.build(state, scenario);
        state.strict = scenario.hazards.strict;
        state.backend.kind = scenario.backend;
        if scenario.hazards.watched {
            state.backend.be_watched();
        }
        state.votes.several = scenario.nodes > 1 && scenario.backend != BackendKind::Own;
    });
}
