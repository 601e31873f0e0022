//! A managed primary is killed, alone or together with those who look after it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::rounds::{Draw, Fault, Ground, Keep, Moment, Round, Trigger, play};

use super::{Options, cost, print_line, print_title};

const FAULTS: [(Fault, &str); 5] = [
    (Fault::Nothing, "primary alone"),
    (Fault::NodeKilled, "primary and the backend's active node"),
    (Fault::BackendDown, "primary and the whole backend"),
    (Fault::LeaderKilled, "primary and the leader"),
    (
        Fault::LeaderAndNodeKilled,
        "primary, leader and active node",
    ),
];

pub(super) fn measure(options: &Options) -> Result<()> {
    let keep = Keep::under(options.keep.as_deref(), options.slow);
    let ground = Ground::start(options.kind, options.flavor)?;
    cost::measure(&ground, options.seconds)?;
    let mut current = Some(ground);
    let mut rows = Vec::new();
    for (fault, name) in FAULTS {
        let mut rounds = Vec::new();
        for number in 1..=options.runs {
            let draw = draw(fault, number);
            let ground = match current.take() {
                Some(ground) => ground,
                None => Ground::start(options.kind, options.flavor)?,
            };
            match play(&ground, &draw, keep).with_context(|| draw.to_string()) {
                Ok(round) => {
                    rounds.push(round);
                    current = Some(ground);
                }
                // A run that ends so is a result, and the next one begins anew.
                Err(error) => println!("given up: {error:#}"),
            }
        }
        rows.push((name, rounds));
    }
    print_title("killed together, ms without acknowledged writes");
    for (name, rounds) in &rows {
        print_row(name, rounds);
    }
    Ok(())
}

fn draw(fault: Fault, number: u32) -> Draw {
    Draw {
        seed: 0,
        // Odd: on NDB the data node stays.
        number: u64::from(number) * 2 + 1,
        trigger: Trigger::Kill,
        fault,
        moment: Moment::Together,
        lasting: Duration::ZERO,
    }
}

fn print_row(name: &str, rounds: &[Round]) {
    let gap = |round: &Round| round.gap.map(|gap| gap.as_secs_f64() * 1000.0);
    print_line(name, &rounds.iter().map(gap).collect::<Vec<_>>());
    let acknowledged: usize = rounds.iter().map(|round| round.acknowledged).sum();
    let lost: usize = rounds.iter().map(|round| round.lost).sum();
    let open = rounds.iter().map(|round| round.most_open).max();
    let violations: usize = rounds.iter().map(|round| round.violations.len()).sum();
    println!(
        "    {} runs, {lost} of {acknowledged} rows lost, most writable at once {}, {violations} \
         violations",
        rounds.len(),
        open.unwrap_or(0)
    );
}
