//! Programs that `cargo xtask` builds and runs: those of `tests/e2e` (demo, bench, rounds), given a
//! built `baton`, and the simulator.

use std::path::PathBuf;

use anyhow::Result;

use crate::run::{cargo, run, target};
use crate::setup;

/// How programs are built.
#[derive(Clone, Copy)]
enum Profile {
    /// Ready sooner.
    Dev,
    /// What users run, and so what is measured.
    Release,
}

/// Runs the demo.
pub(crate) fn demo(arguments: &[String]) -> Result<()> {
    delegate("demo", Profile::Dev, arguments)
}

/// Runs a benchmark.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    delegate("bench", Profile::Release, arguments)
}

/// Plays rounds of faults.
pub(crate) fn rounds(arguments: &[String]) -> Result<()> {
    delegate("rounds", Profile::Dev, arguments)
}

/// Runs simulated stories.
pub(crate) fn sim(arguments: &[String]) -> Result<()> {
    // With the features of the whole workspace, as tests build it: nothing is compiled twice.
    run(&mut cargo(&[
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        "sim",
        "--locked",
    ]))?;
    let program = Profile::Dev.folder().join("sim");
    run(std::process::Command::new(program).args(arguments))
}

fn delegate(program: &str, profile: Profile, arguments: &[String]) -> Result<()> {
    setup::run_and_tell(setup::Extent::Servers)?;
    println!("building baton and the {program}");
    // Together: built apart, shared dependencies would be compiled twice.
    let mut build = cargo(&["build", "--locked", "-p", "baton-server", "--bin", "baton"]);
    build
        .args(["-p", "baton-e2e", "--bin", program])
        .args(profile.flags());
    run(&mut build)?;
    let built = profile.folder();
    let mut command = std::process::Command::new(built.join(program));
    command
        .args(arguments)
        .env("BATON_BIN", built.join("baton"))
        .env("BATON_E2E", "1");
    run(&mut command)
}

impl Profile {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    fn folder(self) -> PathBuf {
        target().join(match self {
            Self::Dev => "debug",
            Self::Release => "release",
        })
    }
}
