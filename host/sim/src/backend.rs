//! The database that the nodes share, of each kind: what a commit is worth when the node that took
//! it dies, and how long that takes. Either the backend itself decides which node is used, or the
//! real watch does (`watch`), over nodes that are processes (`databases`, `nodes`).

pub(crate) mod databases;
mod nodes;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use baton_core::ids::Address;

use crate::network::NodeId;
use crate::server::Process;
use crate::tables::Tables;
use crate::world::State;
use databases::Databases;

/// Kinds of backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// A file of the one node that there is.
    #[default]
    Own,
    /// Two nodes, every commit on both (MySQL Cluster, a group): a death costs a moment, and
    /// nothing is lost.
    Synchronous,
    /// Galera: a commit that the dead node alone had confirmed may be forgotten, and the survivors
    /// stall for seconds.
    Galera,
    /// Active and passive: what was not replicated yet is lost, and a network that splits the pair
    /// leaves two histories.
    Pair,
}

impl BackendKind {
    /// Those that nodes can share.
    pub const SHARED: [Self; 3] = [Self::Synchronous, Self::Galera, Self::Pair];

    /// Milliseconds until the survivor answers after a death.
    fn stall(self) -> u64 {
        match self {
            Self::Own => 0,
            Self::Synchronous => 400,
            Self::Galera => 2_500,
            Self::Pair => 250,
        }
    }
}

/// Milliseconds by which the passive node is behind.
const LAG: u64 = 40;
/// A commit this young may be forgotten by Galera when the node that took it dies.
const UNSETTLED: u64 = 20;

/// A node of the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    #[default]
    First,
    Second,
}

impl Place {
    /// Both, in configured order.
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its name on the network.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::First => "backend-1",
            Self::Second => "backend-2",
        }
    }

    /// Where it listens.
    pub(crate) fn address(self) -> Address {
        Address {
            host: self.name().to_owned(),
            port: 3306,
        }
    }

    /// Its name for the watch: `<backend>/<host:port>`.
    pub(crate) fn id(self) -> String {
        format!("{}/{}", watch::BACKEND, self.address())
    }
}

/// The backend's nodes on the network.
pub(crate) const BACKENDS: [&str; 2] = [Place::First.name(), Place::Second.name()];

/// The backend.
#[derive(Debug, Default)]
pub(crate) struct Backend {
    pub(crate) kind: BackendKind,
    /// Its nodes as processes, for the watch.
    pub(crate) databases: Databases,
    /// What the first and the second node hold. Synchronous kinds use the first copy for both.
    first: Tables,
    second: Tables,
    active: Place,
    dead: Option<Place>,
    /// Statements wait until then.
    stalled_until: u64,
    /// Statements fail until then.
    away_until: u64,
    /// Nodes of the backend that died, counted: whoever waits for a reply when that happens does
    /// not get it.
    deaths: u64,
    /// A pair: commits on their way to the passive node.
    on_the_way: VecDeque<(u64, Tables)>,
    /// A pair that was split: both took writes.
    split: bool,
    /// Galera: the state before the last commit, and when that was.
    before: Option<(u64, Tables)>,
}

/// How the backend answers a node now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    /// A statement waits.
    Stalled,
    /// A statement fails at once.
    Refused,
}

impl Backend {
    pub(crate) fn kill_active(&mut self, now: u64) {
        if self.kind == BackendKind::Own || self.dead.is_some() {
            return;
        }
        if self.databases.watched {
            self.kill(self.active, now);
        } else {
            self.lose(self.active, now);
            self.active = self.active.other();
        }
    }

    /// A node is gone, with what it alone had.
    fn lose(&mut self, place: Place, now: u64) {
        self.deaths += 1;
        self.stalled_until = now + self.kind.stall();
        self.dead = Some(place);
        match self.kind {
            BackendKind::Own | BackendKind::Synchronous => {}
            BackendKind::Galera => {
                if let Some((at, before)) = self.before.take()
                    && now < at + UNSETTLED
                {
                    self.first = before;
                }
            }
            BackendKind::Pair => self.on_the_way.clear(),
        }
    }

    pub(crate) fn go_away(&mut self, until: u64) {
        self.away_until = until;
    }

    /// Everything works again; a node that was dead takes what the other one has.
    pub(crate) fn heal(&mut self) {
        self.away_until = 0;
        if self.databases.watched {
            self.restart_databases();
            return;
        }
        self.dead = None;
        if self.kind == BackendKind::Pair {
            // Of two histories the active node's stays.
            *self.copy_mut(self.active.other()) = self.copy(self.active).clone();
            self.on_the_way.clear();
            self.split = false;
        }
    }

    pub(crate) fn away(&self, now: u64) -> bool {
        now < self.away_until
    }

    pub(crate) fn deaths(&self) -> u64 {
        self.deaths
    }

    /// What the active node holds.
    pub(crate) fn present(&self) -> &Tables {
        self.copy(self.active)
    }

    fn copy(&self, place: Place) -> &Tables {
        match (self.kind, place) {
            (BackendKind::Pair, Place::Second) => &self.second,
            _ => &self.first,
        }
    }

    fn copy_mut(&mut self, place: Place) -> &mut Tables {
        match (self.kind, place) {
            (BackendKind::Pair, Place::Second) => &mut self.second,
            _ => &mut self.first,
        }
    }
}

/// The node of the backend that a Baton node uses: the active one, or the other if only that is
/// reached.
pub(crate) fn place_for(state: &State, node: NodeId) -> Option<Place> {
    let backend = &state.backend;
    if backend.databases.watched {
        return databases::place_for(state, node);
    }
    let reached =
        |place: Place| backend.dead != Some(place) && state.network.reaches(node, &place.name());
    let active = backend.active;
    let joined = state
        .network
        .passes(Place::First.name(), Place::Second.name());
    if !joined && backend.kind != BackendKind::Pair {
        // One part has the majority; here, that of the active node.
        return Some(active).filter(|place| reached(*place));
    }
    [active, active.other()]
        .into_iter()
        .find(|place| reached(*place))
}

/// How the backend answers a node now.
pub(crate) fn access(state: &State, node: NodeId) -> Access {
    let backend = &state.backend;
    if backend.away(state.now) {
        return Access::Refused;
    }
    if backend.databases.watched {
        return databases::access(state, node);
    }
    if state.now < backend.stalled_until || place_for(state, node).is_none() {
        return Access::Stalled;
    }
    Access::Open
}

/// What nodes wrote to their local disks is handed over as soon as the backend answers them.
fn hand_over(state: &mut State) {
    let ready: Vec<NodeId> = state
        .disks
        .keys()
        .filter(|node| {
            let mirror = state.mirrors.get(node);
            let is_up = mirror.is_some_and(|mirror| mirror.process == Some(Process::Up));
            is_up && access(state, **node) == Access::Open
        })
        .copied()
        .collect();
    for node in ready {
        let place = place_for(state, node).unwrap_or_default();
        if let Some(disk) = state.disks.remove(&node) {
            state.backend.copy_mut(place).take_over(node, &disk);
            state.tell(|| format!("{node} hands over"));
        }
    }
}

/// Replication inside of the backend, and what comes to it from local disks.
pub(crate) fn tick(state: &mut State) {
    hand_over(state);
    let now = state.now;
    let joined = state
        .network
        .passes(Place::First.name(), Place::Second.name());
    let backend = &mut state.backend;
    if backend.databases.watched {
        databases::tick(backend, joined, now);
    }
    if backend.dead.is_some() || backend.split || !joined {
        return;
    }
    while let Some((at, _)) = backend.on_the_way.front()
        && now >= *at + LAG
    {
        if let Some((_, tables)) = backend.on_the_way.pop_front() {
            *backend.copy_mut(backend.active.other()) = tables;
        }
    }
}

/// The tables that a node sees, for one statement. A commit is what happens when it is dropped
/// after a change.
pub(crate) struct Transaction<'a> {
    pub(crate) state: MutexGuard<'a, State>,
    place: Place,
    /// The node's local disk, while the backend is away.
    local: Option<NodeId>,
    changed: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(state: MutexGuard<'a, State>, node: NodeId) -> Self {
        let place = place_for(&state, node).unwrap_or_default();
        let local = state.disks.contains_key(&node).then_some(node);
        Self {
            state,
            place,
            local,
            changed: false,
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        if let Some(disk) = self.local.and_then(|node| self.state.disks.get(&node)) {
            return disk;
        }
        self.state.backend.copy(self.place)
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Tables {
        let state = &mut *self.state;
        if let Some(disk) = self.local.and_then(|node| state.disks.get_mut(&node)) {
            return disk;
        }
        let now = state.now;
        let backend = &mut state.backend;
        if !self.changed && backend.kind == BackendKind::Galera {
            backend.before = Some((now, backend.first.clone()));
        }
        self.changed = true;
        backend.copy_mut(self.place)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let now = self.state.now;
        let backend = &mut self.state.backend;
        if !self.changed {
            return;
        }
        let [first, second] = &mut backend.copy_mut(self.place).commits;
        *(match self.place {
            Place::First => first,
            Place::Second => second,
        }) += 1;
        if backend.kind != BackendKind::Pair {
            return;
        }
        if self.place == backend.active {
            let tables = backend.copy(self.place).clone();
            backend.on_the_way.push_back((now, tables));
        } else {
            backend.split = true;
        }
    }
}
