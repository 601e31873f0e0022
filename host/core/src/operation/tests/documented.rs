//! The transcripts in `docs/operations.md` are what the machines do.

use std::path::Path;

use super::play::Play;
use super::replacement::{failover_in_full, undone_switchover};
use super::resumed::resumed_failover;

const HEAD: &str = "\
# What an operation does, step by step

A failover, a switchover, taking a server back: each is a state machine (`host/core/src/operation`).
It is told what happened and how the cluster looks now, and answers with notes for the record and the
one thing to do next. It performs nothing itself. `baton recoveries --steps ID` shows the same steps of
a real one, with their times.

In the transcripts below, a line at the margin is what happened. Below it are the notes, then what is
to be done: a plan with its numbered steps, a question to the policy, a reading, or the end. Steps of a
plan run side by side unless one waits for another. A test writes these transcripts
(`BATON_UPDATE_DOCS=1 cargo test -p baton-core --lib documented`).
";

/// A failover, a switchover that cannot be finished, and a failover that another node goes on with.
fn page() -> String {
    let parts = [
        (
            "A failover",
            "The primary p1 is dead. Its replicas r1 and r2 answer.",
            failover_in_full(),
        ),
        (
            "A switchover that is undone",
            "The primary p1 lives. A step fails after p1 was closed and r2 was moved.",
            undone_switchover(),
        ),
        (
            "A failover that another node goes on with",
            "The node that led died after it had sent the step that opens r1. What the servers show\ndecides: r1 takes writes.",
            resumed_failover(),
        ),
    ];
    let part = |(title, about, play): (&str, &str, Play)| {
        format!("\n## {title}\n\n{about}\n\n```text\n{}```\n", play.text())
    };
    HEAD.to_owned() + &parts.map(part).concat()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it keeps a document, not a state"
)]
fn transcripts_in_the_documentation_are_what_the_machines_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = page();
    if std::env::var_os("BATON_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/operations.md is out of date: BATON_UPDATE_DOCS=1 cargo test -p baton-core --lib documented"
    );
}
