//! Three nodes whose state is on databases that are highly available themselves.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Fleet, FleetOptions};
use baton_sandbox::{
    BackendKind, BackendOptions, Flavor, Need, Sandbox, SemiSync, TopologySpec, Writer,
};
use serde_json::Value;

/// Longer than a lease lasts: a dead leader's is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// The backend's active node dies, then the leader and the primary together: another leader reads from another database node what
/// is recorded, and replaces the primary.
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
    baton_sandbox::wait_until("the failover is recorded", LIMIT, recorded)?;
    assert_eq!(id(&clusters(next)?), Some(known), "it keeps its identity");
    Ok(())
}

#[test]
fn on_galera_everything_has_a_successor() {
    baton_sandbox::require!(BackendKind::Galera, Flavor::MariaDb, Need::Baton);
    everything_has_a_successor(BackendKind::Galera).unwrap();
}
