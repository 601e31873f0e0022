//! What it costs when databases that keep Baton's state die.

mod client;
mod cost;
mod death;
mod together;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use baton_sandbox::{BackendKind, Flavor};
use clap::Args;

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// `galera`, `ndb`, `master-master` (of MariaDB), `master-master-mysql` or `group-replication`.
    #[arg(long, value_parser = kind)]
    kind: BackendKind,
    /// Of the managed cluster.
    #[arg(long, default_value = "mariadb")]
    flavor: Flavor,
    /// How often.
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// How long the cost of watching is counted, seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where logs go of runs with violations, or with long gaps.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Gaps that count as long, milliseconds.
    #[arg(long, default_value_t = 1500)]
    slow: u64,
}

pub(crate) fn kind(word: &str) -> Result<BackendKind> {
    let found = BackendKind::ALL
        .into_iter()
        .find(|kind| word == kind.config_name() || word == kind.to_string().replace(' ', "-"));
    found.ok_or_else(|| anyhow!("no kind of backend: {word:?}"))
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    println!(
        "{} backend, {} managed, {} runs on {}",
        options.kind,
        options.flavor,
        options.runs,
        crate::failover::machine()
    );
    death::measure(options)?;
    together::measure(options)
}

/// Prints figures in milliseconds as median, least and most; those that never came count as
/// longer than all others.
fn print_line(name: &str, values: &[Option<f64>]) {
    let mut sorted: Vec<f64> = values
        .iter()
        .map(|value| value.unwrap_or(f64::INFINITY))
        .collect();
    sorted.sort_by(f64::total_cmp);
    let word = |value: Option<&f64>| match value {
        Some(value) if value.is_finite() => format!("{value:.0}"),
        Some(_) => "never".to_owned(),
        None => "-".to_owned(),
    };
    println!(
        "{name:<58} {:>8} {:>8} {:>8}",
        word(sorted.get(sorted.len() / 2)),
        word(sorted.first()),
        word(sorted.last())
    );
}

fn print_title(what: &str) {
    println!("\n{what:<58} {:>8} {:>8} {:>8}", "median", "least", "most");
}
