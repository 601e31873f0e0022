//! Programs that check the text of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Missing, has_program};
use crate::run::{answers, cargo, run};

/// Each version knows other words, so one is named.
const TYPOS: &str = "typos==1.52.0";

/// The spelling checker, if it is there.
pub(crate) fn find_typos(cache: &Path) -> Option<PathBuf> {
    let own = cache.join("typos/bin/typos");
    if own.exists() {
        return Some(own);
    }
    has_program("typos").then(|| "typos".into())
}

/// Installs the spelling checker into the cache, where Python can.
pub(crate) fn install_typos(cache: &Path) -> Option<Missing> {
    if find_typos(cache).is_some() {
        return None;
    }
    println!("setup: installing the spelling checker typos, once");
    let folder = cache.join("typos");
    let python = folder.join("bin/python3");
    let installed = run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
        let mut pip = Command::new(python);
        run(pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", TYPOS]))
    });
    installed.err().map(|error| Missing {
        what: "spelling".into(),
        remedy: format!("install the Python package {TYPOS}: {error:#}"),
    })
}

/// Whether `cargo deny` is there. It takes many minutes to build, so nothing here installs it.
pub(crate) fn has_deny() -> bool {
    answers(&mut cargo(&["deny", "--version"]))
}
