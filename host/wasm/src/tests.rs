//! Tests that need the crate's inside: hostile components and the built-in policies through the
//! real runtime.

mod builtin_policies;
mod cautious;
mod contract;
mod default_assess;
mod default_rank;
mod determinism;
mod fixture;
mod hostile;
mod memory;
mod misbehaviour;
mod refusal;
mod reload;
mod selector_failures;
mod selectors;
mod settings;
mod sketch;
mod words;
