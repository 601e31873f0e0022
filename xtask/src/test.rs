//! `cargo xtask test`: what CI runs, and what a person runs before submitting. It begins with the
//! checks of `cargo xtask check`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::check::{self, Tidy};
use crate::run::{Step, cargo, target};
use crate::setup;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What needs no real servers.
    Quick,
    /// Everything.
    Full,
}

/// Sets up, checks and tests; ends at the first step that fails. What was skipped is printed
/// last in any case.
pub(crate) fn run_all(depth: Depth) -> Result<()> {
    let missing = match depth {
        Depth::Quick => Vec::new(),
        Depth::Full => setup::install(setup::Extent::Everything)?,
    };
    let skips = begin_skipped()?;
    let outcome =
        steps(depth, &skips).and_then(|steps| steps.into_iter().try_for_each(Step::perform));
    for missing in missing {
        println!("skipped: {} ({})", missing.what, missing.remedy);
    }
    tell_skipped(&skips);
    outcome
}

fn steps(depth: Depth, skips: &Path) -> Result<Vec<Step>> {
    // The tidy tests run once, with all other tests.
    let mut steps = check::steps(Tidy::LeftOut, depth, skips)?;
    // Tests of one package run the program of another, so all programs are built first,
    // together with the tests: built apart, dependencies would get other features and be
    // compiled twice.
    steps.push(Step::new(
        "build",
        cargo(&["build", "--workspace", "--bins", "--tests", "--locked"]),
    ));
    if depth == Depth::Full {
        steps.push(Step::new(
            "examples",
            cargo(&["test", "--workspace", "--doc", "--locked", "--quiet"]),
        ));
    }
    // Last, so that their summary is what is read last.
    steps.push(Step::new("tests", test_command(depth, skips)));
    Ok(steps)
}

fn test_command(depth: Depth, skips: &Path) -> Command {
    let mut command = cargo(&[
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-fail-fast",
    ]);
    command.env("BATON_SKIPPED_FILE", skips);
    command.env("BATON_BIN", target().join("debug/baton"));
    match depth {
        Depth::Quick => {
            command
                .env_remove("BATON_E2E")
                .env_remove("BATON_REQUIRE_SERVERS");
        }
        Depth::Full => {
            command.env("BATON_E2E", "1");
            // A person's machine may lack a server; one that checks submissions may not.
            if env::var_os("CI").is_some() {
                command.env("BATON_REQUIRE_SERVERS", "1");
            }
        }
    }
    command
}

/// Prints what was skipped, each line once.
pub(crate) fn tell_skipped(skips: &Path) {
    let skipped = fs::read_to_string(skips).unwrap_or_default();
    for line in distinct(&skipped) {
        println!("{line}");
    }
}

/// An empty file for what is skipped.
pub(crate) fn begin_skipped() -> Result<PathBuf> {
    let skips = target().join("skipped.txt");
    fs::create_dir_all(target()).context("create the target directory")?;
    fs::write(&skips, "").with_context(|| format!("write {}", skips.display()))?;
    Ok(skips)
}

/// Each line once, with how often it was there.
fn distinct(text: &str) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    for line in text.lines() {
        *counts.entry(line).or_default() += 1;
    }
    let told = counts.into_iter().map(|(line, count)| match count {
        1 => line.to_owned(),
        _ => format!("{line}, {count} tests"),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn a_skip_is_told_once_with_its_count() {
        let told = distinct("skipped: b (x)\nskipped: a (y)\nskipped: b (x)\n");
        assert_eq!(told, ["skipped: a (y)", "skipped: b (x), 2 tests"]);
    }
}
