//! Operating the databases of the state: moving it, a proxy in front of them, and what is wrong
//! with them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{Api, Fleet, FleetOptions};
use baton_sandbox::{
    BackendKind, BackendOptions, Flavor, Haproxy, HealthCheck, Need, Sandbox, TopologySpec,
    first_available, free_port, wait_until,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);

/// Everything that the API shows of what is stored.
fn stored(fleet: &Fleet, node: usize) -> Result<Vec<Value>> {
    let paths = ["recoveries", "routes", "downtimes", "audit?limit=1000"];
    let read = paths.map(|path| fleet[node].api.get(&format!("/api/v1/{path}")));
    read.into_iter().collect()
}

/// Takes the epochs out of routes. What was on local disk is written to the shared store later, and
/// under the epoch of then.
fn without_epochs(routes: &Value) -> (Vec<Value>, Vec<u64>) {
    let routes = routes.as_array().cloned().unwrap_or_default().into_iter();
    let parts = routes.map(|mut route| {
        let epoch = route["epoch"].take().as_u64().unwrap_or_default();
        (route, epoch)
    });
    parts.unzip()
}

/// Takes the numbers out of recoveries. One that is on local disk only is shown behind those of the
/// shared store, which gives it another.
fn without_numbers(recoveries: &Value) -> Vec<Value> {
    let rows = recoveries["items"].as_array().cloned().unwrap_or_default();
    let strip = |mut row: Value| {
        row["number"].take();
        row
    };
    rows.into_iter().map(strip).collect()
}

fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Until all nodes use the backend.
fn wait_for_all(fleet: &Fleet, backend: &str) -> Result<Duration> {
    let begun = Instant::now();
    let prefix = format!("{backend}/");
    wait_until("all nodes use that backend", LIMIT, || {
        for member in fleet.members() {
            let status = member.api.get("/api/v1/backend")?;
            let node = text(&status, "/selection/node");
            ensure!(node.starts_with(&prefix), "{} uses {node}", member.name());
        }
        Ok(true)
    })?;
    Ok(begun.elapsed())
}

fn move_to(fleet: &Fleet, leader: usize, to: &str) -> Result<Value> {
    // Longer than answers from memory take.
    let patient = Api::new(fleet[leader].api.base());
    let mut answered = patient.post_any("/api/v1/backend/move", &json!({ "to": to }));
    // For this reason alone it is asked again, as the refusal says.
    let waits = |text: String| text.contains("not handed over to them yet: wait");
    wait_until("all is handed over", LIMIT, || {
        let is_refused = matches!(&answered, Ok((409, why)) if waits(why.to_string()));
        if is_refused {
            answered = patient.post_any("/api/v1/backend/move", &json!({ "to": to }));
        }
        Ok(!is_refused)
    })?;
    let (status, moved) = answered?;
    ensure!(status == 200, "{moved}");
    println!("moved to {to}: {moved}");
    println!("all nodes there after {:?} more", wait_for_all(fleet, to)?);
    Ok(moved)
}

fn the_state_moves_and_nothing_is_lost(from: BackendKind, to: BackendKind) -> Result<()> {
    let sandbox = Sandbox::new("move")?;
    let old = sandbox.backend(from, &BackendOptions::default())?;
    let new = sandbox.backend(to, &BackendOptions::default().with_prefix("other"))?;
    let spec = TopologySpec::primary_with_replicas(2);
    let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
    let backends = format!("{}{}", old.config("old"), new.config("new"));
    let options = FleetOptions::new(3, backends, &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    for node in 0..fleet.members().len() {
        fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
    }
    wait_for_all(&fleet, "old")?;
    let api = &fleet[leader].api;
    let server = topology.servers()[2].address();
    let downtime = json!({"reason": "to be kept", "duration": "1h"});
    api.post(&format!("/api/v1/servers/{server}/downtime"), &downtime)?;
    let clusters = api.get("/api/v1/clusters")?;
    let cluster = text(&clusters, "/items/0/id");
    // A leader of a moment ago knows the servers, but their votes are not recorded yet.
    wait_until("a switchover succeeds", LIMIT, || {
        let path = format!("/api/v1/clusters/{cluster}/switchover");
        let (status, answer) = api.post_any(&path, &json!({}))?;
        ensure!(status == 200, "{answer}");
        Ok(true)
    })?;

    // What is refused, and why.
    let (status, problem) = api.post_any("/api/v1/backend/move", &json!({"to": "nowhere"}))?;
    assert_eq!(status, 404, "{problem}");
    let (status, problem) = api.post_any("/api/v1/backend/move", &json!({"to": "old"}))?;
    assert!(
        status == 409 && problem.to_string().contains("holds the state already"),
        "{problem}"
    );

    let before = stored(&fleet, leader)?;
    let epoch = api.get("/api/v1/node")?["lease_epoch"].as_u64();
    let moved = move_to(&fleet, leader, "new")?;
    assert_eq!(fleet.leaders(), [leader], "leadership is kept");
    let node = api.get("/api/v1/node")?;
    assert_eq!(node["lease_epoch"].as_u64(), epoch.map(|epoch| epoch + 1));
    for node in 0..fleet.members().len() {
        // Nodes that do not lead read from time to time what a person set.
        wait_until("it shows all that was stored", LIMIT, || {
            let after = stored(&fleet, node)?;
            let (routes, epochs) = without_epochs(&after[1]);
            let (old_routes, old_epochs) = without_epochs(&before[1]);
            let recoveries = [&after, &before].map(|all| without_numbers(&all[0]));
            ensure!(!recoveries[0].is_empty(), "no recovery is shown");
            let same = recoveries[0] == recoveries[1] && routes == old_routes;
            let same = same && after[2] == before[2];
            let later = epochs.iter().zip(&old_epochs).all(|(new, old)| new >= old);
            ensure!(same && later, "{after:?}\n{before:?}");
            let lines = |all: &[Value]| all[3]["items"].as_array().map_or(0, Vec::len);
            ensure!(lines(&after) > lines(&before), "audit lines are missing");
            let audits = after[3].to_string();
            ensure!(audits.contains("state moved from old to new"), "{audits}");
            Ok(true)
        })?;
    }
    assert!(moved["rows"].as_u64() > Some(10), "{moved}");

    // The old one is not needed any more, whatever it says, and nobody takes it up again.
    let status = fleet[leader].api.get("/api/v1/backend")?;
    assert_eq!(text(&status, "/holder"), "new");
    assert_eq!(text(&status, "/clusters/0/moved_to"), "new");
    let follower = (leader + 1) % 3;
    fleet[follower].kill9()?;
    fleet[follower].restart(&sandbox)?;
    wait_for_all(&fleet, "new")?;
    old.kill_all()?;
    api.post("/api/v1/recoveries-enabled", &json!({"enabled": false}))?;
    fleet[leader].kill9()?;
    let next = fleet.wait_for_leader_other_than(leader, LIMIT)?;
    wait_until("what was set is read from the new store", LIMIT, || {
        let switch = fleet[next].api.get("/api/v1/recoveries-enabled")?;
        Ok(switch["enabled"] == json!(false))
    })?;
    Ok(())
}

#[test]
fn the_state_moves_from_galera_to_a_pair() {
    let (from, to) = (
        BackendKind::Galera,
        BackendKind::MasterMaster(Flavor::MariaDb),
    );
    baton_sandbox::require!(from, to, Need::Baton);
    the_state_moves_and_nothing_is_lost(from, to).expect("it moves");
}

#[test]
fn the_state_moves_from_a_pair_to_group_replication() {
    let (from, to) = (
        BackendKind::MasterMaster(Flavor::MariaDb),
        BackendKind::GroupReplication,
    );
    baton_sandbox::require!(from, to, Need::Baton);
    the_state_moves_and_nothing_is_lost(from, to).expect("it moves");
}

#[test]
fn the_state_moves_from_ndb_to_galera() {
    let (from, to) = (BackendKind::Ndb, BackendKind::Galera);
    baton_sandbox::require!(from, to, Need::Baton);
    the_state_moves_and_nothing_is_lost(from, to).expect("it moves");
}

/// One entry in the list of nodes, and behind it whatever HAProxy's `first` chooses.
fn a_proxy_chooses_the_node() -> Result<()> {
    let sandbox = Sandbox::new("behind-proxy")?;
    let galera = sandbox.backend(BackendKind::Galera, &BackendOptions::default())?;
    let topology = sandbox.topology(Flavor::MariaDb, &TopologySpec::primary_with_replicas(1))?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let nodes = galera.nodes().iter();
    let nodes: Vec<_> = nodes.map(|node| (node.name(), node.address())).collect();
    let config = first_available(listen, &nodes, &HealthCheck::fast());
    let proxy = Haproxy::start(&sandbox, "haproxy", &config, listen, None)?;
    let backend = format!(
        "[[backend.cluster]]\nname = \"state\"\nkind = \"galera\"\nnodes = [\"mysql://baton:baton@{}/baton\"]\n",
        proxy.address()
    );
    let options = FleetOptions::new(2, backend, &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    fleet.wait_for_discovery(leader, topology.servers().len(), LIMIT)?;
    wait_for_all(&fleet, "state")?;
    let killed = galera[0].kill9()?;
    let api = &fleet[leader].api;
    wait_until("a change is written through the other node", LIMIT, || {
        let (status, answer) =
            api.post_any("/api/v1/recoveries-enabled", &json!({"enabled": false}))?;
        ensure!(status == 200, "{answer}");
        Ok(true)
    })?;
    println!("written through the next node after {:?}", killed.elapsed());
    assert_eq!(fleet.leaders(), [leader], "the leader stays");
    let status = api.get("/api/v1/backend")?;
    let node = status.pointer("/clusters/0/nodes/0").context("a node")?;
    assert_eq!(
        node["against"],
        json!([]),
        "nothing is held against the other node"
    );
    Ok(())
}

#[test]
fn a_proxy_in_front_of_galera_still_works() {
    baton_sandbox::require!(
        BackendKind::Galera,
        Flavor::MariaDb,
        Need::Haproxy,
        Need::Baton
    );
    a_proxy_chooses_the_node().expect("it works");
}
