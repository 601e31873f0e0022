//! Counters for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_n(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

/// All counters of a node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) probes_answered: Counter,
    pub(crate) probes_failed: Counter,
    pub(crate) analyses: Counter,
    pub(crate) policy_calls: Counter,
    pub(crate) policy_micros: Counter,
    pub(crate) policy_fallbacks: Counter,
    pub(crate) recoveries_begun: Counter,
    pub(crate) recoveries_succeeded: Counter,
    pub(crate) recoveries_failed: Counter,
    pub(crate) statements: Counter,
    pub(crate) store_failures: Counter,
}

impl Counters {
    /// Names and values, in a fixed order.
    pub(crate) fn all(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("probes_answered_total", self.probes_answered.get()),
            ("probes_failed_total", self.probes_failed.get()),
            ("analyses_total", self.analyses.get()),
            ("policy_calls_total", self.policy_calls.get()),
            ("policy_seconds_total", self.policy_micros.get() / 1e6),
            ("policy_fallbacks_total", self.policy_fallbacks.get()),
            ("recoveries_begun_total", self.recoveries_begun.get()),
            (
                "recoveries_succeeded_total",
                self.recoveries_succeeded.get(),
            ),
            ("recoveries_failed_total", self.recoveries_failed.get()),
            ("recovery_statements_total", self.statements.get()),
            ("store_failures_total", self.store_failures.get()),
        ]
    }
}
