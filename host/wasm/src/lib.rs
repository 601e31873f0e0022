//! The host of policies: WebAssembly components that decide whether to act, whom to promote, and
//! which backend node to use.
//!
//! A policy is a stranger. Each call runs in a fresh instance with bounded work, time, memory and
//! output, each answer is held against what Baton allows, and whatever goes wrong, the built-in
//! default answers that one question and the failure is reported.
//!
//! [`WasmPolicies`] and [`WasmSelectors`] implement the ports, in the same way; [`record`] writes
//! decisions down and replays them.

mod bindings;
mod builtin;
mod call;
mod convert;
mod engine;
mod guest;
mod inspect;
mod limits;
mod load;
mod policy;
mod ports;
mod question;
pub mod record;
mod registry;
mod self_check;
mod start;
mod ticker;
mod world;

#[cfg(test)]
mod tests;

pub use builtin::{DEFAULT_POLICY, DEFAULT_SELECTOR};
pub use call::CallFailure;
pub use engine::EngineError;
pub use inspect::{Inspection, check, inspect};
pub use limits::Limits;
pub use load::{LoadError, PolicyChoice};
pub use policy::{Identity, Policy, SettingsProblem};
pub use ports::{WasmPolicies, WasmSelectors};
pub use start::StartError;
pub use world::World;
