//! The state store, simulated: the same refusals as the real one.

mod audit;
mod intents;
mod inventory;
mod leases;
mod nodes;
mod recovery_log;
mod settings;
