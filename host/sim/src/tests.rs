//! Stories that no scenario tells: coincidences that have to be arranged.

mod contract;
mod databases;
mod epochs;
mod foreseen;
mod late;
mod orders;
mod published;
mod resumed;
mod returns;

use crate::backend::BackendKind;
use crate::hazards::Hazards;
use crate::run::Run;
use crate::scenario::{First, Scenario};

/// Three nodes and three servers, when one node leads and all is quiet. What happens next is
/// arranged by the test.
fn quiet() -> Run {
    quiet_with(2)
}

fn quiet_with(replicas: u32) -> Run {
    let mut run = Run::new(&Scenario {
        seed: 7,
        replicas,
        below: 0,
        nodes: 3,
        backend: BackendKind::Synchronous,
        first: First::KillPrimary,
        trap: None,
        hazards: Hazards::default(),
    });
    assert!(run.pass_until(15_000, |run| run.actor().is_some()));
    run.pass(4_000);
    run
}

fn end(mut run: Run) {
    for node in &mut run.nodes {
        node.kill();
    }
}
