//! `cargo xtask setup`: what tests, the demo and benchmarks need, on a fresh Debian machine.
//!
//! Nothing is done, and next to no time spent, when everything is there.

mod debian;
mod mysql;
mod ndb;
pub(crate) mod tools;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{answers, cargo, run};

/// How much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// MariaDB and MySQL: enough for the demo and benchmarks.
    Servers,
    /// All that tests use.
    Everything,
}

/// Something that could not be had, and how a person gets it.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// Installs what is missing and returns what could not be installed.
///
/// Those are no errors: tests that need them say that they are skipped.
pub(crate) fn install(extent: Extent) -> Result<Vec<Missing>> {
    let cache = cache()?;
    let mut missing = Vec::new();
    missing.extend(debian::install_packages()?);
    missing.extend(mysql::fetch(&cache)?);
    if extent == Extent::Everything {
        missing.extend(ndb::unpack(&cache)?);
        install_nextest()?;
        missing.extend(tools::install_typos(&cache));
    }
    Ok(missing)
}

/// Installs what is missing and prints what could not be installed.
pub(crate) fn run_and_tell(extent: Extent) -> Result<()> {
    for missing in install(extent)? {
        println!("missing: {} ({})", missing.what, missing.remedy);
    }
    Ok(())
}

fn install_nextest() -> Result<()> {
    if answers(&mut cargo(&["nextest", "--version"])) {
        return Ok(());
    }
    println!("setup: installing the test runner cargo-nextest, once");
    run(&mut cargo(&["install", "--locked", "cargo-nextest"]))
}

/// Where the sandbox looks for servers: the same rule as in `tests/sandbox/src/places.rs`.
pub(crate) fn cache() -> Result<PathBuf> {
    let path = if let Some(path) = env::var_os("BATON_SANDBOX_DIR") {
        PathBuf::from(path)
    } else if let Some(path) = env::var_os("XDG_CACHE_HOME") {
        Path::new(&path).join("baton-sandbox")
    } else {
        let home = env::var_os("HOME").context("neither BATON_SANDBOX_DIR nor HOME is set")?;
        Path::new(&home).join(".cache/baton-sandbox")
    };
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// Unpacks into a folder that appears only when it is complete.
fn unpack_whole(to: &Path, unpack: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = to.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    unpack(&partial)?;
    fs::rename(&partial, to).with_context(|| format!("create {}", to.display()))
}

fn has_program(name: &str) -> bool {
    answers(Command::new("sh").args(["-c", "command -v \"$0\"", name]))
}
