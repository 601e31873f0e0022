//! The clock of deadlines, and the queue in front of the engine.
//!
//! wasmtime ends a call when the engine's epoch has advanced far enough. A thread of its own
//! advances it, because a timer of the asynchronous runtime would stop together with the runtime
//! that a spinning policy blocks. It sleeps while no call runs: a process that only watches must
//! not wake up a thousand times a second.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::limits::CONCURRENT_CALLS_MAX;

/// Length of one tick; a deadline is as exact as this plus the scheduler's delay.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks for which the thread stays awake after the last call, so that the calls of one decision
/// wake it once.
const LINGER_TICKS: u32 = 20;

#[derive(Default)]
struct State {
    running: u32,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A call began, or the ticker is to end.
    begun: Condvar,
    /// A call ended.
    ended: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and the two fields are always consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

/// Permission to run one call; the ticker ticks while it exists.
pub(crate) struct Turn<'a> {
    shared: &'a Shared,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ticking = Arc::clone(&shared);
        thread::Builder::new()
            .name("policy-ticker".into())
            .spawn(move || tick(&ticking, &engine))?;
        Ok(Self { shared })
    }

    /// Waits until a call may run. Calls are short and bounded, so the wait is too.
    pub(crate) fn turn(&self) -> Turn<'_> {
        let mut state = self.shared.lock();
        while state.running >= CONCURRENT_CALLS_MAX {
            state = self
                .shared
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.running += 1;
        drop(state);
        self.shared.begun.notify_one();
        Turn {
            shared: &self.shared,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.shared.lock().running -= 1;
        self.shared.ended.notify_one();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.begun.notify_one();
    }
}

fn tick(shared: &Shared, engine: &Engine) {
    let mut idle = 0;
    loop {
        let mut state = shared.lock();
        idle = if state.running > 0 { 0 } else { idle + 1 };
        while idle > LINGER_TICKS && state.running == 0 && !state.closed {
            state = shared
                .begun
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return;
        }
        drop(state);
        thread::sleep(TICK);
        engine.increment_epoch();
    }
}
