//! The contract `baton:policy@0.1.0` as Rust types. They are also what is recorded with a decision, hence the serialization.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "failover-policy",
    additional_derives: [serde::Serialize, serde::Deserialize],
});

pub(crate) use baton::policy::{log, topology, types};
pub(crate) use exports::baton::policy::{failover, plugin};
