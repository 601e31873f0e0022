//! `cargo xtask bench`: measures; asserts nothing.

mod backend;
mod failover;
mod idle;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

/// Measurements, each with medians, spread and the machine.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time from a fault to a writable server, and what was lost.
    Failover(failover::Options),
    /// Baton's own state on databases: what a node's death costs the store and a failover.
    Backend(backend::Options),
    /// Memory, CPU and statements per second while nothing happens.
    Idle(idle::Options),
    /// Time of a policy call (runs an example of the policy host).
    Policy,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Failover(options) => failover::bench(&options),
        What::Backend(options) => backend::bench(&options),
        What::Idle(options) => idle::bench(&options),
        What::Policy => policy(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn policy() -> Result<()> {
    let status = Command::new("cargo")
        .args([
            "run",
            "--release",
            "--quiet",
            "-p",
            "baton-wasm",
            "--example",
            "policy_bench",
        ])
        .status()
        .context("run the policy benchmark")?;
    ensure!(status.success(), "the policy benchmark ended with {status}");
    Ok(())
}
