//! The contract `baton:policy@0.1.0` as Rust types. They are also what is recorded with a decision,
//! hence the serialization.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "failover-policy",
    additional_derives: [serde::Serialize, serde::Deserialize],
});

pub(crate) use baton::policy::{log, topology, types};
pub(crate) use exports::baton::policy::{failover, plugin};

/// The second world. It shares what it imports with the first; what it exports has types of its
/// own.
pub(crate) mod backend {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "backend-selector",
        additional_derives: [serde::Serialize, serde::Deserialize],
        with: {
            "baton:policy/types@0.1.0": super::baton::policy::types,
            "baton:policy/log@0.1.0": super::baton::policy::log,
        },
    });

    pub(crate) use exports::baton::policy::{plugin, selector};
}
