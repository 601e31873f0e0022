//! Runs simulated stories: `sim SEED` tells one, `sim FIRST COUNT` runs many and prints those that broke an invariant.

use std::process::ExitCode;

use baton_sim::{Scenario, run};

fn main() -> ExitCode {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u64>().ok());
    let first = numbers.next().unwrap_or(0);
    let Some(count) = numbers.next() else {
        let outcome = run(&Scenario::from_seed(first));
        println!("{outcome}");
        return if outcome.violations.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    };
    let mut broken = 0;
    for seed in first..first.saturating_add(count) {
        let outcome = run(&Scenario::from_seed(seed));
        if !outcome.violations.is_empty() {
            broken += 1;
            println!("{outcome}\n  repeat with: cargo run -p baton-sim --bin sim -- {seed}");
        }
    }
    println!("{count} stories from seed {first}: {broken} broke an invariant");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
