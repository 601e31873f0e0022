//! The nodes of the backend as processes, for runs in which the real watch decides which of them
//! each Baton node uses: up, frozen or dead, read-only, behind, connected to each other.

use std::collections::BTreeMap;

use baton_backend::BackendHandle;

use super::{Access, Backend, BackendKind, LAG, Place};
use crate::network::NodeId;
use crate::server::Process;
use crate::tables::Tables;
use crate::world::State;

/// Milliseconds that a node needs, after it came back, for what it has missed.
pub(crate) const CATCH_UP: u64 = 5_000;
/// Milliseconds after which a receiver notices a cut network (`replica_net_timeout`).
const NET_TIMEOUT: u64 = 30_000;

/// The nodes, and who watches them.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    first: Database,
    second: Database,
    /// The watch of each Baton node. Nobody watches in runs in which the backend itself decides
    /// which node is used.
    watches: BTreeMap<NodeId, BackendHandle>,
    /// The backend is watched.
    pub(crate) watched: bool,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) process: Process,
    /// Grows with each start: sessions of earlier processes are gone.
    pub(crate) incarnation: u64,
    /// A node of a pair.
    pub(crate) read_only: bool,
    /// Milliseconds until it has applied what it missed; zero = it is up to date.
    pub(crate) behind: u64,
    /// A node of a pair that is behind: what it has received and not applied.
    pub(crate) relay: Option<Tables>,
    /// Its receiver has a connection to the other node, as far as it knows.
    pub(crate) connected: bool,
    /// Since when the receiver hears nothing over its connection.
    silent_since: Option<u64>,
    /// The session that holds the lock of the pair.
    pub(crate) lock: Option<u64>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            process: Process::Up,
            incarnation: 0,
            read_only: false,
            behind: 0,
            relay: None,
            connected: true,
            silent_since: None,
            lock: None,
        }
    }
}

impl Databases {
    pub(crate) fn at(&self, place: Place) -> &Database {
        match place {
            Place::First => &self.first,
            Place::Second => &self.second,
        }
    }

    pub(crate) fn at_mut(&mut self, place: Place) -> &mut Database {
        match place {
            Place::First => &mut self.first,
            Place::Second => &mut self.second,
        }
    }

    /// Notes the watch of a node that starts, and forgets the one of a node that ends.
    pub(crate) fn set_watch(&mut self, node: NodeId, watch: Option<BackendHandle>) {
        match watch {
            Some(watch) => self.watches.insert(node, watch),
            None => self.watches.remove(&node),
        };
    }

    /// The watch of a node that runs.
    pub(crate) fn watch(&self, node: NodeId) -> Option<&BackendHandle> {
        self.watches.get(&node)
    }

    /// What the watch of a node has selected, and the generation of that choice.
    pub(crate) fn selected(&self, node: NodeId) -> Option<(Place, u64)> {
        let targets = self.watches.get(&node)?.targets();
        let target = targets.borrow();
        let target = target.as_ref()?;
        let mut places = Place::BOTH.into_iter();
        let place = places.find(|place| place.id() == target.node_id)?;
        Some((place, target.generation))
    }
}

impl Backend {
    /// The nodes are as they start: of a pair, the second follows.
    pub(crate) fn be_watched(&mut self) {
        self.databases.watched = true;
        self.databases.second.read_only = self.kind == BackendKind::Pair;
    }

    /// A node of a synchronous kind that does not have everything yet.
    pub(crate) fn is_joining(&self, place: Place) -> bool {
        self.kind != BackendKind::Pair && self.databases.at(place).behind > 0
    }

    /// What a node holds.
    pub(crate) fn tables_at(&self, place: Place) -> &Tables {
        self.copy(place)
    }

    /// A node's process ends.
    pub(crate) fn kill(&mut self, place: Place, now: u64) {
        let database = self.databases.at_mut(place);
        database.process = Process::Dead;
        database.connected = false;
        database.lock = None;
        self.lose(place, now);
        let other = place.other();
        let is_whole = self.databases.at(other).process != Process::Dead && !self.is_joining(other);
        if self.kind != BackendKind::Pair && is_whole {
            self.active = other;
        }
    }

    /// A node's process starts. It lacks what was committed since it died; a node of a pair starts
    /// read-only.
    pub(crate) fn start(&mut self, place: Place) {
        let is_behind = place != self.active;
        let relay = self.copy(self.active).clone();
        let is_pair = self.kind == BackendKind::Pair;
        let database = self.databases.at_mut(place);
        database.process = Process::Up;
        database.incarnation += 1;
        database.read_only = is_pair;
        database.behind = if is_behind { CATCH_UP } else { 0 };
        database.relay = (is_pair && is_behind).then_some(relay);
        if is_behind {
            self.on_the_way.clear();
        } else {
            self.dead = None;
        }
    }

    /// Everything that does not run starts or goes on.
    pub(super) fn restart_databases(&mut self) {
        for place in [self.active, self.active.other()] {
            match self.databases.at(place).process {
                Process::Dead => self.start(place),
                Process::Frozen => self.databases.at_mut(place).process = Process::Up,
                Process::Up => {}
            }
        }
    }

    /// A node of a pair takes writes from now on.
    pub(crate) fn open(&mut self, place: Place) {
        self.databases.at_mut(place).read_only = false;
        let other = self.databases.at(place.other());
        if other.process != Process::Up || other.read_only {
            self.active = place;
            self.on_the_way.clear();
        }
    }
}

/// The node that a Baton node uses: the selected one, if it is reached and takes writes.
pub(super) fn place_for(state: &State, node: NodeId) -> Option<Place> {
    let (place, _) = state.backend.databases.selected(node)?;
    (state.network.reaches(node, &place.name()) && takes_writes(state, place)).then_some(place)
}

/// A commit that is sent to this node would be accepted.
fn takes_writes(state: &State, place: Place) -> bool {
    let backend = &state.backend;
    let has_majority = backend.kind == BackendKind::Pair
        || backend.active == place
        || state.network.passes(place.name(), place.other().name());
    let database = backend.databases.at(place);
    let is_up = database.process == Process::Up && !database.read_only;
    is_up && has_majority && !backend.is_joining(place)
}

/// How the selected node answers.
pub(super) fn access(state: &State, node: NodeId) -> Access {
    let backend = &state.backend;
    let Some((place, _)) = backend.databases.selected(node) else {
        return Access::Refused;
    };
    let is_silent = backend.databases.at(place).process == Process::Frozen
        || !state.network.reaches(node, &place.name());
    if is_silent || state.now < backend.stalled_until {
        Access::Stalled
    } else if takes_writes(state, place) {
        Access::Open
    } else {
        Access::Refused
    }
}

/// What happens between the nodes of a watched backend, beside the replication of commits.
pub(super) fn tick(backend: &mut Backend, joined: bool, now: u64) {
    for place in Place::BOTH {
        connect(backend, place, joined, now);
        catch_up(backend, place, joined);
    }
    // What the active node commits reaches a node that is behind as well.
    let behind = backend.active.other();
    while backend.databases.at(behind).relay.is_some()
        && joined
        && let Some((at, _)) = backend.on_the_way.front()
        && now >= *at + LAG
    {
        let received = backend.on_the_way.pop_front().map(|(_, tables)| tables);
        backend.databases.at_mut(behind).relay = received;
    }
}

/// The receiver of a node: it connects at once where it can, and notices silence late.
fn connect(backend: &mut Backend, place: Place, joined: bool, now: u64) {
    let source = backend.databases.at(place.other()).process;
    let database = backend.databases.at_mut(place);
    match (database.process, source) {
        (Process::Up, Process::Up) if joined => {
            database.connected = true;
            database.silent_since = None;
        }
        (_, Process::Dead) => database.connected = false,
        _ => {
            let since = *database.silent_since.get_or_insert(now);
            database.connected &= now < since + NET_TIMEOUT;
        }
    }
}

/// A node of a cluster needs another one to get what it lacks; one of a pair has received it.
fn catch_up(backend: &mut Backend, place: Place, joined: bool) {
    let source_is_up = backend.databases.at(place.other()).process == Process::Up && joined;
    let has_source = backend.kind == BackendKind::Pair || source_is_up;
    let database = backend.databases.at_mut(place);
    if database.behind == 0 || database.process != Process::Up || !has_source {
        return;
    }
    database.behind -= 1;
    if database.behind > 0 {
        return;
    }
    if let Some(received) = database.relay.take() {
        *backend.copy_mut(place) = received;
    }
    if backend.dead == Some(place) {
        backend.dead = None;
    }
}
