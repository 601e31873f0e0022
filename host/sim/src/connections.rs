//! Sessions as the servers see them. A statement that was sent takes effect although its sender is
//! dead, frozen or cut off by then; a session whose client vanished without a word keeps its lock
//! until the server gives it up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_core::command::ServerCommand;
use baton_core::ids::Address;
use baton_ports::{LockState, StatementError};
use tokio::sync::oneshot;

use crate::commands;
use crate::faults::{Moment, Point};
use crate::invariants::{Violation, note_promotion};
use crate::network::NodeId;
use crate::server::Process;
use crate::votes;
use crate::world::{Snap, State};

/// `wait_timeout` of sessions that hold a lock, milliseconds.
const WAIT_TIMEOUT: u64 = 10_000;
/// One way through the network, milliseconds.
const ONE_WAY: u64 = 1;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: BTreeMap<u64, Connection>,
    on_the_way: Vec<Statement>,
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Whose it is.
    pub(crate) node: NodeId,
    /// Server.
    pub(crate) address: Address,
    /// The server's process that it was opened to.
    pub(crate) incarnation: u64,
    armed_until: Option<u64>,
    used: u64,
    /// The client has closed its end.
    closing: bool,
    /// The server has ended it.
    ended: bool,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    TakeLock,
    VerifyLock,
    Evict(u64),
    Arm(Duration),
    Apply(ServerCommand),
    /// A fence that was left for a frozen server.
    LateFence,
}

/// What the server answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Lock(LockState),
    Done,
    Outcome(Result<(), StatementError>),
}

#[derive(Debug)]
struct Statement {
    session: u64,
    due: u64,
    /// Who had taken over when it was sent.
    replaced_by: Option<NodeId>,
    work: Work,
    reply: oneshot::Sender<Answer>,
}

/// How a session looks from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Statements are answered.
    Answers,
    /// Nothing comes back.
    Silent,
    /// It was closed.
    Gone,
}

impl Connections {
    /// A session of a node, if its server lives.
    pub(crate) fn insert(&mut self, id: u64, connection: Connection) {
        self.open.insert(id, connection);
    }

    /// The client closes its end.
    pub(crate) fn close(&mut self, id: u64) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.closing = true;
        }
    }

    /// Marks that the server has heard of the session now.
    pub(crate) fn touch(&mut self, id: u64, now: u64) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.used = now;
        }
    }

    /// Whose session it is.
    pub(crate) fn owner(&self, id: u64) -> Option<NodeId> {
        self.open.get(&id).map(|connection| connection.node)
    }
}

impl Connection {
    pub(crate) fn new(node: NodeId, address: Address, incarnation: u64, now: u64) -> Self {
        Self {
            node,
            address,
            incarnation,
            armed_until: None,
            used: now,
            closing: false,
            ended: false,
        }
    }
}

/// Sends a statement.
pub(crate) fn send(state: &mut State, session: u64, work: Work) -> oneshot::Receiver<Answer> {
    let (reply, answer) = oneshot::channel();
    let node = state.connections.owner(session);
    let replaced_by = node.and_then(|node| votes::replaced_by(state, node));
    state.connections.on_the_way.push(Statement {
        session,
        due: state.now + ONE_WAY,
        replaced_by,
        work,
        reply,
    });
    answer
}

/// How a session looks from its client.
pub(crate) fn line(state: &State, id: u64) -> Line {
    let Some(connection) = state.connections.open.get(&id) else {
        return Line::Gone;
    };
    if !state.network.reaches(connection.node, &connection.address) {
        return Line::Silent;
    }
    match state.servers.get(&connection.address) {
        Some(server) if connection.ended || server.incarnation != connection.incarnation => {
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

/// Statements arrive, then sessions end: what was sent before a close still takes effect.
pub(crate) fn tick(state: &mut State) {
    execute(state);
    end_sessions(state);
}

fn execute(state: &mut State) {
    let on_the_way = std::mem::take(&mut state.connections.on_the_way);
    let mut later = Vec::new();
    // A session's statements arrive in order.
    let mut blocked: BTreeSet<u64> = BTreeSet::new();
    for statement in on_the_way {
        let session = statement.session;
        let line = line(state, session);
        let early = statement.due > state.now || blocked.contains(&session);
        match line {
            Line::Answers if !early => arrive(state, statement),
            Line::Answers | Line::Silent => {
                blocked.insert(session);
                later.push(statement);
            }
            // The reply's sender is dropped: the client sees a closed connection.
            Line::Gone => {}
        }
    }
    later.append(&mut state.connections.on_the_way);
    state.connections.on_the_way = later;
}

fn arrive(state: &mut State, statement: Statement) {
    let Statement {
        session,
        work,
        reply,
        replaced_by,
        due: _,
    } = statement;
    let Some(connection) = state.connections.open.get(&session).cloned() else {
        return;
    };
    state.connections.touch(session, state.now);
    let answer = match work {
        Work::TakeLock => Answer::Lock(lock(state, session, &connection.address, true)),
        Work::VerifyLock => Answer::Lock(lock(state, session, &connection.address, false)),
        Work::Evict(other) => {
            state.tell(|| {
                format!(
                    "{} evicts {other} on {}",
                    connection.node, connection.address
                )
            });
            end(state, other);
            Answer::Done
        }
        Work::Arm(within) => {
            let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            let until = state.now.saturating_add(within);
            if let Some(connection) = state.connections.open.get_mut(&session) {
                connection.armed_until = Some(until);
            }
            Answer::Done
        }
        Work::LateFence => Answer::Outcome(late_fence(state, &connection)),
        Work::Apply(command) => {
            let outcome = apply(state, session, &connection, &command);
            state.tell(|| {
                let (node, address) = (connection.node, &connection.address);
                format!("{node}: {} on {address}: {outcome:?}", command.word())
            });
            if outcome.is_ok() {
                let change = (&connection.address, command.word());
                votes::note_change(state, change, connection.node, replaced_by);
            }
            let point = (Point::Change, Moment::After);
            match state.at_point(point, connection.node, Some(&connection.address)) {
                Snap::LoseReply => return,
                Snap::KillServer => kill(state, &connection.address),
                Snap::Nothing | Snap::Sprung => {}
            }
            Answer::Outcome(outcome)
        }
    };
    // A client that is not there any more does not read it.
    drop(reply.send(answer));
}

/// A server's process ends.
pub(crate) fn kill(state: &mut State, address: &Address) {
    if let Some(server) = state.servers.get_mut(address) {
        server.die();
    }
}

fn lock(state: &mut State, session: u64, address: &Address, take: bool) -> LockState {
    let Some(server) = state.servers.get_mut(address) else {
        return LockState::Free;
    };
    match server.lock {
        None if take => {
            server.lock = Some(session);
            LockState::Held
        }
        None => LockState::Free,
        Some(holder) if holder == session => LockState::Held,
        Some(connection) => LockState::HeldBy { connection },
    }
}

/// Carried out unless another node holds the lock.
fn late_fence(state: &mut State, connection: &Connection) -> Result<(), StatementError> {
    let command = ServerCommand::Fence { kill_writers: true };
    let server = state.servers.get(&connection.address);
    let holder = server.and_then(|server| server.lock);
    let owner = holder.and_then(|session| state.connections.owner(session));
    if owner.is_some_and(|node| node != connection.node) {
        let command = command.word();
        return Err(StatementError::GuardFailed { command });
    }
    commands::execute(state, &connection.address, &command)
}

fn apply(
    state: &mut State,
    session: u64,
    connection: &Connection,
    command: &ServerCommand,
) -> Result<(), StatementError> {
    let word = command.word();
    let address = &connection.address;
    let server = state.servers.get(address);
    let holds = server.is_some_and(|server| server.lock == Some(session));
    if let ServerCommand::OpenWrites(guard) = command {
        let is_late = state.late_openings > 0;
        state.late_openings = state.late_openings.saturating_sub(1);
        if !holds
            || is_late
            || connection
                .armed_until
                .is_none_or(|until| state.now >= until)
        {
            return Err(StatementError::GuardFailed { command: word });
        }
        note_promotion(state, address, connection.node);
        votes::note_opening(state, address, connection.node, guard.within);
    } else if !holds {
        state.violations.push(Violation::ActedWithoutLock {
            address: address.clone(),
            command: word,
        });
    }
    commands::execute(state, address, command)
}

/// The server ends a session: its lock is free.
fn end(state: &mut State, id: u64) {
    let Some(connection) = state.connections.open.get_mut(&id) else {
        return;
    };
    connection.ended = true;
    state.stirred = true;
    if let Some(server) = state.servers.get_mut(&connection.address)
        && server.lock == Some(id)
    {
        server.lock = None;
    }
}

fn end_sessions(state: &mut State) {
    let now = state.now;
    let mut over = Vec::new();
    let mut gone = Vec::new();
    for (id, connection) in &state.connections.open {
        let Some(server) = state.servers.get(&connection.address) else {
            gone.push(*id);
            continue;
        };
        let of_this_process = server.incarnation == connection.incarnation;
        let serves = of_this_process && server.process == Process::Up;
        let heard =
            connection.closing && state.network.reaches(connection.node, &connection.address);
        let idle = server.lock == Some(*id) && now > connection.used + WAIT_TIMEOUT;
        if serves && !connection.ended && (heard || idle) {
            over.push(*id);
        }
        let forgotten = connection.ended || !of_this_process || server.process == Process::Dead;
        if connection.closing && forgotten {
            gone.push(*id);
        }
    }
    for id in over {
        end(state, id);
    }
    for id in gone {
        state.connections.open.remove(&id);
    }
}
