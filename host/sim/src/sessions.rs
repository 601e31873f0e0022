//! The port to servers, simulated, from the side of a node: latency, silence, refusals, lost
//! replies.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::command::{Guard, ServerCommand};
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_ports::{
    ActSession, Clock, FailureWord, LockState, Servers, Session, StandbyFence, StatementError,
    Watch, WatchAnswer,
};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::connections::{Answer, Connection, Line, Work, kill, line, send};
use crate::facts::facts;
use crate::faults::{Moment, Point};
use crate::network::{NodeId, SECOND_NAME, SECOND_NAME_OF};
use crate::server::{Process, gtid_set};
use crate::world::{Snap, World};

/// One way through the network.
const LATENCY: Duration = Duration::from_micros(200);

/// The port.
pub(crate) struct SimServers {
    /// The world.
    pub(crate) world: Arc<World>,
    /// The node's clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The node.
    pub(crate) node: NodeId,
}

struct SimSession {
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    address: Address,
    id: u64,
}

impl Drop for SimSession {
    fn drop(&mut self) {
        self.world.lock().connections.close(self.id);
    }
}

impl SimSession {
    fn line(&self) -> Line {
        line(&self.world.lock(), self.id)
    }

    /// Waits for `pause`, then for an answer within `limit`; the end of the process is noticed at
    /// once.
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

    /// Sends a statement and waits for what the server answers.
    async fn ask(&self, work: Work, limit: Duration) -> Result<Answer, ProbeFailure> {
        let answer = send(&mut self.world.lock(), self.id, work);
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(ProbeFailure::Reset),
            Err(_) => Err(ProbeFailure::Timeout(TimeoutPhase::Statement)),
        }
    }

    async fn ask_lock(&self, work: Work, limit: Duration) -> Result<LockState, ProbeFailure> {
        match self.ask(work, limit).await? {
            Answer::Lock(state) => Ok(state),
            Answer::Done | Answer::Outcome(_) => Err(strange()),
        }
    }
}

fn strange() -> ProbeFailure {
    ProbeFailure::Other("an answer to another statement".to_owned())
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
        let answer = self.read_after(Duration::ZERO, limit).await?;
        let mut state = self.world.lock();
        let now = state.now;
        state.connections.touch(self.id, now);
        Ok(answer)
    }

    async fn take_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.ask_lock(Work::TakeLock, limit).await
    }

    async fn verify_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        self.ask_lock(Work::VerifyLock, limit).await
    }

    async fn evict(&mut self, connection: u64, limit: Duration) -> Result<(), ProbeFailure> {
        self.ask(Work::Evict(connection), limit).await.map(drop)
    }

    async fn arm(&mut self, guard: Guard, limit: Duration) -> Result<(), ProbeFailure> {
        self.ask(Work::Arm(guard.within), limit).await.map(drop)
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
        if let ServerCommand::WaitApplied { set, limit } = command {
            return self.wait_applied(set, *limit).await;
        }
        self.before_change().await;
        let answer = self.ask(Work::Apply(command.clone()), limit).await;
        match answer.map_err(unknown)? {
            Answer::Outcome(outcome) => outcome,
            Answer::Lock(_) | Answer::Done => Err(unknown(strange())),
        }
    }
}

impl SimSession {
    /// A fault before the statement is sent: a node that is frozen by it sends the statement when
    /// it goes on.
    async fn before_change(&self) {
        let snap = {
            let mut state = self.world.lock();
            let point = (Point::Change, Moment::Before);
            let snap = state.at_point(point, self.node, Some(&self.address));
            if snap == Snap::KillServer {
                kill(&mut state, &self.address);
            }
            snap
        };
        if snap != Snap::Nothing {
            sleep(LATENCY).await;
        }
    }

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
            let reached = {
                let state = self.world.lock();
                let server = state.servers.get(&self.address);
                server.is_some_and(|server| gtid_set(&server.executed).contains(set))
            };
            if reached {
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
}

/// A fence kept ready.
struct SimStandby(SimSession);

#[async_trait]
impl StandbyFence for SimStandby {
    async fn fence(self: Box<Self>, limit: Duration) -> Result<(), StatementError> {
        let word = ServerCommand::Fence { kill_writers: true }.word();
        let unknown = |failure| StatementError::OutcomeUnknown {
            command: word,
            failure: FailureWord(failure),
        };
        match self.0.ask(Work::LateFence, limit).await.map_err(unknown)? {
            Answer::Outcome(outcome) => outcome,
            Answer::Lock(_) | Answer::Done => Err(unknown(strange())),
        }
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

    async fn standby(
        &self,
        address: &Address,
        _lock: &str,
        limit: Duration,
    ) -> Result<Box<dyn StandbyFence>, ProbeFailure> {
        let session = self.open(address, limit).await?;
        Ok(Box::new(SimStandby(session)))
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
        let until = Instant::now() + limit;
        let mut changes = self.world.subscribe();
        loop {
            match self.connect(address) {
                Ok(session) => return Ok(session),
                Err(Process::Frozen) => {}
                Err(Process::Up | Process::Dead) => return Err(ProbeFailure::Refused),
            }
            // One that was silent answers when it goes on, if it does so in time.
            if !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
                return Err(ProbeFailure::Timeout(TimeoutPhase::Handshake));
            }
        }
    }

    fn connect(&self, address: &Address) -> Result<SimSession, Process> {
        let mut state = self.world.lock();
        if !state.network.reaches(self.node, address) {
            return Err(Process::Frozen);
        }
        let server = state.servers.get(address).ok_or(Process::Dead)?;
        if server.process != Process::Up {
            return Err(server.process);
        }
        let connection = Connection::new(self.node, address.clone(), server.incarnation, state.now);
        let id = state.new_session();
        state.connections.insert(id, connection);
        Ok(SimSession {
            world: Arc::clone(&self.world),
            clock: Arc::clone(&self.clock),
            node: self.node,
            address: address.clone(),
            id,
        })
    }
}
