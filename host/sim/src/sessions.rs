//! The port to servers, simulated: latency, silence, refusals, lost replies, and the lock that each change needs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::execution::{Guard, ServerCommand};
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_core::time::Timestamp;
use baton_ports::{
    ActSession, Clock, FailureWord, LockState, Servers, Session, StatementError, Watch, WatchAnswer,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::facts::facts;
use crate::faults::Moment;
use crate::invariants::{Violation, note_promotion};
use crate::network::{BATON, SECOND_NAME, SECOND_NAME_OF};
use crate::server::{Process, SimChannel, SimServer, gtid_set};
use crate::world::{State, World};

/// One way through the network.
const LATENCY: Duration = Duration::from_micros(200);

/// Virtual time as the node's clock.
#[derive(Debug)]
pub(crate) struct SimClock {
    start: Instant,
}

impl SimClock {
    /// A clock that starts now.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        // Not zero: an instant before anything happened would look like "never".
        Timestamp::from_micros(
            1 + u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
        )
    }

    fn wall(&self) -> baton_core::time::WallTime {
        baton_core::time::WallTime::from_millis(1_700_000_000_000 + self.now().micros() / 1000)
    }
}

/// The port.
pub(crate) struct SimServers {
    /// The world.
    pub(crate) world: Arc<World>,
    /// The node's clock.
    pub(crate) clock: Arc<dyn Clock>,
}

struct SimSession {
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    address: Address,
    incarnation: u64,
    id: u64,
    armed_until: Option<Instant>,
}

impl Drop for SimSession {
    fn drop(&mut self) {
        let id = self.id;
        let address = self.address.clone();
        self.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&address)
                && server.lock == Some(id)
            {
                server.lock = None;
            }
        });
    }
}

enum Line {
    Answers,
    Silent,
    Gone,
}

impl SimSession {
    fn line(&self) -> Line {
        let state = self.world.lock();
        if !state.network.passes(BATON, &self.address.to_string()) {
            return Line::Silent;
        }
        match state.servers.get(&self.address) {
            Some(server)
                if server.incarnation != self.incarnation || server.killed.contains(&self.id) =>
            {
                Line::Gone
            }
            Some(server) => match server.process {
                Process::Up => Line::Answers,
                Process::Frozen => Line::Silent,
                Process::Dead => Line::Gone,
            },
            None => Line::Gone,
        }
    }

    /// Waits for `pause`, then for an answer within `limit`; the end of the process is noticed at once.
    async fn await_answer(&self, pause: Duration, limit: Duration) -> Result<(), ProbeFailure> {
        let mut changes = self.world.subscribe();
        let due = Instant::now() + pause + LATENCY;
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

    async fn read_after(
        &self,
        pause: Duration,
        limit: Duration,
    ) -> Result<WatchAnswer, ProbeFailure> {
        self.await_answer(pause, limit).await?;
        let began = self.clock.now();
        let answer = {
            let state = self.world.lock();
            state
                .servers
                .get(&self.address)
                .map(|server| facts(&state, server))
        };
        sleep(LATENCY).await;
        let facts = answer.ok_or(ProbeFailure::Reset)?;
        match self.line() {
            Line::Answers => Ok(WatchAnswer {
                began,
                round_trip: LATENCY * 2,
                facts,
            }),
            Line::Silent => {
                sleep(limit).await;
                Err(ProbeFailure::Timeout(TimeoutPhase::Statement))
            }
            Line::Gone => Err(ProbeFailure::Reset),
        }
    }

    fn on_server<T>(&self, work: impl FnOnce(&mut SimServer, u64) -> T) -> Option<T> {
        let id = self.id;
        self.world.change(|state| {
            state
                .servers
                .get_mut(&self.address)
                .map(|server| work(server, id))
        })
    }
}

#[async_trait]
impl Watch for SimSession {
    async fn read(
        &mut self,
        pause: Duration,
        limit: Duration,
    ) -> Result<WatchAnswer, ProbeFailure> {
        self.read_after(pause, limit).await
    }
}

#[async_trait]
impl ActSession for SimSession {
    async fn read(&mut self, limit: Duration) -> Result<WatchAnswer, ProbeFailure> {
        self.read_after(Duration::ZERO, limit).await
    }

    async fn take_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        let state = self.on_server(|server, id| match server.lock {
            None => {
                server.lock = Some(id);
                LockState::Held
            }
            Some(holder) if holder == id => LockState::Held,
            Some(connection) => LockState::HeldBy { connection },
        });
        state.ok_or(ProbeFailure::Reset)
    }

    async fn verify_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        let state = self.on_server(|server, id| match server.lock {
            Some(holder) if holder == id => LockState::Held,
            Some(connection) => LockState::HeldBy { connection },
            None => LockState::Free,
        });
        state.ok_or(ProbeFailure::Reset)
    }

    async fn evict(&mut self, connection: u64, limit: Duration) -> Result<(), ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        self.on_server(|server, _| {
            server.killed.insert(connection);
            if server.lock == Some(connection) {
                server.lock = None;
            }
        })
        .ok_or(ProbeFailure::Reset)
    }

    async fn arm(&mut self, guard: Guard, limit: Duration) -> Result<(), ProbeFailure> {
        self.await_answer(Duration::ZERO, limit).await?;
        self.armed_until = Some(Instant::now() + guard.within);
        Ok(())
    }

    async fn perform(
        &mut self,
        command: &ServerCommand,
        limit: Duration,
    ) -> Result<(), StatementError> {
        let word = command.word();
        let unknown = |failure| StatementError::OutcomeUnknown {
            command: word,
            failure: FailureWord(failure),
        };
        let is_change = !matches!(command, ServerCommand::WaitApplied { .. });
        if is_change {
            drop_reply_flag(self.world.at_change(Moment::Before, &self.address));
        }
        self.await_answer(Duration::ZERO, limit)
            .await
            .map_err(unknown)?;
        if let ServerCommand::WaitApplied { set, limit } = command {
            return self.wait_applied(set, *limit).await;
        }
        let outcome = self.apply(command);
        let reply_lost = self.world.at_change(Moment::After, &self.address);
        outcome?;
        if reply_lost {
            return Err(unknown(ProbeFailure::Reset));
        }
        self.await_answer(Duration::ZERO, limit)
            .await
            .map_err(unknown)
    }
}

/// A reply cannot be lost before the statement was executed.
fn drop_reply_flag(_lost: bool) {}

impl SimSession {
    async fn wait_applied(
        &self,
        set: &baton_core::gtid::GtidSet,
        limit: Duration,
    ) -> Result<(), StatementError> {
        let until = Instant::now() + limit;
        loop {
            let unknown = |failure| StatementError::OutcomeUnknown {
                command: "wait-applied",
                failure: FailureWord(failure),
            };
            self.await_answer(Duration::ZERO, limit)
                .await
                .map_err(unknown)?;
            if self.on_server(|server, _| gtid_set(&server.executed).contains(set)) == Some(true) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(StatementError::NotReached {
                    command: "wait-applied",
                    limit,
                });
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn apply(&self, command: &ServerCommand) -> Result<(), StatementError> {
        let word = command.word();
        let (armed, now) = (self.armed_until, Instant::now());
        let (id, address) = (self.id, self.address.clone());
        self.world.change(|state| {
            let holds = state
                .servers
                .get(&address)
                .is_some_and(|server| server.lock == Some(id));
            if let ServerCommand::OpenWrites(_) = command {
                if !holds || armed.is_none_or(|until| now >= until) {
                    return Err(StatementError::GuardFailed { command: word });
                }
                note_promotion(state, &address);
            } else if !holds {
                state.violations.push(Violation::ActedWithoutLock {
                    address: address.clone(),
                    command: word,
                });
            }
            let Some(server) = state.servers.get_mut(&address) else {
                return Ok(());
            };
            change_server(server, command);
            after_change(state, &address, command);
            Ok(())
        })
    }
}

fn change_server(server: &mut SimServer, command: &ServerCommand) {
    let set = |server: &mut SimServer, receiver: Option<bool>, applier: Option<bool>| {
        if let Some(channel) = &mut server.channel {
            if let Some(on) = receiver {
                channel.receiver_on = on;
                channel.connected &= on;
            }
            channel.applier_on = applier.unwrap_or(channel.applier_on);
        }
    };
    match command {
        ServerCommand::Fence { kill_writers: _ } => server.read_only = true,
        ServerCommand::OpenWrites(_) => server.read_only = false,
        ServerCommand::StopReceivers { channel: _ }
        | ServerCommand::SeverReceivers { channel: _ } => set(server, Some(false), None),
        ServerCommand::StartReceivers { channel: _ } => set(server, Some(true), None),
        ServerCommand::ReconnectReceiver { channel: _ } => {
            set(server, Some(false), None);
            set(server, Some(true), None);
        }
        ServerCommand::StopReplication { channel: _ } => set(server, Some(false), Some(false)),
        ServerCommand::StartReplication { channel: _ } => set(server, Some(true), Some(true)),
        ServerCommand::StartAppliers => set(server, None, Some(true)),
        ServerCommand::ForgetReplication { channel: _ } => {
            server.channel = None;
            server.relay.clear();
        }
        ServerCommand::PointAt {
            source,
            start,
            channel: _,
            configured_account: _,
        } => {
            // The worst a real server does: relay logs that are not applied yet are dropped and fetched again.
            server.relay.clear();
            server.channel = Some(SimChannel {
                source: source.clone(),
                receiver_on: *start,
                connected: false,
                applier_on: *start,
                heartbeats: 0,
                cursor: 0,
            });
        }
        ServerCommand::WaitApplied { .. } | ServerCommand::SetSemiSync { .. } => {}
    }
}

/// A living source accepts a reconnecting receiver at once.
fn after_change(state: &mut State, address: &Address, command: &ServerCommand) {
    let reconnects = matches!(
        command,
        ServerCommand::ReconnectReceiver { .. }
            | ServerCommand::StartReceivers { .. }
            | ServerCommand::StartReplication { .. }
            | ServerCommand::PointAt { .. }
    );
    if reconnects {
        crate::replication::connect(state, address);
    }
}

#[async_trait]
impl Servers for SimServers {
    async fn watch(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Box<dyn Watch>, ProbeFailure> {
        let session = self.open(address, limit).await?;
        Ok(Box::new(session))
    }

    async fn act(
        &self,
        address: &Address,
        lock: &str,
        limit: Duration,
    ) -> Result<Session, ProbeFailure> {
        if lock.len() > 64 {
            return Err(ProbeFailure::Other("lock name too long".to_owned()));
        }
        let session = self.open(address, limit).await?;
        Ok(Box::new(session))
    }

    async fn resolve(&self, host: &str) -> Vec<String> {
        sleep(LATENCY).await;
        vec![real_host(host).to_owned()]
    }
}

/// Where a host name leads: a server's own, or the second name that one of them has.
fn real_host(host: &str) -> &str {
    if host == SECOND_NAME {
        SECOND_NAME_OF
    } else {
        host
    }
}

impl SimServers {
    async fn open(&self, address: &Address, limit: Duration) -> Result<SimSession, ProbeFailure> {
        let address = &Address {
            host: real_host(&address.host).to_owned(),
            port: address.port,
        };
        sleep(LATENCY * 3).await;
        let found = {
            let state = self.world.lock();
            if state.network.passes(BATON, &address.to_string()) {
                state
                    .servers
                    .get(address)
                    .map(|server| (server.process, server.incarnation))
            } else {
                Some((Process::Frozen, 0))
            }
        };
        match found {
            None | Some((Process::Dead, _)) => Err(ProbeFailure::Refused),
            Some((Process::Frozen, _)) => {
                sleep(limit).await;
                Err(ProbeFailure::Timeout(TimeoutPhase::Handshake))
            }
            Some((Process::Up, incarnation)) => Ok(SimSession {
                world: Arc::clone(&self.world),
                clock: Arc::clone(&self.clock),
                address: address.clone(),
                incarnation,
                id: self.world.new_session(),
                armed_until: None,
            }),
        }
    }
}
