//! `cargo xtask fix`: mends what programs can mend. Look at the differences before you commit them.

use anyhow::Result;

use crate::check;
use crate::run::{Step, cargo};

/// Tests that write a document of `docs/`, or a list of the tidy tests, when they are told to.
const WRITERS: &str = "test(documented) | (package(baton-server) & test(config)) \
                       | (package(xtask) & kind(test))";

/// Formats, applies the suggestions of clippy, corrects spelling, writes generated documents.
pub(crate) fn run_all() -> Result<()> {
    steps()?.into_iter().try_for_each(Step::perform)
}

fn steps() -> Result<Vec<Step>> {
    let mut clippy = cargo(&["clippy", "--fix", "--allow-dirty", "--allow-staged"]);
    clippy.args(["--workspace", "--all-targets", "--locked"]);
    let mut steps = vec![Step::new("lints", clippy)];
    match check::spelling()? {
        Ok(mut typos) => {
            typos.arg("--write-changes");
            steps.push(Step::new("spelling", typos));
        }
        Err(missing) => println!("skipped: {} ({})", missing.what, missing.remedy),
    }
    // After the others: they may leave lines that are too long.
    steps.push(Step::new("format", cargo(&["fmt", "--all"])));
    let mut documents = cargo(&["nextest", "run", "--workspace", "--locked", "-E", WRITERS]);
    documents.env("BATON_UPDATE_DOCS", "1");
    steps.push(Step::new("documents", documents));
    Ok(steps)
}
