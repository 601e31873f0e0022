//! The simulated state store: the same refusals as a real one.

mod audit;
mod intents;
mod inventory;
mod leases;
mod nodes;
mod recovery_log;
mod settings;
