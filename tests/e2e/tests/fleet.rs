//! Several nodes that share a backend.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_e2e::{Fleet, FleetOptions};
use baton_sandbox::{
    Flavor, Need, Network, Sandbox, SemiSync, TopologySpec, Writer, WriterOptions, wait_until,
};

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

/// The leader hangs, and the primary falls off the network when nobody leads: the next leader
/// replaces it, and the old one, awake again, has nothing to say.
fn freeze_leader_and_cut_primary_off() -> Result<()> {
    let sandbox = Sandbox::new("fleet")?;
    let network = Network::new()?;
    let spec = TopologySpec::primary_with_replicas(2)
        .with_semi_sync(SemiSync::default())
        .with_network(&network);
    let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
    let options = FleetOptions::new(2, shared_file(&sandbox), &topology).with_network(&network);
    let fleet = Fleet::start(&sandbox, &options)?;
    let leader = fleet.wait_for_leader(LIMIT)?;
    for node in 0..fleet.members().len() {
        fleet.wait_for_discovery(node, topology.servers().len(), LIMIT)?;
    }
    let options = WriterOptions {
        host: Some(network.host("client")?),
        ..WriterOptions::default()
    };
    let writer = Writer::start_with(topology.servers(), options)?;
    writer.wait_for_rows(100, LIMIT)?;
    fleet[leader].freeze()?;
    let cut = Instant::now();
    network.unplug(topology.primary().host().context("a host")?)?;
    let next = fleet.wait_for_leader_other_than(leader, LIMIT)?;
    println!("{} leads after {:?}", fleet[next].name(), cut.elapsed());
    writer.wait_for_other_than("p1", LIMIT)?;
    println!("writable again after {:?}", cut.elapsed());
    let successor = writer.server_in_use().context("a server in use")?;
    fleet[leader].thaw()?;
    let answers = || Ok(fleet[leader].is_leader().is_ok());
    wait_until("the woken node answers", LIMIT, answers)?;
    assert_eq!(fleet.wait_for_leader(LIMIT)?, next);
    writer.wait_for_rows(100, LIMIT)?;
    assert_eq!(writer.server_in_use().as_ref(), Some(&successor));
    let report = writer.stop()?;
    let lost = report.lost_on(topology.server(&successor)?)?;
    assert_eq!(lost, Vec::<u64>::new());
    Ok(())
}

#[test]
fn a_leader_that_hangs_wakes_up_as_a_follower() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton, Need::Namespaces);
    freeze_leader_and_cut_primary_off().unwrap();
}

#[test]
fn a_leader_that_dies_with_the_primary_is_succeeded() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    kill_leader_and_primary().unwrap();
}
