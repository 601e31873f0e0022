//! `cargo xtask`: everything a person or a machine does with this repository beyond building it.
//!
//! Each command does its own set-up first, so that all of them work on a fresh machine.

mod check;
mod delegate;
mod fix;
mod plugins;
mod run;
mod setup;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Tasks for people and machines that work on Baton.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what tests and the demo need; changes nothing that is already there.
    Setup,
    /// Check without tests: format, lints, documentation, tidy, spelling, dependencies, licences.
    Check,
    /// Mend what a program can mend: format, lints, spelling, generated documents.
    Fix,
    /// Run every check and test, as CI does.
    Test {
        /// Leave out what takes real servers, and the documentation.
        #[arg(long)]
        quick: bool,
    },
    /// Fail over a real topology before your eyes (--keep, --flavor mariadb|mysql).
    #[command(disable_help_flag = true)]
    Demo {
        /// Handed to the demo.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure: failover, backend, policy, idle; each has its own --help.
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Play rounds of faults drawn by lot on nodes, backend and cluster (--kind, --seed, --rounds).
    #[command(disable_help_flag = true)]
    Rounds {
        /// Handed to the program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run simulated stories: SEED, `explore [SEED]`, hazards FIRST COUNT, several FIRST COUNT.
    #[command(disable_help_flag = true)]
    Sim {
        /// Handed to the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the policies of plugins/ to WebAssembly components, or those of given folders.
    Plugins {
        /// Folders of crates; by default all of plugins/.
        crates: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::run_and_tell(setup::Extent::Everything),
        Task::Check => check::run_all(),
        Task::Fix => fix::run_all(),
        Task::Test { quick: true } => test::run_all(test::Depth::Quick),
        Task::Test { quick: false } => test::run_all(test::Depth::Full),
        Task::Demo { arguments } => delegate::demo(&arguments),
        Task::Bench { arguments } => delegate::bench(&arguments),
        Task::Rounds { arguments } => delegate::rounds(&arguments),
        Task::Sim { arguments } => delegate::sim(&arguments),
        Task::Plugins { crates } => plugins::run(&crates),
    }
}
