//! Failovers of real topologies.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions};
use baton_sandbox::{Flavor, Need, Writer};

/// Generous: what is tested is that it happens, not how fast.
const LIMIT: Duration = Duration::from_secs(60);

fn kill_the_primary(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("kill", flavor))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    writer.wait_for_other_than("p1", LIMIT)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(failover["outcome"], "succeeded", "{failover}");
    let successor = bed.only_writable().context("one server is writable")?;
    assert_ne!(
        successor.name(),
        "c1",
        "the replica of a replica was promoted"
    );
    let rows = writer.acknowledged_count();
    writer.wait_for_rows(rows + 100, LIMIT)?;
    // The old primary comes back, writable as its configuration says: fenced, and a replica if its history allows.
    bed.topology["p1"].restart()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    assert!(!bed.topology["p1"].is_writable()?, "{rejoin}");
    let report = writer.stop()?;
    let successor = bed.only_writable().context("one server is writable")?;
    assert_eq!(
        report.lost_on(successor)?,
        Vec::<u64>::new(),
        "acknowledged rows were lost"
    );
    if rejoin["outcome"] == "succeeded" {
        bed.wait("the old primary catches up", LIMIT, || {
            report
                .lost_on(&bed.topology["p1"])
                .is_ok_and(|lost| lost.is_empty())
        })?;
    }
    Ok(())
}

#[test]
fn a_killed_primary_is_replaced_and_taken_back_mariadb() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    kill_the_primary(Flavor::MariaDb).unwrap();
}

#[test]
fn a_killed_primary_is_replaced_and_taken_back_mysql() {
    baton_sandbox::require!(Flavor::MySql, Need::Baton);
    kill_the_primary(Flavor::MySql).unwrap();
}
