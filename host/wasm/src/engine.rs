//! The one wasmtime engine of the process, configured so that the same question gives the same
//! answer everywhere.

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::FailoverPolicy;
use crate::guest::Guest;
use crate::limits::{CONCURRENT_CALLS_MAX, Limits, MEMORY_KEPT_BYTES, TABLE_ELEMENTS_MAX};
use crate::ticker::Ticker;

/// Why policies cannot run on this machine at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The WebAssembly engine refused its configuration, usually for want of address space.
    #[error("cannot start the policy engine")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The thread that enforces deadlines could not be started.
    #[error("cannot start the policy ticker thread")]
    Thread(#[source] std::io::Error),
}

/// Compiles and links policies.
pub(crate) struct PolicyEngine {
    engine: Engine,
    linker: Linker<Guest>,
    ticker: Ticker,
}

impl PolicyEngine {
    pub(crate) fn start() -> Result<Self, EngineError> {
        let start = |error: wasmtime::Error| EngineError::Start(error.into());
        let engine = Engine::new(&config()).map_err(start)?;
        let mut linker = Linker::<Guest>::new(&engine);
        // This world imports all that the other one imports.
        FailoverPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)
            .map_err(start)?;
        let ticker = Ticker::start(engine.clone()).map_err(EngineError::Thread)?;
        Ok(Self {
            engine,
            linker,
            ticker,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    pub(crate) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        Component::from_binary(&self.engine, bytes)
    }

    pub(crate) fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<Guest>> {
        self.linker.instantiate_pre(component)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(true)
        .max_wasm_stack(512 << 10)
        // Without these three, machines of different kinds could answer one question differently.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    // `wasm_multi_memory(false)` is left out on purpose: wasmtime 48 panics on components with
    // several modules then.
    config
}

/// Slots for the instances of calls. Counts per component fit the heaviest known guest,
/// componentize-qjs with 3 memories.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(CONCURRENT_CALLS_MAX)
        .total_core_instances(CONCURRENT_CALLS_MAX * 32)
        .total_memories(CONCURRENT_CALLS_MAX * 4)
        .total_tables(CONCURRENT_CALLS_MAX * 32)
        .max_memory_size(Limits::HEAVY.memory)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_elements(TABLE_ELEMENTS_MAX)
        .table_keep_resident(64 << 10)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(8 << 20)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(64)
        .max_tables_per_module(8);
    pool
}
