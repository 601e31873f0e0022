//! The pure part of Baton: facts about replication topologies, what is wrong with them, and what to
//! do.
//!
//! Nothing here is asynchronous, reads a clock, draws randomness, logs or performs I/O: the same
//! input gives the same output, so the same code runs against real servers and in the simulator.

#![cfg_attr(
    not(test),
    deny(
        clippy::wildcard_enum_match_arm,
        reason = "a new variant is decided on everywhere"
    )
)]

pub mod analysis;
pub mod check;
pub mod command;
pub mod execution;
pub mod gtid;
pub mod ids;
pub mod leadership;
pub mod model;
pub mod operation;
pub mod planning;
pub mod policy;
#[cfg(any(test, feature = "sketch"))]
pub mod sketch;
pub mod time;
pub mod words;
