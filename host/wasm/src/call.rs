//! One call: a fresh instance, a question, an answer or a classified failure.

use std::time::{Duration, Instant};

use baton_ports::PolicyFailure;
use wasmtime::{Store, Trap};

use crate::engine::PolicyEngine;
use crate::guest::{Guest, printable};
use crate::limits::{ANSWER_BYTES_MAX, Limits};
use crate::ticker::TICK;
use crate::world::{Instance, Linked};

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// It trapped: a panic, an unreachable instruction, a stack overflow. The text says which.
    #[error("the policy trapped: {0}")]
    Trap(String),
    /// It ran past its wall-clock deadline.
    #[error("the policy gave no answer within {0:?}")]
    Deadline(Duration),
    /// It used up its work limit.
    #[error("the policy used up its limit of {0} units of work")]
    Fuel(u64),
    /// It failed after it was refused more memory.
    #[error("the policy needs more than its limit of {0} bytes of memory")]
    Memory(usize),
    /// What it handed over is not what the contract says.
    #[error("the policy's answer is malformed: {0}")]
    Malformed(String),
    /// The answer is well formed but not acceptable, for example names a server that is not in the
    /// question.
    #[error("the policy's answer is nonsense: {0}")]
    Nonsense(String),
    /// The policy says that it cannot answer.
    #[error("the policy declined: {0}")]
    Declined(String),
}

impl CallFailure {
    /// The stable word of the failure.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Fuel(_) => "fuel",
            Self::Memory(_) => "memory",
            Self::Malformed(_) => "malformed",
            Self::Nonsense(_) => "nonsense",
            Self::Declined(_) => "declined",
        }
    }

    pub(crate) fn of(&self, policy: &str) -> PolicyFailure {
        PolicyFailure {
            policy: policy.to_owned(),
            kind: self.kind().to_owned(),
            text: self.to_string(),
        }
    }
}

/// Outcome of one call.
#[derive(Debug)]
pub(crate) struct Called<T> {
    pub(crate) answer: Result<T, CallFailure>,
    pub(crate) log: Vec<String>,
    /// Units of work used; equal for equal questions.
    pub(crate) fuel: u64,
}

/// Runs `ask` in a fresh instance under the limits. `size` is the number of servers or nodes in the
/// question.
pub(crate) fn in_fresh_instance<T>(
    engine: &PolicyEngine,
    linked: &Linked,
    limits: &Limits,
    size: usize,
    ask: impl FnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, CallFailure>>,
) -> Called<T> {
    let turn = engine.ticker().turn();
    let fuel = limits.fuel_for(size);
    let mut store = Store::new(engine.engine(), Guest::new(limits.memory));
    store.limiter(|guest| guest);
    // All limits come before the instantiation: a start function is the policy's code too.
    store.set_epoch_deadline(ticks(limits.deadline));
    store.epoch_deadline_trap();
    store.set_hostcall_fuel(ANSWER_BYTES_MAX);
    let begun = Instant::now();
    let outcome = store
        .set_fuel(fuel)
        .and_then(|()| linked.instantiate(&mut store))
        .and_then(|instance| ask(&mut store, &instance));
    let used = fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let refused = store.data().memory_refused();
    let answer = outcome.unwrap_or_else(|error| Err(classify(&error, limits, fuel, refused)));
    tracing::trace!(
        fuel = used,
        elapsed_us = begun.elapsed().as_micros(),
        "policy call ended"
    );
    let log = store.into_data().into_lines();
    drop(turn);
    Called {
        answer,
        log,
        fuel: used,
    }
}

/// One tick more than the deadline has, because the first tick may come at once.
fn ticks(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_millis() / TICK.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

fn classify(
    error: &wasmtime::Error,
    limits: &Limits,
    fuel: u64,
    memory_refused: bool,
) -> CallFailure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallFailure::Deadline(limits.deadline),
        Some(Trap::OutOfFuel) => CallFailure::Fuel(fuel),
        Some(_) | None if memory_refused => CallFailure::Memory(limits.memory),
        Some(trap) => CallFailure::Trap(trap.to_string()),
        // Errors of decoding an answer have no type of their own.
        None => CallFailure::Malformed(cause(error)),
    }
}

/// The innermost text of an engine's error: the outer ones are a backtrace, of use only in a
/// debugger.
pub(crate) fn cause(error: &wasmtime::Error) -> String {
    let innermost = error
        .chain()
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    printable(innermost.lines().next().unwrap_or("unknown"))
}
