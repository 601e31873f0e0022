//! Three nodes whose state is on databases that are highly available themselves.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Fleet, FleetOptions};
use baton_sandbox::{
    BackendBed, BackendKind, BackendOptions, Flavor, Need, Sandbox, SemiSync, TopologySpec, Writer,
    wait_until,
};
use serde_json::Value;

/// Generous: longer than any lease lasts.
const LIMIT: Duration = Duration::from_secs(120);

/// The backend's active node dies, then the leader and the primary together: another leader reads
/// from another database node what is recorded, and replaces the primary.
fn everything_has_a_successor(kind: BackendKind) -> Result<()> {
    let sandbox = Sandbox::new("shared-state")?;
    let backend = sandbox.backend(kind, &BackendOptions::default())?;
    let spec = TopologySpec::primary_with_replicas(2).with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
    let options = FleetOptions::new(3, backend.config("state"), &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    for node in 0..fleet.members().len() {
        fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
    }
    let clusters = |node: usize| fleet[node].api.get("/api/v1/clusters");
    let id = |document: &Value| {
        let list = document.get("items").unwrap_or(document);
        list.pointer("/0/id").cloned()
    };
    let known = id(&clusters(leader)?).context("a cluster")?;
    for node in 0..fleet.members().len() {
        assert_eq!(id(&clusters(node)?).as_ref(), Some(&known), "one identity");
    }
    wait_for_recorded_members(&backend, topology.servers().len(), fleet.members().len())?;
    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    backend[0].kill9()?;
    fleet[leader].kill9()?;
    let killed = topology.primary().kill9()?;
    let next = fleet.wait_for_leader_other_than(leader, LIMIT)?;
    println!("{} leads after {:?}", fleet[next].name(), killed.elapsed());
    writer.wait_for_other_than("p1", LIMIT)?;
    println!("writable again after {:?}", killed.elapsed());
    let report = writer.stop()?;
    let [successor] = topology.writable()[..] else {
        anyhow::bail!("not one writable server")
    };
    assert_eq!(report.lost_on(successor)?, Vec::<u64>::new());
    let recorded = || {
        let recoveries = fleet[next].api.get("/api/v1/recoveries")?;
        Ok(recoveries.to_string().contains("\"succeeded\""))
    };
    wait_until("the failover is recorded", LIMIT, recorded)?;
    assert_eq!(id(&clusters(next)?), Some(known), "it keeps its identity");
    Ok(())
}

/// Waits until the members of the one cluster are recorded and every node has read them: before,
/// nobody has the right to act on it.
fn wait_for_recorded_members(backend: &BackendBed, members: usize, nodes: usize) -> Result<()> {
    let known = format!(
        "SELECT JSON_LENGTH(members) = {members} AND members_before IS NULL AND \
         (SELECT COUNT(*) FROM baton.baton_node WHERE voters_seen >= version) = {nodes} FROM baton.baton_voters"
    );
    wait_until("all nodes know the recorded members", LIMIT, || {
        Ok(backend[0].scalar(&known).is_ok_and(|known| known == "1"))
    })
    .map(drop)
}

/// What the whole backend's end must not stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// The leader lives and replaces the primary.
    Leader,
    /// It dies, too: another node stands in.
    NoLeader,
}

/// The whole backend dies, then the primary: it is replaced by the votes of its cluster alone, and
/// the backend is told when it is back.
fn the_backend_may_be_away(kind: BackendKind, with: With) -> Result<()> {
    let sandbox = Sandbox::new("shared-state")?;
    let backend = sandbox.backend(kind, &BackendOptions::default())?;
    let spec = TopologySpec::primary_with_replicas(2).with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
    let options = FleetOptions::new(3, backend.config("state"), &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    for node in 0..fleet.members().len() {
        fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
    }
    wait_for_recorded_members(&backend, topology.servers().len(), fleet.members().len())?;
    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    backend.kill_all()?;
    if with == With::NoLeader {
        fleet[leader].kill9()?;
    }
    let killed = topology.primary().kill9()?;
    writer.wait_for_other_than("p1", LIMIT)?;
    println!("writable again after {:?}", killed.elapsed());
    let report = writer.stop()?;
    let [successor] = topology.writable()[..] else {
        anyhow::bail!("not one writable server")
    };
    assert_eq!(report.lost_on(successor)?, Vec::<u64>::new());
    backend.start_all()?;
    let back = std::time::Instant::now();
    let actor = fleet.wait_for_leader(LIMIT)?;
    let recorded = || {
        let recoveries = fleet[actor].api.get("/api/v1/recoveries")?;
        Ok(recoveries.to_string().contains("\"succeeded\""))
    };
    wait_until("the failover is known", LIMIT, recorded)?;
    // A node that had no part in it has it from the backend.
    let other = (0..fleet.members().len())
        .find(|node| *node != actor && *node != leader)
        .context("a third node")?;
    let handed_over = || {
        let recoveries = fleet[other].api.get("/api/v1/recoveries")?;
        Ok(recoveries.to_string().contains("\"succeeded\""))
    };
    wait_until("the failover is handed over", LIMIT, handed_over)?;
    println!(
        "handed over {:?} after the backend came back",
        back.elapsed()
    );
    Ok(())
}

#[test]
fn on_galera_everything_has_a_successor() {
    baton_sandbox::require!(BackendKind::Galera, Flavor::MariaDb, Need::Baton);
    everything_has_a_successor(BackendKind::Galera).unwrap();
}

#[test]
fn on_a_pair_everything_has_a_successor() {
    baton_sandbox::require!(
        BackendKind::MasterMaster(Flavor::MariaDb),
        Flavor::MariaDb,
        Need::Baton
    );
    everything_has_a_successor(BackendKind::MasterMaster(Flavor::MariaDb)).unwrap();
}

#[test]
fn a_primary_is_replaced_without_the_backend() {
    baton_sandbox::require!(
        BackendKind::MasterMaster(Flavor::MariaDb),
        Flavor::MariaDb,
        Need::Baton
    );
    the_backend_may_be_away(BackendKind::MasterMaster(Flavor::MariaDb), With::Leader).unwrap();
}

#[test]
fn a_node_stands_in_without_the_backend() {
    baton_sandbox::require!(BackendKind::Galera, Flavor::MariaDb, Need::Baton);
    the_backend_may_be_away(BackendKind::Galera, With::NoLeader).unwrap();
}
