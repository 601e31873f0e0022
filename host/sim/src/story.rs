//! Telling a story: the first fault, the trap, the time to heal, and what must be true at the end.

use baton_control::{ChangePrimary, Control};
use baton_core::ids::{Address, ServerId};
use baton_core::model::RecoveryOutcome;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

use crate::backend::BACKENDS;
use crate::invariants::{Violation, check_acknowledged, check_healed, check_untouched};
use crate::network::NodeId;
use crate::run::{Run, address};
use crate::scenario::{First, Outcome, Scenario};
use crate::server::{Process, SimServer};

/// Milliseconds that faults last.
const TROUBLE: u64 = 15_000;
/// Milliseconds within which everything must be well again after the last fault.
const HEALING: u64 = 90_000;
/// Faults end earlier if nothing has happened for so long.
const CALM: u64 = 4_000;
/// Milliseconds for which it must stay well.
const PEACE: u64 = 2_000;

/// Runs a story under virtual time.
pub fn run(scenario: &Scenario) -> Outcome {
    let mut run = Run::new(scenario);
    let told = tell(&mut run, scenario);
    tell_findings(&run);
    for node in &mut run.nodes {
        node.kill();
    }
    let state = run.world.lock();
    let recoveries = state.backend.present().recoveries.clone();
    let mut violations = state.violations.clone();
    violations.extend(told.err());
    violations.extend(check_acknowledged(&state));
    violations.extend(check_healed(&state));
    violations.extend(check_untouched(&state));
    violations.extend(
        recoveries
            .iter()
            .filter(|row| row.outcome == RecoveryOutcome::Running)
            .map(|row| Violation::OpenRecovery {
                what: row.id.to_string(),
            }),
    );
    if scenario.first == First::CutFromBaton {
        violations.extend(
            recoveries
                .iter()
                .filter(|row| row.subject.as_str() == "s1:3306")
                .map(|row| Violation::NotHealed {
                    what: format!("{} of a primary that its replicas hear", row.kind.word()),
                }),
        );
    }
    Outcome {
        scenario: scenario.clone(),
        violations,
        recoveries,
        acknowledged: state.acknowledged.len(),
        changes: state.changes,
        journaled: state.journaled,
        gap_ms: run.gap.longest,
        lasted_ms: state.now,
        tale: state.tale.clone(),
    }
}

fn tell(run: &mut Run, scenario: &Scenario) -> Result<(), Violation> {
    let mut random = SmallRng::seed_from_u64(scenario.seed ^ 0x5eed);
    let warm = run.pass_until(15_000, |run| run.actor().is_some());
    if !warm {
        let what = "nobody leads at the start".to_owned();
        return Err(Violation::NotHealed { what });
    }
    let warm = if scenario.nodes > 1 { 3_000 } else { 5_000 };
    run.pass(warm + random.random_range(0..1000));
    let slowest = random.random_range(0..=scenario.replicas);
    run.world.change(|state| {
        // One replica applies slowly, so that draining matters.
        if let Some(server) = state.servers.get_mut(&address(2 + slowest)) {
            server.apply_rate = 1;
        }
    });
    if scenario.first == First::Return {
        kill(run, &address(1));
        if !run.pass_until(30_000, is_recovered) {
            let what = "the primary was not replaced".to_owned();
            return Err(Violation::NotHealed { what });
        }
        run.pass(1_000);
    }
    run.world.change(|state| {
        state.trap = scenario.trap;
        state.changes = 0;
        state.journaled = 0;
    });
    run.world
        .change(|state| state.tell(|| format!("{:?}", scenario.first)));
    crate::hazards::happen(run, scenario);
    begin(run, scenario.first);
    run.pass_until(TROUBLE, |run| run.is_over(CALM));
    // Faults stop: what was cut, frozen or killed comes back, and the cluster must heal.
    run.heal();
    await_peace(run);
    run.world.change(|state| state.client.stopped = true);
    run.pass(2_000);
    check_known(run)
}

/// What the node that acts found last, for people.
fn tell_findings(run: &Run) {
    let Some((node, handle)) = run.actor() else {
        return;
    };
    for view in handle.clusters() {
        let primary = view.report.primary.server();
        let mut state = run.world.lock();
        state.tell(|| format!("{} acts; primary: {primary:?}", node.id));
        for finding in &view.report.findings {
            let why = finding.evidence.iter().map(|e| e.text.as_str());
            let why: Vec<&str> = why.collect();
            let (code, server) = (finding.code.word(), &finding.server);
            state.tell(|| {
                let how = finding.suggestion.word();
                format!("{code} on {server}: {how}, because {}", why.join(" "))
            });
        }
    }
}

/// Somebody else is writable, and no recovery runs.
fn is_recovered(run: &Run) -> bool {
    let state = run.world.lock();
    let recoveries = &state.backend.present().recoveries;
    let ended = recoveries
        .iter()
        .all(|row| row.outcome != RecoveryOutcome::Running);
    ended && !recoveries.is_empty() && state.servers.values().any(SimServer::serves)
}

fn is_well(run: &Run) -> bool {
    let quiet = {
        let state = run.world.lock();
        let recoveries = &state.backend.present().recoveries;
        check_healed(&state).is_empty()
            && recoveries
                .iter()
                .all(|row| row.outcome != RecoveryOutcome::Running)
    };
    quiet && run.actor().is_some()
}

/// It is well, and stays so for a while.
fn await_peace(run: &mut Run) {
    let mut well_for = 0;
    for _ in 0..HEALING / 100 {
        run.pass(100);
        well_for = if is_well(run) { well_for + 100 } else { 0 };
        if well_for >= PEACE {
            return;
        }
    }
}

fn state_has_other(run: &Run) -> bool {
    run.world
        .lock()
        .servers
        .values()
        .any(|server| server.foreign)
}

/// Each server is known once, under whatever names it has.
fn check_known(run: &Run) -> Result<(), Violation> {
    let Some((_, handle)) = run.actor() else {
        let what = "nobody leads at the end".to_owned();
        return Err(Violation::NotHealed { what });
    };
    let clusters = handle.clusters();
    let known: Vec<String> = clusters
        .iter()
        .flat_map(|view| view.snapshot.servers.keys().map(ToString::to_string))
        .collect();
    let expected = if state_has_other(run) { 2 } else { 1 };
    if clusters.len() == expected && known.len() == run.world.lock().servers.len() {
        return Ok(());
    }
    Err(Violation::NotHealed {
        what: format!("{} clusters, servers {known:?}", clusters.len()),
    })
}

fn kill(run: &Run, address: &Address) {
    run.world.change(|state| {
        if let Some(server) = state.servers.get_mut(address) {
            server.die();
        }
    });
}

fn begin(run: &mut Run, first: First) {
    let primary = address(1);
    match first {
        First::KillPrimary | First::KillCoPrimary => kill(run, &primary),
        First::KillIntermediate => kill(run, &address(2)),
        First::FreezePrimary => run.world.change(|state| {
            if let Some(server) = state.servers.get_mut(&primary) {
                server.process = Process::Frozen;
            }
        }),
        First::CutPrimary => {
            cut_from_baton(run, &primary);
            run.world.change(|state| {
                let replicas: Vec<Address> = state.servers.keys().cloned().collect();
                for replica in replicas.iter().filter(|replica| **replica != primary) {
                    state
                        .network
                        .cut(&replica.to_string(), &primary.to_string());
                }
            });
        }
        First::CutFromBaton => cut_from_baton(run, &primary),
        First::Partition => {
            partition(run);
            run.pass(300);
            kill(run, &primary);
        }
        First::SplitBackend => {
            split_backend(run);
            run.pass(300);
            kill(run, &primary);
        }
        First::Nothing => {}
        First::Switchover => order_switchover(run),
        First::Return => run.world.change(|state| {
            let now = state.now;
            if let Some(server) = state.servers.get_mut(&primary) {
                server.start(now);
            }
        }),
    }
}

fn cut_from_baton(run: &Run, server: &Address) {
    let nodes: Vec<NodeId> = run.nodes.iter().map(|node| node.id).collect();
    run.world.change(|state| {
        for node in nodes {
            state.network.cut(&node.to_string(), &server.to_string());
        }
    });
}

/// The acting node, the primary and its first replica on one side; everything else on the other.
fn partition(run: &Run) {
    let Some(actor) = run.actor().map(|(node, _)| node.id) else {
        return;
    };
    let inside = [
        actor.to_string(),
        address(1).to_string(),
        address(2).to_string(),
    ];
    run.world.change(|state| {
        let mut all: Vec<String> = state.servers.keys().map(ToString::to_string).collect();
        all.extend(run.nodes.iter().map(|node| node.id.to_string()));
        all.extend(BACKENDS.map(str::to_owned));
        for outside in all.iter().filter(|name| !inside.contains(name)) {
            for name in &inside {
                state.network.cut(name, outside);
            }
        }
    });
}

fn split_backend(run: &Run) {
    let Some(actor) = run.actor().map(|(node, _)| node.id) else {
        return;
    };
    let [first, second] = BACKENDS;
    run.world.change(|state| {
        state.network.cut(first, second);
        for node in &run.nodes {
            // The active node of the backend stays with the others.
            let away = if node.id == actor { first } else { second };
            state.network.cut(&node.id.to_string(), away);
        }
    });
}

pub(crate) fn order_switchover(run: &Run) {
    let Some((node, handle)) = run.actor() else {
        return;
    };
    // Only on the node: an order dies with it.
    let handle = std::sync::Arc::downgrade(&handle);
    node.spawn(async move {
        let Some(handle) = handle.upgrade() else {
            return;
        };
        let clusters = handle.clusters();
        let first = ServerId::new(address(1).to_string());
        let mine = clusters
            .iter()
            .find(|view| view.snapshot.servers.contains_key(&first));
        let Some(view) = mine.cloned() else {
            return;
        };
        let request = ChangePrimary {
            cluster: view.snapshot.cluster.id.clone(),
            to: None,
            accept_loss: None,
            by: "simulation".to_owned(),
            deadline: Some(Duration::from_secs(5)),
        };
        // A refusal or failure is an outcome that the invariants judge.
        drop(handle.switchover(request).await);
    });
}
