//! The `baton` program: configuration, command line, wiring.

pub mod app;
mod causes;
pub mod cli;
pub mod config;
mod secret;
pub mod telemetry;

pub use secret::Secret;
