//! `cargo xtask rounds`: rounds of faults drawn by lot, on real servers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use baton_e2e::hazards::{HazardDraw, HazardTally, play_hazard};
use baton_e2e::rounds::{Draw, Ground, Keep, Tally, play};
use baton_sandbox::{BackendKind, Flavor};
use clap::Parser;

/// Breaks Baton nodes, their backend and the managed cluster by lot, and checks what must hold.
#[derive(Parser)]
#[command(bin_name = "cargo xtask rounds")]
struct Arguments {
    /// `galera`, `ndb`, `master-master` (of MariaDB), `master-master-mysql` or `group-replication`.
    #[arg(long, value_parser = kind, required_unless_present = "hazards")]
    kind: Option<BackendKind>,
    /// Rounds with one node and with unusual servers, people and partitions, instead of a backend
    /// that fails.
    #[arg(long, conflicts_with_all = ["kind", "fault", "trigger", "keep", "slow"])]
    hazards: bool,
    /// Of the managed cluster, `mariadb` or `mysql`; by default the seed decides.
    #[arg(long)]
    flavor: Option<Flavor>,
    /// Of the row of rounds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// No round begins later than so many minutes after the start.
    #[arg(long)]
    minutes: Option<u64>,
    /// The number of the first one in the row.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Only those with this fault, as the table names it.
    #[arg(long)]
    fault: Option<String>,
    /// Only those with this trigger, as the table names it.
    #[arg(long)]
    trigger: Option<String>,
    /// Where logs go of rounds with violations, or with long gaps.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Gaps that count as long, milliseconds.
    #[arg(long, default_value_t = 8000)]
    slow: u64,
}

fn kind(word: &str) -> Result<BackendKind> {
    let found = BackendKind::ALL
        .into_iter()
        .find(|kind| word == kind.config_name() || word == kind.to_string().replace(' ', "-"));
    found.ok_or_else(|| anyhow!("no kind of backend: {word:?}"))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn draws(arguments: &Arguments) -> impl Iterator<Item = Draw> {
    let is_asked = |asked: &Option<String>, word: String| asked.as_ref().is_none_or(|a| *a == word);
    (arguments.first..)
        .map(|number| Draw::new(arguments.seed, number))
        .filter(move |draw| {
            is_asked(&arguments.fault, draw.fault.to_string())
                && is_asked(&arguments.trigger, draw.trigger.to_string())
        })
        .take(usize::try_from(arguments.rounds).unwrap_or(usize::MAX))
}

fn run(arguments: &Arguments) -> Result<bool> {
    let by_seed = if arguments.seed.is_multiple_of(2) {
        Flavor::MariaDb
    } else {
        Flavor::MySql
    };
    let Some(kind) = arguments.kind else {
        return Ok(run_hazards(arguments));
    };
    let flavor = arguments.flavor.unwrap_or(by_seed);
    let keep = Keep::under(arguments.keep.as_deref(), arguments.slow);
    let mut tally = Tally::default();
    let mut ground = None;
    let begun = Instant::now();
    let limit = arguments
        .minutes
        .map(|minutes| Duration::from_secs(minutes * 60));
    for draw in draws(arguments) {
        if limit.is_some_and(|limit| begun.elapsed() > limit) {
            break;
        }
        let current = match ground.take() {
            Some(ground) => ground,
            None => Ground::start(kind, flavor)?,
        };
        match play(&current, &draw, keep) {
            Ok(round) => {
                let gap = round.gap.unwrap_or_default().as_secs_f64() * 1000.0;
                let took = round.took.as_secs_f64();
                println!("{draw}: gap {gap:.0} ms, took {took:.1} s");
                for violation in &round.violations {
                    println!("    VIOLATION: {violation}");
                }
                tally.add(&round);
                ground = Some(current);
            }
            Err(error) => {
                println!("{draw}: the ground is given up: {error:#}");
                tally.add_unusable(&draw, format!("{error:#}"));
            }
        }
    }
    println!("\n{kind} backend, {flavor} managed\n{tally}");
    Ok(tally.is_clean())
}

fn run_hazards(arguments: &Arguments) -> bool {
    let mut tally = HazardTally::default();
    let begun = Instant::now();
    let limit = arguments
        .minutes
        .map(|minutes| Duration::from_secs(minutes * 60));
    let numbers = arguments.first..arguments.first.saturating_add(arguments.rounds);
    for number in numbers {
        if limit.is_some_and(|limit| begun.elapsed() > limit) {
            break;
        }
        let draw = HazardDraw::new(arguments.seed, number, arguments.flavor);
        let played = play_hazard(&draw);
        match &played {
            Ok(round) => {
                let gap = round.gap.unwrap_or_default().as_secs_f64() * 1000.0;
                let took = round.took.as_secs_f64();
                println!("{draw}: gap {gap:.0} ms, took {took:.1} s");
                if let Some(why) = &round.held {
                    println!("    held: {why}");
                }
                for violation in &round.violations {
                    println!("    VIOLATION: {violation}");
                }
            }
            Err(error) => println!("{draw}: VIOLATION: not played to its end: {error:#}"),
        }
        tally.add(&draw, played.as_ref().ok());
    }
    println!("\n{tally}");
    tally.is_clean()
}
