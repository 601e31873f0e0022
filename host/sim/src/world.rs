//! Everything outside of Baton: servers, network, faults, and what clients were promised.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_core::ids::Address;
use tokio::sync::watch;

use crate::faults::{Fault, Moment, Trap};
use crate::invariants::Violation;
use crate::network::Network;
use crate::server::{Process, SimServer, Txn};

/// State of the world, behind one lock.
#[derive(Debug, Default)]
pub struct State {
    /// Servers by address.
    pub servers: BTreeMap<Address, SimServer>,
    /// Network.
    pub(crate) network: Network,
    /// Transactions that clients were told are committed, while semi-sync was in force.
    pub acknowledged: Vec<Txn>,
    /// By origin, the last transaction that survived two failures at once; what is later is not demanded.
    pub excused_after: BTreeMap<u32, u64>,
    /// The armed trap.
    pub trap: Option<Trap>,
    /// Changes sent since it was armed.
    pub changes: u32,
    /// The trap has snapped.
    pub snapped: bool,
    /// Baton has to be killed now.
    pub kill_baton: bool,
    /// The store is away.
    pub store_away: bool,
    /// Broken invariants.
    pub violations: Vec<Violation>,
    /// The first primary, for `ReviveOld`.
    pub first_primary: Option<Address>,
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

impl World {
    /// The state; a broken run is reported through violations, so a poisoned lock is used on.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and wakes who waits for changes.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Told of each change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A number for a new session.
    pub fn new_session(&self) -> u64 {
        let mut state = self.lock();
        state.next_session += 1;
        state.next_session
    }

    /// Counts a change at a moment and springs the trap if it is its turn. True: the reply is lost.
    pub fn at_change(&self, moment: Moment, target: &Address) -> bool {
        self.change(|state| {
            if moment == Moment::Before {
                state.changes += 1;
            }
            let Some(trap) = state.trap.filter(|_| !state.snapped) else {
                return false;
            };
            if trap.moment != moment || trap.nth != state.changes {
                return false;
            }
            state.snapped = true;
            match trap.fault {
                Fault::KillBaton => state.kill_baton = true,
                Fault::KillServer => {
                    if let Some(server) = state.servers.get_mut(target) {
                        server.die();
                    }
                }
                Fault::LoseReply => return true,
                Fault::ReviveOld => {
                    let old = state.first_primary.clone();
                    if let Some(server) = old.and_then(|address| state.servers.get_mut(&address))
                        && server.process == Process::Dead
                    {
                        server.start();
                    }
                }
                Fault::StoreAway => state.store_away = true,
            }
            false
        })
    }
}
