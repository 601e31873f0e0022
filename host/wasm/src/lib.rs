//! The host of policies: WebAssembly components that decide whether to act and whom to promote.
//!
//! A policy is a stranger. Each call runs in a fresh instance with bounded work, time, memory and output, each answer is held against
//! what Baton allows, and whatever goes wrong, the built-in default answers that one question and the failure is reported.
//!
//! [`WasmPolicies`] is the port's implementation; [`record`] writes decisions down and replays them.

mod bindings;
mod builtin;
mod call;
mod convert;
mod engine;
mod guest;
mod limits;
mod load;
mod policy;
mod question;
pub mod record;
mod registry;
mod self_check;
mod ticker;

#[cfg(test)]
mod tests;

pub use builtin::DEFAULT_POLICY;
pub use call::CallFailure;
pub use engine::EngineError;
pub use limits::Limits;
pub use load::{LoadError, PolicyChoice};
pub use policy::{Identity, Policy, SettingsProblem};
pub use registry::{StartError, WasmPolicies};
