//! The simulator: the real core and loop around simulated servers, network, store and clock, under virtual time.
//!
//! One seed gives one run. A run that breaks an invariant prints the seed and the command that repeats it.

mod client;
mod facts;
mod faults;
mod invariants;
mod network;
mod policies;
mod replication;
mod scenario;
mod server;
mod sessions;
mod store;
mod world;

pub use faults::{Fault, Moment, Trap};
pub use invariants::Violation;
pub use scenario::{First, Outcome, Scenario, run};
pub use server::Process;
pub use world::World;
