//! The port to the nodes of the backend, simulated, from the side of a Baton node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::command::{Guard, ServerCommand};
use baton_core::gtid::GtidSet;
use baton_core::model::{ProbeFailure, ServerFacts, TimeoutPhase};
use baton_ports::{
    ActSession, BackendContent, BackendFacts, BackendNodes, BackendProof, BackendWatch, Clock,
    FactsAnswer, FailureWord, GaleraFacts, LockState, NdbFacts, ProofAnswer, Session,
    StatementError, WatchAnswer,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{BackendKind, Place};
use crate::connections::Line;
use crate::facts::facts;
use crate::network::NodeId;
use crate::server::{Process, SimChannel, SimServer, gtid_ranges};
use crate::tables::Tables;
use crate::world::{State, World};

/// One way through the network.
const LATENCY: Duration = Duration::from_micros(200);
/// Server ids of the nodes lie above those of managed servers.
const FIRST_ID: u32 = 101;

/// The port.
pub(crate) struct SimNodes {
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: NodeId,
}

impl SimNodes {
    async fn open(&self, node: usize, limit: Duration) -> Result<SimSession, ProbeFailure> {
        let place = *Place::BOTH.get(node).ok_or(ProbeFailure::Dns)?;
        sleep(LATENCY * 3).await;
        let (reached, process, incarnation, id) = {
            let mut state = self.world.lock();
            let reached = state.network.reaches(self.node, &place.name());
            let id = state.new_session();
            let database = state.backend.databases.at(place);
            (reached, database.process, database.incarnation, id)
        };
        match process {
            _ if !reached => {
                sleep(limit).await;
                Err(ProbeFailure::Timeout(TimeoutPhase::Connect))
            }
            Process::Dead => Err(ProbeFailure::Refused),
            Process::Frozen => {
                sleep(limit).await;
                Err(ProbeFailure::Timeout(TimeoutPhase::Handshake))
            }
            Process::Up => Ok(SimSession {
                world: Arc::clone(&self.world),
                clock: Arc::clone(&self.clock),
                node: self.node,
                place,
                incarnation,
                id,
            }),
        }
    }
}

#[async_trait]
impl BackendNodes for SimNodes {
    async fn watch(
        &self,
        node: usize,
        limit: Duration,
    ) -> Result<Box<dyn BackendWatch>, ProbeFailure> {
        Ok(Box::new(self.open(node, limit).await?))
    }

    async fn act(
        &self,
        node: usize,
        _lock: &str,
        limit: Duration,
    ) -> Result<Session, ProbeFailure> {
        Ok(Box::new(self.open(node, limit).await?))
    }
}

struct SimSession {
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    place: Place,
    incarnation: u64,
    id: u64,
}

impl Drop for SimSession {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        let database = state.backend.databases.at_mut(self.place);
        if database.lock == Some(self.id) {
            database.lock = None;
        }
    }
}

impl SimSession {
    fn line(&self) -> Line {
        let state = self.world.lock();
        let database = state.backend.databases.at(self.place);
        if !state.network.reaches(self.node, &self.place.name()) {
            return Line::Silent;
        }
        match database.process {
            _ if database.incarnation != self.incarnation => Line::Gone,
            Process::Dead => Line::Gone,
            Process::Frozen => Line::Silent,
            Process::Up => Line::Answers,
        }
    }

    /// Waits for `pause`, then for an answer within `limit`; the end of the process is noticed at
    /// once. The node answers at the moment at which this returns.
    async fn await_answer(&self, pause: Duration, limit: Duration) -> Result<(), ProbeFailure> {
        let mut changes = self.world.subscribe();
        let due = Instant::now() + pause + LATENCY * 2;
        let last = due + limit;
        loop {
            match self.line() {
                Line::Gone => return Err(ProbeFailure::Reset),
                Line::Answers if Instant::now() >= due => return Ok(()),
                Line::Silent if Instant::now() >= last => {
                    return Err(ProbeFailure::Timeout(TimeoutPhase::Statement));
                }
                Line::Answers | Line::Silent => {}
            }
            let until = if Instant::now() < due { due } else { last };
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    async fn read_server(&self, limit: Duration) -> Result<WatchAnswer, ProbeFailure> {
        let began = self.clock.now();
        self.await_answer(Duration::ZERO, limit).await?;
        let facts = server_facts(&self.world.lock(), self.place);
        Ok(WatchAnswer {
            began,
            round_trip: LATENCY * 2,
            facts,
        })
    }

    async fn wait_applied(&self, set: &GtidSet, limit: Duration) -> Result<(), StatementError> {
        let command = "wait-applied";
        let until = Instant::now() + limit;
        loop {
            let answered = self.await_answer(Duration::ZERO, limit).await;
            answered.map_err(|failure| unknown(command, failure))?;
            if executed(self.world.lock().backend.tables_at(self.place)).contains(set) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(StatementError::NotReached { command, limit });
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[async_trait]
impl BackendWatch for SimSession {
    async fn facts(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<FactsAnswer, ProbeFailure> {
        let began = self.clock.now();
        self.await_answer(pause, limit).await?;
        let state = self.world.lock();
        let facts = match state.backend.kind {
            BackendKind::Own | BackendKind::Synchronous => {
                BackendFacts::Ndb(ndb(&state, self.place))
            }
            BackendKind::Galera => BackendFacts::Galera(galera(&state, self.place)),
            BackendKind::Pair => BackendFacts::Pair(Box::new(server_facts(&state, self.place))),
        };
        Ok(FactsAnswer {
            began,
            round_trip: LATENCY * 2,
            facts: Ok(facts),
        })
    }

    async fn prove(&mut self, limit: Duration) -> Result<ProofAnswer, ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        let is_pair = self.world.lock().backend.kind == BackendKind::Pair;
        if !is_pair {
            let last = Instant::now() + limit;
            while is_stalled(&self.world.lock()) {
                if Instant::now() >= last {
                    return Ok(ProofAnswer {
                        proof: BackendProof::Late,
                        content: None,
                        reusable: false,
                    });
                }
                sleep(Duration::from_millis(1)).await;
            }
        }
        let state = self.world.lock();
        let leases = state.backend.tables_at(self.place).leases.values();
        Ok(ProofAnswer {
            proof: if is_pair {
                BackendProof::NotTried
            } else {
                BackendProof::Held
            },
            content: Some(BackendContent {
                epoch: leases.map(|lease| lease.epoch.0).max(),
                schema: Some(1),
                ..BackendContent::default()
            }),
            reusable: true,
        })
    }
}

#[async_trait]
impl ActSession for SimSession {
    async fn read(&mut self, limit: Duration) -> Result<WatchAnswer, ProbeFailure> {
        self.read_server(limit).await
    }

    async fn take_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        let mut state = self.world.lock();
        let database = state.backend.databases.at_mut(self.place);
        Ok(match *database.lock.get_or_insert(self.id) {
            own if own == self.id => LockState::Held,
            connection => LockState::HeldBy { connection },
        })
    }

    async fn verify_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        Ok(
            match self.world.lock().backend.databases.at(self.place).lock {
                None => LockState::Free,
                Some(own) if own == self.id => LockState::Held,
                Some(connection) => LockState::HeldBy { connection },
            },
        )
    }

    async fn evict(&mut self, _connection: u64, _limit: Duration) -> Result<(), ProbeFailure> {
        Err(ProbeFailure::Other("nobody evicts here".to_owned()))
    }

    async fn arm(&mut self, _guard: Guard, limit: Duration) -> Result<(), ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await
    }

    async fn perform(
        &mut self,
        command: &ServerCommand,
        limit: Duration,
    ) -> Result<(), StatementError> {
        let word = command.word();
        if let ServerCommand::WaitApplied { set, limit } = command {
            return self.wait_applied(set, *limit).await;
        }
        let answered = self.await_answer(Duration::ZERO, limit).await;
        answered.map_err(|failure| unknown(word, failure))?;
        let mut state = self.world.lock();
        let holds = state.backend.databases.at(self.place).lock == Some(self.id);
        match command {
            ServerCommand::Fence { .. } => {
                state.backend.databases.at_mut(self.place).read_only = true;
            }
            ServerCommand::ReconnectReceiver { .. } => {
                state.backend.databases.at_mut(self.place).connected = false;
            }
            ServerCommand::OpenWrites(_) if holds => state.backend.open(self.place),
            ServerCommand::OpenWrites(_) => {
                return Err(StatementError::GuardFailed { command: word });
            }
            _ => {
                return Err(StatementError::Refused {
                    command: word,
                    number: 1295,
                    message: "a node of the backend is not asked for this".to_owned(),
                });
            }
        }
        let (name, node) = (self.place.name(), self.node);
        state.tell(|| format!("{node}: {word} on {name}"));
        Ok(())
    }
}

fn unknown(command: &'static str, failure: ProbeFailure) -> StatementError {
    StatementError::OutcomeUnknown {
        command,
        failure: FailureWord(failure),
    }
}

fn is_stalled(state: &State) -> bool {
    state.now < state.backend.stalled_until || state.backend.away(state.now)
}

fn is_joined(state: &State) -> bool {
    let network = &state.network;
    network.passes(Place::First.name(), Place::Second.name())
}

/// One part of a cluster that is cut has the majority; here, that of the active node.
fn has_majority(state: &State, place: Place) -> bool {
    is_joined(state) || state.backend.active == place
}

fn galera(state: &State, place: Place) -> GaleraFacts {
    let primary = has_majority(state, place);
    let is_joining = state.backend.is_joining(place);
    let other = state.backend.databases.at(place.other());
    let sees_other = is_joined(state) && other.process == Process::Up;
    GaleraFacts {
        on: true,
        ready: primary && !is_joining,
        primary,
        local_state: if is_joining { 1 } else { 4 },
        size: Some(if sees_other { 2 } else { 1 }),
        uuid: "00000001-0000-11ef-8000-000000000001".to_owned(),
        index: Some(0),
        last_committed: None,
        desync: false,
        reject_queries: "NONE".to_owned(),
        read_only: false,
    }
}

fn ndb(state: &State, place: Place) -> NdbFacts {
    let is_connected = has_majority(state, place) && !state.backend.is_joining(place);
    NdbFacts {
        ready_nodes: Some(if is_connected { 2 } else { 0 }),
        data_nodes: Some(2),
        node_id: None,
        system: Some("simulated".to_owned()),
        read_only: false,
        super_read_only: false,
    }
}

fn executed(tables: &Tables) -> GtidSet {
    let [first, second] = tables.commits;
    gtid_ranges([(FIRST_ID, first), (FIRST_ID + 1, second)])
}

/// A node of a pair, read like a managed server.
fn server_facts(state: &State, place: Place) -> ServerFacts {
    let database = state.backend.databases.at(place);
    let number = match place {
        Place::First => FIRST_ID,
        Place::Second => FIRST_ID + 1,
    };
    let mut server = SimServer::new(number, place.address());
    server.read_only = database.read_only;
    server.channel = Some(SimChannel {
        source: place.other().address(),
        receiver_on: true,
        connected: database.connected,
        applier_on: true,
        heartbeats: 0,
        heartbeat_period: 1_000,
        cursor: 0,
    });
    let mut facts = facts(state, &server);
    facts.executed = executed(state.backend.tables_at(place));
    let received = database.relay.as_ref().map(executed);
    for channel in &mut facts.channels {
        channel.received = received.clone().unwrap_or_else(|| facts.executed.clone());
    }
    facts
}
