//! Nodes that cannot act as they are: started while the backend is away, or under the name of
//! another one.

#![allow(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use baton_e2e::{Fleet, FleetOptions};
use baton_sandbox::{BackendKind, BackendOptions, Flavor, Need, Sandbox, TopologySpec, wait_until};
use serde_json::json;

const PAIR: BackendKind = BackendKind::MasterMaster(Flavor::MariaDb);
const LIMIT: Duration = Duration::from_secs(120);

fn wait_until_ready(fleet: &Fleet, node: usize) -> Result<()> {
    wait_until("the node is ready", LIMIT, || {
        let (status, answer) = fleet[node].api.get_any("/readyz")?;
        ensure!(status == 200, "{answer}");
        Ok(true)
    })
    .map(drop)
}

fn wait_until_not_ready(fleet: &Fleet, node: usize, why: &str) -> Result<()> {
    wait_until("the node says why it does not act", LIMIT, || {
        let (status, answer) = fleet[node].api.get_any("/readyz")?;
        ensure!(
            status == 503 && answer.to_string().contains(why),
            "{answer}"
        );
        Ok(true)
    })
    .map(drop)
}

fn a_node_starts_without_its_backend() -> Result<()> {
    let sandbox = Sandbox::new("nodes")?;
    let backend = sandbox.backend(PAIR, &BackendOptions::default())?;
    let topology = sandbox.topology(Flavor::MariaDb, &TopologySpec::primary_with_replicas(1))?;
    let options = FleetOptions::new(1, backend.config("state"), &topology);
    backend.kill_all()?;
    let fleet = Fleet::start(&sandbox, &options)?;
    let (status, answer) = fleet[0].api.get_any("/readyz")?;
    assert_eq!(status, 503, "{answer}");
    wait_until_not_ready(&fleet, 0, "acts on nothing until it has")?;
    let address = backend[0].address().to_string();
    wait_until_not_ready(&fleet, 0, &address)?;
    let (status, answer) = fleet[0].api.get_any("/api/v1/clusters")?;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(fleet.leaders(), Vec::<usize>::new());
    backend.start_all()?;
    wait_until_ready(&fleet, 0)?;
    fleet.wait_for_discovery(0, topology.servers().len(), LIMIT)?;
    fleet.wait_for_leader(LIMIT).map(drop)
}

fn the_later_of_two_with_one_name_does_not_act() -> Result<()> {
    let sandbox = Sandbox::new("nodes")?;
    let backend = sandbox.backend(PAIR, &BackendOptions::default())?;
    let topology = sandbox.topology(Flavor::MariaDb, &TopologySpec::primary_with_replicas(1))?;
    let options = FleetOptions::new(2, backend.config("state"), &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let first = fleet.wait_for_leader(LIMIT)?;
    let second = 1 - first;
    fleet[second].stop()?;
    let path = fleet[second].folder().join("baton.toml");
    let named = |member: usize| format!("name = \"{}\"", fleet[member].name());
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(&named(second)), "{text}");
    fs::write(&path, text.replace(&named(second), &named(first)))?;
    fleet[second].restart(&sandbox)?;
    let why = format!(
        "another process runs under the name {}",
        fleet[first].name()
    );
    wait_until_not_ready(&fleet, second, &why)?;
    wait_until_ready(&fleet, first)?;
    assert_eq!(fleet.leaders(), [first]);
    // Not even if a person wants it; and what it is asked to change, the other one does.
    let (status, answer) = fleet[second].api.get_any("/api/grab-election")?;
    assert!(
        status != 200 && answer.to_string().contains(&why),
        "{answer}"
    );
    let off = json!({"enabled": false});
    fleet[second].api.post("/api/v1/recoveries-enabled", &off)?;
    let switch = fleet[first].api.get("/api/v1/recoveries-enabled")?;
    assert_eq!(switch["enabled"], json!(false), "{switch}");
    // The name is free when the first has ended.
    fleet[first].kill9()?;
    fleet.wait_for_leader_other_than(first, LIMIT)?;
    wait_until_ready(&fleet, second)
}

#[test]
fn a_node_can_start_while_the_backend_is_away() {
    baton_sandbox::require!(PAIR, Flavor::MariaDb, Need::Baton);
    a_node_starts_without_its_backend().unwrap();
}

#[test]
fn two_nodes_with_one_name() {
    baton_sandbox::require!(PAIR, Flavor::MariaDb, Need::Baton);
    the_later_of_two_with_one_name_does_not_act().unwrap();
}
