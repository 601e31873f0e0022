//! Everything outside of Baton: servers, network, backend, faults, and what clients were promised.
//! It has its own time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_core::ids::Address;
use tokio::sync::watch;

use crate::backend::{BACKENDS, Backend};
use crate::client::Client;
use crate::connections::Connections;
use crate::faults::{Fault, Moment, Point, Trap};
use crate::invariants::Violation;
use crate::network::{Network, NodeId};
use crate::peers::Mirror;
use crate::server::{Process, SimServer, Txn};
use crate::tables::Tables;
use crate::votes::Votes;

/// Milliseconds after which a node has heard of a server that is back.
const NEWS: u64 = 2_000;

/// Milliseconds for which a hushed server answers nobody: it is missed, and goes on before whoever
/// asks it has given up.
const HUSH: u64 = 1_500;

/// State of the world, behind one lock.
#[derive(Debug, Default)]
pub struct State {
    /// The world's own time, milliseconds. Servers go by it.
    pub now: u64,
    /// Servers by address.
    pub servers: BTreeMap<Address, SimServer>,
    /// Sessions as the servers see them, and statements on their way.
    pub(crate) connections: Connections,
    /// Network.
    pub(crate) network: Network,
    /// The database that the nodes share.
    pub(crate) backend: Backend,
    /// What is on the local disks of nodes that the backend does not answer.
    pub(crate) disks: BTreeMap<NodeId, Tables>,
    /// The local disk of each node at its last write of a recovery, whether or not the backend
    /// answered: what a process that died may have been the only one to know is found there when it
    /// is started again.
    pub(crate) own_disks: BTreeMap<NodeId, Tables>,
    /// So many of the next steps that open writes reach their server too late for their guard.
    pub(crate) late_openings: u32,
    /// A node's next reading of recoveries, the last of what it reads of the store, is answered
    /// this much later, milliseconds.
    pub(crate) late_reading: Option<(NodeId, u64)>,
    /// What each node shows to the others.
    pub(crate) mirrors: BTreeMap<NodeId, Mirror>,
    /// Who has the right to act, as the servers and the backend see it.
    pub(crate) votes: Votes,
    /// The client.
    pub(crate) client: Client,
    /// Transactions that clients were told are committed, while semi-sync was in force, and when.
    pub acknowledged: Vec<(Txn, u64)>,
    /// By origin, the last transaction that survived two failures at once; what is later is not
    /// demanded.
    pub excused_after: BTreeMap<u32, u64>,
    /// Servers that were out of a node's reach until a moment ago: what is decided now may not know
    /// them yet.
    pub(crate) lately_away: BTreeSet<(NodeId, Address)>,
    lately_until: u64,
    /// The armed trap.
    pub trap: Option<Trap>,
    /// Changes sent since it was armed.
    pub changes: u32,
    /// Lines of recoveries written since it was armed.
    pub journaled: u32,
    /// The trap has snapped.
    pub snapped: bool,
    /// Servers that are frozen until then.
    hushed: BTreeMap<Address, u64>,
    /// What has to happen to a node before it is given time again.
    pub(crate) fates: Vec<(NodeId, Process)>,
    /// When something happened last.
    pub(crate) last_event: u64,
    /// What happened, for people.
    pub(crate) tale: Vec<String>,
    /// Broken invariants.
    pub violations: Vec<Violation>,
    /// The first primary, for `ReviveOld`.
    pub first_primary: Option<Address>,
    /// Nothing that was acknowledged may be lost, however many servers are out of reach.
    pub(crate) strict: bool,
    /// Something happened that waiting sessions notice at once.
    pub(crate) stirred: bool,
    next_session: u64,
}

/// The world.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl State {
    /// A number for a new session.
    pub(crate) fn new_session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    /// Lets a millisecond pass, for everything but the nodes.
    fn tick(&mut self) {
        self.now += 1;
        if self.now == self.lately_until {
            self.lately_away.clear();
        }
        self.end_hushes();
        crate::connections::tick(self);
        crate::replication::tick(self);
        crate::client::tick(self);
        crate::backend::tick(self);
        crate::votes::tick(self);
    }

    /// Counts a point of a recovery and springs the trap if it is its turn.
    pub(crate) fn at_point(
        &mut self,
        (point, moment): (Point, Moment),
        node: NodeId,
        target: Option<&Address>,
    ) -> Snap {
        let count = match point {
            Point::Change => &mut self.changes,
            Point::Journal => &mut self.journaled,
        };
        if moment == Moment::Before {
            *count += 1;
        }
        let count = *count;
        let Some(trap) = self.trap.filter(|_| !self.snapped) else {
            return Snap::Nothing;
        };
        if trap.point != point || trap.moment != moment || trap.nth != count {
            return Snap::Nothing;
        }
        self.snapped = true;
        self.stirred = true;
        self.tell(|| format!("{trap:?} strikes at {node}"));
        self.strike(trap.fault, node, target)
    }

    fn strike(&mut self, fault: Fault, node: NodeId, target: Option<&Address>) -> Snap {
        match fault {
            Fault::KillNode => self.fates.push((node, Process::Dead)),
            Fault::FreezeNode => self.fates.push((node, Process::Frozen)),
            Fault::KillBackend => self.backend.kill_active(self.now),
            Fault::KillBoth => {
                self.fates.push((node, Process::Dead));
                self.backend.kill_active(self.now);
            }
            Fault::IsolateNode => self.isolate(node, target),
            Fault::KillNodeHushServer => {
                self.fates.push((node, Process::Dead));
                self.hush(target, HUSH);
            }
            Fault::KillNodeFreezeServer => {
                self.fates.push((node, Process::Dead));
                self.hush(target, u64::MAX);
            }
            Fault::KillServer => return Snap::KillServer,
            Fault::KillPrimary => {
                if let Some(open) = self.servers.values_mut().find(|server| server.serves()) {
                    open.die();
                }
            }
            Fault::LoseReply => return Snap::LoseReply,
            Fault::ReviveOld => {
                let old = self.first_primary.clone();
                if let Some(server) = old.and_then(|address| self.servers.get_mut(&address))
                    && server.process == Process::Dead
                {
                    server.start(self.now);
                }
            }
            Fault::StoreAway => self.backend.go_away(self.now + 300),
            Fault::BackendGone => self.backend.go_away(u64::MAX),
        }
        Snap::Sprung
    }
}

impl State {
    /// To be called before everything is brought back.
    pub(crate) fn remember_away(&mut self) {
        let away = self.mirrors.keys().flat_map(|node| {
            let servers = self.servers.values();
            let lost = servers.filter(|server| {
                server.process != Process::Up || !self.network.reaches(*node, &server.address)
            });
            lost.map(|server| (*node, server.address.clone()))
        });
        self.lately_away = away.collect();
        self.lately_until = self.now + NEWS;
    }

    /// A process that was killed hands over what its disk has.
    pub(crate) fn find_own_disk(&mut self, node: NodeId) {
        if self.votes.several
            && let Some(disk) = self.own_disks.remove(&node)
        {
            self.disks.entry(node).or_insert(disk);
        }
    }

    fn hush(&mut self, target: Option<&Address>, millis: u64) {
        let open = self.servers.values().find(|server| server.serves());
        let address = target.or(open.map(|server| &server.address)).cloned();
        if let Some(address) = address
            && let Some(server) = self.servers.get_mut(&address)
            && server.process == Process::Up
        {
            server.process = Process::Frozen;
            self.hushed.insert(address, self.now.saturating_add(millis));
        }
    }

    fn end_hushes(&mut self) {
        let now = self.now;
        let is_over = |_: &Address, until: &mut u64| *until <= now;
        for address in self
            .hushed
            .extract_if(.., is_over)
            .map(|(address, _)| address)
        {
            if let Some(server) = self.servers.get_mut(&address)
                && server.process == Process::Frozen
            {
                server.process = Process::Up;
                self.stirred = true;
            }
        }
    }

    fn isolate(&mut self, node: NodeId, but: Option<&Address>) {
        let servers = self.servers.keys().filter(|address| Some(*address) != but);
        let mut others: Vec<String> = servers.map(ToString::to_string).collect();
        others.extend(self.mirrors.keys().map(ToString::to_string));
        others.extend(BACKENDS.map(str::to_owned));
        for other in others {
            self.network.cut(&node.to_string(), &other);
        }
    }
}

/// What a trap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snap {
    /// It did not snap.
    Nothing,
    /// It snapped.
    Sprung,
    /// The server that the step is about dies.
    KillServer,
    /// The reply is lost.
    LoseReply,
}

impl World {
    /// The state; a broken run is reported through violations, so a poisoned lock is used on.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and wakes who waits for changes.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.wake();
        result
    }

    fn wake(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Lets a millisecond pass, for everything but the nodes.
    pub(crate) fn tick(&self) {
        let stirred = {
            let mut state = self.lock();
            state.tick();
            std::mem::take(&mut state.stirred)
        };
        if stirred {
            self.wake();
        }
    }

    /// Told of each change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl State {
    /// Notes what happened, for people.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>7} {}", self.now, what());
        self.tale.push(line);
        self.last_event = self.now;
    }
}
