//! Failovers of real topologies.

use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions};
use baton_sandbox::{Flavor, Need, Writer};
use serde_json::Value;

/// Generous: what is tested is that it happens, not how fast.
const LIMIT: Duration = Duration::from_secs(40);

fn kill_the_primary(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("kill", flavor))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
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
    if word(&rejoin, "outcome") == "succeeded" {
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

fn hang_the_primary(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("hang", flavor))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].freeze()?;
    wait_for_successor(&bed, &writer)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    // It wakes up, and must not take writes for longer than Baton needs to see it.
    bed.topology["p1"].thaw()?;
    bed.wait("the woken primary is fenced", LIMIT, || {
        bed.topology["p1"]
            .is_writable()
            .is_ok_and(|writable| !writable)
    })?;
    let report = writer.stop()?;
    let successor = bed.only_writable().context("one server is writable")?;
    assert_eq!(
        report.lost_on(successor)?,
        Vec::<u64>::new(),
        "acknowledged rows were lost"
    );
    Ok(())
}

#[test]
fn a_hung_primary_is_unmasked_and_replaced_mariadb() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    hang_the_primary(Flavor::MariaDb).unwrap();
}

#[test]
fn a_hung_primary_is_unmasked_and_replaced_mysql() {
    baton_sandbox::require!(Flavor::MySql, Need::Baton);
    hang_the_primary(Flavor::MySql).unwrap();
}

fn switch_over(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("switchover", flavor))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    let (cluster, _) = bed.cluster()?;
    let to = bed.topology["r2"].address().to_string();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    bed.api.post(&path, &serde_json::json!({ "to": to }))?;
    wait_for_successor(&bed, &writer)?;
    assert_eq!(
        bed.only_writable()
            .context("one server is writable")?
            .name(),
        "r2"
    );
    bed.wait("all replicate from the new primary", LIMIT, || {
        ["p1", "r1", "r3"]
            .iter()
            .all(|name| bed.topology[name].is_replicating().unwrap_or(false))
    })?;
    let rows = writer.acknowledged_count();
    writer.wait_for_rows(rows + 100, LIMIT)?;
    let report = writer.stop()?;
    assert_eq!(
        report.lost_on(&bed.topology["r2"])?,
        Vec::<u64>::new(),
        "acknowledged rows were lost"
    );
    Ok(())
}

#[test]
fn a_switchover_under_load_loses_nothing_mariadb() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    switch_over(Flavor::MariaDb).unwrap();
}

#[test]
fn a_switchover_under_load_loses_nothing_mysql() {
    baton_sandbox::require!(Flavor::MySql, Need::Baton);
    switch_over(Flavor::MySql).unwrap();
}

/// A person may replace a living primary, too: it is fenced first.
fn fail_over_by_order() -> Result<()> {
    let bed = Bed::start(&BedOptions {
        automatic: false,
        ..BedOptions::new("order", Flavor::MariaDb)
    })?;
    let (cluster, _) = bed.cluster()?;
    let failover = bed.api.post(
        &format!("/api/v1/clusters/{cluster}/failover"),
        &serde_json::json!({}),
    )?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    let primary = bed.only_writable().context("one server is writable")?;
    assert_ne!(primary.name(), "p1");
    Ok(())
}

#[test]
fn a_person_replaces_a_living_primary() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    fail_over_by_order().unwrap();
}

/// Only clusters that the configuration names are recovered; the finding is shown all the same.
fn leave_it_alone() -> Result<()> {
    let bed = Bed::start(&BedOptions {
        automatic: false,
        ..BedOptions::new("manual", Flavor::MariaDb)
    })?;
    let (cluster, _) = bed.cluster()?;
    bed.topology["p1"].kill9()?;
    bed.wait("the finding is shown", LIMIT, || {
        let findings = bed.api.get(&format!("/api/v1/clusters/{cluster}/findings"));
        findings.is_ok_and(|findings| findings.to_string().contains("primary-dead"))
    })?;
    let explanation = bed
        .api
        .get(&format!("/api/v1/clusters/{cluster}/explanation"))?;
    assert!(
        explanation.to_string().contains("not-automatic"),
        "{explanation}"
    );
    assert!(bed.only_writable().is_none(), "somebody was promoted");
    Ok(())
}

#[test]
fn a_cluster_that_is_not_named_is_left_alone_and_explained() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    leave_it_alone().unwrap();
}

fn errant_old_primary() -> Result<()> {
    // Without semi-sync: the old primary commits what nobody received.
    let bed = Bed::start(&BedOptions {
        semi_sync: false,
        ..BedOptions::new("errant", Flavor::MariaDb)
    })?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer)?;
    bed.wait_for_recovery("failover", LIMIT)?;
    // It commits something of its own before anybody fences it: started where Baton does not reach it yet.
    if let Some(baton) = &bed.baton {
        baton.freeze()?;
    }
    bed.topology["p1"].restart()?;
    bed.topology["p1"].exec("INSERT INTO app.writes (id) VALUES (4000000000)")?;
    if let Some(baton) = &bed.baton {
        baton.thaw()?;
    }
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    assert_eq!(word(&rejoin, "outcome"), "failed", "{rejoin}");
    assert!(
        !bed.topology["p1"].is_writable()?,
        "the errant server takes writes"
    );
    assert!(
        rejoin.to_string().contains("0-1-"),
        "the errant transactions are listed: {rejoin}"
    );
    assert!(
        !bed.topology["p1"].is_replicating()?,
        "it replicates although it has errant transactions"
    );
    writer.stop()?;
    Ok(())
}

#[test]
fn an_old_primary_with_errant_transactions_is_set_aside() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    errant_old_primary().unwrap();
}

/// A `must_not` candidate hands its transactions on and is not promoted; a dead intermediate source loses its replicas.
fn intermediate_and_must_not() -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions::new("must-not", Flavor::MariaDb))?;
    bed.start_baton()?;
    bed.wait_for_discovery(5)?;
    bed.topology["r1"].kill9()?;
    let moved = bed.wait_for_recovery("intermediate-failover", LIMIT)?;
    assert_eq!(word(&moved, "outcome"), "succeeded", "{moved}");
    bed.wait("the orphan replicates", LIMIT, || {
        bed.topology["c1"].is_replicating().unwrap_or(false)
    })?;
    for name in ["r2", "c1"] {
        let address = bed.topology[name].address();
        bed.api.get(&format!(
            "/api/register-candidate/{}/{}/must_not",
            address.ip(),
            address.port()
        ))?;
    }
    bed.topology["p1"].kill9()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    assert_eq!(
        bed.only_writable()
            .context("one server is writable")?
            .name(),
        "r3"
    );
    Ok(())
}

#[test]
fn a_dead_intermediate_source_and_must_not_candidates() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    intermediate_and_must_not().unwrap();
}

/// Baton is killed while it acts, and started again: the recovery is finished.
fn restart_in_the_middle() -> Result<()> {
    let mut bed = Bed::start(&BedOptions::new("restart", Flavor::MariaDb))?;
    let writer = Writer::start(bed.topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    bed.wait("a recovery began", LIMIT, || {
        bed.recoveries().is_ok_and(|rows| !rows.is_empty())
    })?;
    bed.baton()?.kill9()?;
    bed.start_baton()?;
    wait_for_successor(&bed, &writer)?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    let report = writer.stop()?;
    let successor = bed.only_writable().context("one server is writable")?;
    assert_eq!(
        report.lost_on(successor)?,
        Vec::<u64>::new(),
        "acknowledged rows were lost"
    );
    Ok(())
}

#[test]
fn a_node_killed_in_mid_recovery_finishes_it_after_its_restart() {
    baton_sandbox::require!(Flavor::MariaDb, Need::Baton);
    restart_in_the_middle().unwrap();
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// Waits until the writer uses another server than the first primary; a failure shows the node's log.
fn wait_for_successor(bed: &Bed, writer: &Writer) -> Result<()> {
    bed.wait("another server takes writes", LIMIT, || {
        writer.server_in_use().is_some_and(|server| server != "p1")
    })
}
