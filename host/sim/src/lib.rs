//! The simulator: the real core and loop around simulated servers, network, backend and clocks,
//! under virtual time.
//!
//! One seed gives one run. A run that breaks an invariant prints the seed and the command that
//! repeats it.

mod backend;
mod client;
mod commands;
mod connections;
mod explore;
mod facts;
mod faults;
mod hazards;
mod invariants;
mod link;
mod network;
mod node;
mod peers;
mod policies;
mod replication;
mod run;
mod scenario;
mod server;
mod sessions;
mod store;
mod story;
mod tables;
#[cfg(test)]
mod tests;
mod votes;
mod world;

pub use backend::BackendKind;
pub use explore::{Found, Selection, explore};
pub use faults::{Fault, Moment, Point, Trap};
pub use hazards::{Hazards, Twist};
pub use invariants::Violation;
pub use network::NodeId;
pub use scenario::{First, Outcome, Scenario};
pub use server::Process;
pub use story::run;
pub use world::World;
