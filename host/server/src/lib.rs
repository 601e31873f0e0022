//! The `baton` program: configuration, command line, wiring.

pub mod config;
mod secret;

pub use secret::Secret;
