//! What one call of a policy may use.

use std::time::Duration;

/// Bounds of one call: instantiation, `configure` and the question together.
///
/// Fuel is the bound that matters: it counts instructions, so a policy that runs out of it does so
/// on every machine and in each replay. The deadline ends what fuel does not see, such as a loop
/// that only logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time.
    pub deadline: Duration,
    /// Units of work, about one per instruction.
    pub fuel: u64,
    /// Further units for each server of the question.
    pub fuel_per_server: u64,
    /// Linear memory of all the policy's modules together, in bytes.
    pub memory: usize,
}

/// Components larger than this hold a language's engine (QuickJS 1.1 MB, Python 18 MB; Rust
/// policies stay under 0.3 MB).
const HEAVY_COMPONENT_BYTES: usize = 1 << 20;

impl Limits {
    /// For compiled languages. 20 million units are about 30 ms of a tight loop; a question about
    /// 10 servers costs under 0.2 million.
    pub const LIGHT: Self = Self {
        deadline: Duration::from_millis(100),
        fuel: 20_000_000,
        fuel_per_server: 20_000,
        memory: 64 << 20,
    };

    /// For policies with an interpreter inside. QuickJS needs 4 million units for 10 servers and
    /// 383 million for 1,000.
    pub const HEAVY: Self = Self {
        deadline: Duration::from_secs(1),
        fuel: 500_000_000,
        fuel_per_server: 1_000_000,
        memory: 256 << 20,
    };

    /// The limits for a component of that size.
    pub fn for_component(bytes: usize) -> Self {
        if bytes > HEAVY_COMPONENT_BYTES {
            Self::HEAVY
        } else {
            Self::LIGHT
        }
    }

    pub(crate) fn fuel_for(&self, servers: usize) -> u64 {
        let servers = u64::try_from(servers).unwrap_or(u64::MAX);
        self.fuel
            .saturating_add(self.fuel_per_server.saturating_mul(servers))
    }
}

/// Largest component file that is compiled. Compilation cannot be interrupted, and 32 MiB takes
/// every language's engine.
pub(crate) const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// Largest amount of data a policy may hand over in one call, in bytes. A ranking of 1,000 servers
/// with reasons is under 1 MiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Log lines kept of one call, and bytes kept of each.
pub(crate) const LOG_LINES_MAX: usize = 50;
/// See [`LOG_LINES_MAX`].
pub(crate) const LOG_LINE_BYTES_MAX: usize = 1024;

/// Table entries a policy may have; StarlingMonkey, the largest known, needs 7,689.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 50_000;

/// Calls that may run at once; others wait their turn. The pool below holds as many instances.
pub(crate) const CONCURRENT_CALLS_MAX: u32 = 8;

/// Linear memory that each slot of the pool keeps between calls instead of giving it back. It makes
/// calls about large clusters a quarter faster and costs only what a policy really touched.
pub(crate) const MEMORY_KEPT_BYTES: usize = 8 << 20;
