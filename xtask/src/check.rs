//! `cargo xtask check`: everything that is checked without running tests of Baton.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{Step, answers, cargo, root};
use crate::setup::{self, Missing, tools};
use crate::test::{self, Depth};

/// Whether the tidy tests are among the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tidy {
    /// They are.
    Included,
    /// They run elsewhere.
    LeftOut,
}

/// Checks, ends at the first step that fails, and prints last what was skipped.
pub(crate) fn run_all() -> Result<()> {
    let skips = test::begin_skipped()?;
    let steps = steps(Tidy::Included, Depth::Full, &skips)?;
    let outcome = steps.into_iter().try_for_each(Step::perform);
    test::tell_skipped(&skips);
    outcome
}

/// The checks, the quickest first. What cannot be checked here is written to the file of skips.
pub(crate) fn steps(tidy: Tidy, depth: Depth, skips: &Path) -> Result<Vec<Step>> {
    let mut steps = vec![Step::new("format", cargo(&["fmt", "--all", "--check"]))];
    if tidy == Tidy::Included {
        // Rules of the repository, dependencies and licences. Built with this package's features,
        // which `cargo xtask` has built already.
        steps.push(Step::new(
            "tidy",
            cargo(&[
                "test", "--quiet", "--locked", "-p", "xtask", "--test", "tidy",
            ]),
        ));
    }
    match spelling()? {
        Ok(command) => steps.push(Step::new("spelling", command)),
        Err(missing) => skip(skips, &missing)?,
    }
    for policy in policies(depth) {
        match policy {
            Ok(step) => steps.push(step),
            Err(missing) => skip(skips, &missing)?,
        }
    }
    steps.push(Step::new("lints", lints()));
    if depth == Depth::Full {
        let mut documentation = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
        documentation.env("RUSTDOCFLAGS", "-D warnings");
        steps.push(Step::new("documentation", documentation));
    }
    Ok(steps)
}

fn lints() -> Command {
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
    clippy.args(["--", "-D", "warnings"]);
    clippy
}

/// The spelling checker in the repository's root, installed if need be.
pub(crate) fn spelling() -> Result<Result<Command, Missing>> {
    let cache = setup::cache()?;
    if let Some(missing) = tools::install_typos(&cache) {
        return Ok(Err(missing));
    }
    let program = tools::find_typos(&cache).context("typos was installed and is not there")?;
    let mut command = Command::new(program);
    command.current_dir(root());
    Ok(Ok(command))
}

/// What `cargo deny` checks. Licences and sources are among the tidy tests as well.
fn policies(depth: Depth) -> Vec<Result<Step, Missing>> {
    if depth == Depth::Quick {
        return Vec::new();
    }
    if !tools::has_deny() {
        return vec![Err(Missing {
            what: "duplicates and advisories of dependencies".into(),
            remedy: "cargo install --locked cargo-deny".into(),
        })];
    }
    let policies = cargo(&["deny", "check", "bans", "licenses", "sources"]);
    let advisories = if answers(&mut cargo(&["deny", "fetch", "db"])) {
        let check = cargo(&["deny", "check", "--disable-fetch", "advisories"]);
        Ok(Step::new("advisories", check))
    } else {
        Err(Missing {
            what: "advisories of dependencies".into(),
            remedy: "their database could not be fetched".into(),
        })
    };
    vec![
        Ok(Step::new("policies of dependencies", policies)),
        advisories,
    ]
}

fn skip(skips: &Path, missing: &Missing) -> Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(skips)
        .with_context(|| format!("open {}", skips.display()))?;
    writeln!(file, "skipped: {} ({})", missing.what, missing.remedy)
        .with_context(|| format!("write {}", skips.display()))
}
