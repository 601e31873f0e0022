//! Three nodes and what stands in front of them: a load balancer that knows the leader, and clients
//! that do not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Api, Fleet, FleetOptions};
use baton_sandbox::{
    BackendBed, BackendKind, BackendOptions, Flavor, Haproxy, HealthCheck, Need, Sandbox, Topology,
    TopologySpec, first_available, free_port, wait_until,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);
/// For one answer through the proxy; a client asks again.
const PATIENCE: Duration = Duration::from_secs(2);
/// While nobody leads the proxy keeps a request waiting; a fresh one shows sooner that somebody
/// does.
const GLANCE: Duration = Duration::from_millis(150);

/// Three nodes of which one leads and all know the servers.
struct Nodes {
    fleet: Fleet,
    leader: usize,
    _topology: Topology,
    _backend: BackendBed,
}

impl Nodes {
    fn start(sandbox: &Sandbox) -> Result<Self> {
        let backend = sandbox.backend(BackendKind::Galera, &BackendOptions::default())?;
        let spec = TopologySpec::primary_with_replicas(1);
        let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
        let options = FleetOptions::new(3, backend.config("state"), &topology);
        let fleet = Fleet::start(sandbox, &options)?;
        let leader = fleet.wait_for_leader(LIMIT)?;
        for node in 0..fleet.members().len() {
            fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
        }
        Ok(Self {
            fleet,
            leader,
            _topology: topology,
            _backend: backend,
        })
    }

    fn follower(&self, leader: usize) -> usize {
        (leader + 1) % self.fleet.members().len()
    }
}

/// A client that asks again and again who answers, until it is told to stop.
#[derive(Default)]
struct Client {
    stop: AtomicBool,
    /// Answers of nodes that said that they lead.
    leaders: AtomicUsize,
}

impl Client {
    /// Gives the answers of nodes that did not lead.
    fn ask(&self, api: &Api) -> Vec<String> {
        let mut others = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            // Without a leader the proxy refuses, which is right.
            let Ok(node) = api.get("/api/v1/node") else {
                continue;
            };
            if node.get("is_leader") == Some(&Value::Bool(true)) {
                self.leaders.fetch_add(1, Ordering::Relaxed);
            } else {
                others.push(node.to_string());
            }
        }
        others
    }

    fn answers(&self) -> usize {
        self.leaders.load(Ordering::Relaxed)
    }

    /// Waits for an answer after `seen` ones.
    fn wait_for_more_than(&self, seen: usize) -> Result<()> {
        let more = || Ok(self.answers() > seen);
        wait_until("a client is answered through the proxy", LIMIT, more).map(drop)
    }
}

fn the_proxy_finds_the_leader() -> Result<()> {
    let sandbox = Sandbox::new("front")?;
    let nodes = Nodes::start(&sandbox)?;
    let fleet = &nodes.fleet;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let servers = fleet.members().iter().map(|member| {
        let address = member.api.base().trim_start_matches("http://");
        Ok((member.name(), address.parse()?))
    });
    let servers = servers.collect::<Result<Vec<(&str, SocketAddr)>>>()?;
    let check = HealthCheck::fast().with_option("option httpchk GET /api/leader-check");
    let config = first_available(listen, &servers, &check);
    let _proxy = Haproxy::start(&sandbox, "front", &config, listen, None)?;
    let front = Api::within(&format!("http://{listen}"), PATIENCE);
    let leads = |node: usize| {
        let front = Api::within(&format!("http://{listen}"), GLANCE);
        move || Ok(name_of(&front).is_ok_and(|name| name == fleet[node].name()))
    };
    wait_until("the proxy knows the leader", LIMIT, leads(nodes.leader))?;

    let client = Arc::new(Client::default());
    let asking = {
        let (front, client) = (front.clone(), Arc::clone(&client));
        thread::spawn(move || client.ask(&front))
    };
    client.wait_for_more_than(0)?;
    let killed = fleet[nodes.leader].kill9()?;
    let next = fleet.wait_for_leader_other_than(nodes.leader, LIMIT)?;
    println!("{} leads after {:?}", fleet[next].name(), killed.elapsed());
    wait_until("the proxy knows the new leader", LIMIT, leads(next))?;
    println!("the proxy sends clients there after {:?}", killed.elapsed());
    // And it stays so when the old one is back.
    fleet[nodes.leader].restart(&sandbox)?;
    wait_until("the old leader follows", LIMIT, || {
        Ok(!fleet[nodes.leader].is_leader()?)
    })?;
    assert_eq!(name_of(&front)?, fleet[next].name());
    front.post("/api/v1/recoveries-enabled", &json!({"enabled": false}))?;
    client.wait_for_more_than(client.answers())?;
    client.stop.store(true, Ordering::Relaxed);
    let others = asking.join().expect("the client does not panic");
    println!("{} answers through the proxy", client.answers());
    assert_eq!(others, Vec::<String>::new(), "answers of followers");
    Ok(())
}

/// Who answers.
fn name_of(api: &Api) -> Result<Value> {
    Ok(api.get("/api/v1/node")?["name"].clone())
}

/// Any node can be asked for everything: who leads does what is to be changed.
fn any_node_will_do() -> Result<()> {
    let sandbox = Sandbox::new("front")?;
    let nodes = Nodes::start(&sandbox)?;
    let (fleet, leader) = (&nodes.fleet, nodes.leader);
    let follower = nodes.follower(leader);
    let asked = Api::new(fleet[follower].api.base());

    let cluster = asked.get("/api/v1/clusters")?["items"][0]["id"].clone();
    let cluster = cluster.as_str().context("a cluster")?.to_owned();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    let recovery = asked.post(&path, &json!({}))?;
    assert_eq!(recovery["outcome"], "succeeded", "{recovery}");
    assert_eq!(recovery["node"], fleet[leader].name());
    let (status, _) = asked.get_any("/api/routed-leader-check")?;
    assert_eq!(status, 200);

    let listed = asked.get("/api/v1/nodes")?;
    let lives: Vec<(&Value, &Value)> = listed
        .as_array()
        .context("a list")?
        .iter()
        .map(|node| (&node["life"], &node["is_leader"]))
        .collect();
    assert_eq!(lives.len(), 3, "{listed}");
    let leading = lives.iter().filter(|(_, leads)| **leads == json!(true));
    assert_eq!(leading.count(), 1, "{listed}");
    let living = lives.iter().filter(|(life, _)| **life != json!("gone"));
    assert_eq!(living.count(), 3, "{listed}");

    asked.get("/api/reelect")?;
    let next = fleet.wait_for_leader_other_than(leader, LIMIT)?;
    let back = Api::new(fleet[leader].api.base());
    back.post("/api/v1/node/grab-election", &json!({}))?;
    assert_eq!(fleet.wait_for_leader_other_than(next, LIMIT)?, leader);
    Ok(())
}

#[test]
fn haproxy_sends_everybody_to_the_leader() {
    baton_sandbox::require!(
        BackendKind::Galera,
        Flavor::MariaDb,
        Need::Baton,
        Need::Haproxy
    );
    the_proxy_finds_the_leader().unwrap();
}

#[test]
fn a_node_that_follows_passes_changes_on() {
    baton_sandbox::require!(BackendKind::Galera, Flavor::MariaDb, Need::Baton);
    any_node_will_do().unwrap();
}
