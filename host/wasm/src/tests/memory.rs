//! Failed calls leave nothing behind.

use std::process::Command;

use super::fixture::{hostile, misbehaving};
use crate::convert;
use crate::self_check;

/// Set in the process that does the rounds. The process of the other tests compiles components
/// meanwhile, which would be measured too.
const ALONE: &str = "BATON_TEST_MEMORY_ALONE";

/// Rounds before the first measurement, so that the pool's slots have been touched, and rounds
/// measured.
const WARM_UP: usize = 300;
const ROUNDS: usize = 3_000;

/// What the process may grow by, in bytes: less than 2 KiB a round, far below what one kept
/// instance would cost.
const GROWTH_MAX: usize = 6 << 20;

#[test]
fn does_not_grow_over_many_failures() {
    let test = "tests::memory::rounds";
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("start");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("grew by"), "the rounds did not run: {text}");
}

/// The rounds themselves; without the variable they belong to the other test and do nothing.
#[test]
fn rounds() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let policies: Vec<_> = [
        "trap",
        "memory",
        "huge-answer",
        "bad-utf8",
        "stack",
        "counter",
    ]
    .into_iter()
    .map(|name| hostile(name).expect(name))
    .chain([misbehaving("obey")])
    .collect();
    let question = convert::assess_question(&self_check::assess_question());
    let round = |count: usize| {
        for policy in policies.iter().cycle().take(count) {
            drop(policy.call_assess(&question));
        }
    };
    round(WARM_UP);
    let before = resident_bytes();
    round(ROUNDS);
    let grown = resident_bytes().saturating_sub(before);
    println!("grew by {grown} bytes over {ROUNDS} rounds");
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: usize = text
        .split(' ')
        .nth(1)
        .expect("resident")
        .parse()
        .expect("number");
    // Linux on every processor the tests run on has pages of 4 KiB.
    pages * 4096
}
