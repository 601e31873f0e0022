//! Runs simulated stories: `sim [several|hazards] SEED` tells one, `sim [several|hazards] FIRST
//! COUNT` runs many and prints those that broke an invariant, `sim explore [SEED] [FIRST] [BACKEND]
//! [FAULT]` strikes at every point of every recovery on every kind of backend, or of those named.
//! Stories of `several` have several nodes, those of `hazards` unusual servers.

use std::process::ExitCode;

use baton_sim::{Outcome, Scenario, Selection, explore, run};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let word = words.first().cloned().unwrap_or_default();
    if word.parse::<u64>().is_err() && !words.is_empty() {
        words.remove(0);
    }
    let mut numbers = words.iter().filter_map(|text| text.parse::<u64>().ok());
    let first = numbers.next().unwrap_or(0);
    let count = numbers.next();
    let draw = match word.as_str() {
        "explore" => return explore_all(first, &words),
        "several" => Scenario::of_several,
        "hazards" => Scenario::of_hazards,
        _ => Scenario::from_seed,
    };
    match count {
        None => tell(&run(&draw(first))),
        Some(count) => tell_many(first, count, draw),
    }
}

fn tell(outcome: &Outcome) -> ExitCode {
    for line in &outcome.tale {
        println!("{line}");
    }
    println!("{outcome}");
    code(outcome.violations.len())
}

fn tell_many(first: u64, count: u64, draw: fn(u64) -> Scenario) -> ExitCode {
    let mut broken = 0;
    for seed in first..first.saturating_add(count) {
        let outcome = run(&draw(seed));
        if !outcome.violations.is_empty() {
            broken += 1;
            println!("{outcome}\n  repeat with: {}", outcome.scenario.repeat());
        }
    }
    println!("{count} stories from seed {first}: {broken} broke an invariant");
    code(broken)
}

/// A word that names none of a list's members is meant for another list.
fn keep<T: std::fmt::Debug>(all: &mut Vec<T>, words: &[String]) {
    let named = |item: &T| words.contains(&format!("{item:?}"));
    if all.iter().any(named) {
        all.retain(named);
    }
}

fn explore_all(seed: u64, words: &[String]) -> ExitCode {
    let mut selection = Selection::whole(seed);
    keep(&mut selection.firsts, words);
    keep(&mut selection.backends, words);
    keep(&mut selection.faults, words);
    let found = explore(&selection, &mut |outcome| {
        if !outcome.violations.is_empty() {
            tell(outcome);
        }
    });
    let broken = found.broken.len();
    println!(
        "{} stories, {} points struck: {broken} broke an invariant",
        found.told, found.points
    );
    code(broken)
}

fn code(broken: usize) -> ExitCode {
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
