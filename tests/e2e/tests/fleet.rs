//! Several nodes that share a backend.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Fleet, FleetOptions};
use baton_sandbox::{Flavor, Need, Sandbox, SemiSync, TopologySpec, Writer};

const LIMIT: Duration = Duration::from_secs(40);

/// On one machine, nodes may share a file.
fn shared_file(sandbox: &Sandbox) -> String {
    let path = sandbox.folder().join("shared.db");
    format!(
        "[backend]\nkind = \"sqlite\"\npath = \"{}\"",
        path.display()
    )
}

/// Leader and primary die together: another node finishes what nobody has begun.
fn kill_leader_and_primary() -> Result<()> {
    let sandbox = Sandbox::new("fleet")?;
    let spec = TopologySpec::primary_with_replicas(2).with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
    let options = FleetOptions::new(2, shared_file(&sandbox), &topology);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    for node in 0..fleet.members().len() {
        fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
    }
    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    let killed = fleet[leader].kill9()?;
    topology.primary().kill9()?;
    let next = fleet.wait_for_leader_other_than(leader, LIMIT)?;
    println!("{} leads after {:?}", fleet[next].name(), killed.elapsed());
    writer.wait_for_other_than("p1", LIMIT)?;
    let report = writer.stop()?;
    let gap = report.handover_after(killed).context("no handover")?;
    println!("without a writer for {:?}", gap.length());
    let [successor] = topology.writable()[..] else {
        anyhow::bail!("not one writable server")
    };
    assert_eq!(report.lost_on(successor)?, Vec::<u64>::new());
    fleet[leader].restart(&sandbox)?;
    assert_eq!(
        fleet.wait_for_leader(LIMIT)?,
        next,
        "it comes back as a follower"
    );
    fleet[next].stop()?;
    assert_eq!(fleet.wait_for_leader(LIMIT)?, leader);
    Ok(())
}

#[test]
fn a_leader_that_dies_with_the_primary_is_succeeded() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    kill_leader_and_primary().unwrap();
}
