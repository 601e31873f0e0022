//! Cuts in the network: who lost whom decides what is right.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, require_one_writable,
    wait_for_successor, word,
};
use baton_sandbox::Flavor;

/// Far more than a poll (1 s) and its step; far less than any timeout of a server.
const FENCE_LIMIT: Duration = Duration::from_secs(5);

fn networked(name: &str, flavor: Flavor) -> BedOptions {
    BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        network: true,
        ..BedOptions::new(name, flavor)
    }
}

/// Baton alone lost the primary. Its replicas still read from it, with clients writing and without:
/// nobody is promoted.
fn only_baton_is_cut_off(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&networked("cut-baton", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.cables()?.cut("baton", "p1")?;
    wait_for_finding(&bed, "primary-unreachable")?;
    require_quiet(&bed, 12)?;
    let report = writer.stop()?;
    let strangers = report
        .acknowledged()
        .iter()
        .map(|row| report.server_of(row));
    assert_eq!(strangers.filter(|name| *name != "p1").count(), 0);
    // Without traffic there is no sign of life but that a replica can connect anew.
    bed.cables()?.heal("baton", "p1")?;
    bed.wait("the primary is seen again", LIMIT, || {
        findings(&bed).is_ok_and(|findings| !findings.contains("primary-"))
    })?;
    bed.cables()?.cut("baton", "p1")?;
    wait_for_finding(&bed, "primary-unreachable")?;
    require_quiet(&bed, 12)?;
    assert_eq!(require_one_writable(&bed)?.name(), "p1");
    Ok(())
}

both_flavors!(
    a_primary_that_only_baton_lost_is_left_alone,
    super::only_baton_is_cut_off,
    Need::Namespaces
);

/// Baton and the replicas lost the primary, clients did not: it is replaced, and fenced once it is
/// back.
fn primary_is_cut_off(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&networked("cut-primary", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    for other in ["baton", "r1", "r2"] {
        bed.cables()?.cut("p1", other)?;
    }
    wait_for_successor(&bed, &writer, "p1")?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    writer.wait_for_rows(100, LIMIT)?;
    for other in ["baton", "r1", "r2"] {
        bed.cables()?.heal("p1", other)?;
    }
    bed.wait("the old primary is fenced", FENCE_LIMIT, || {
        bed.topology["p1"]
            .is_writable()
            .is_ok_and(|writable| !writable)
    })?;
    // What it had accepted and nobody had received decides whether it may follow.
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    if word(&rejoin, "outcome") != "succeeded" {
        let errant = "that the primary lacks";
        assert!(rejoin.to_string().contains(errant), "{rejoin}");
        assert!(!bed.topology["p1"].is_replicating()?, "{rejoin}");
    }
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_primary_that_was_cut_off_is_replaced_and_fenced_on_its_return,
    super::primary_is_cut_off,
    Need::Namespaces
);

/// From the cut until a commit is acknowledged again.
const SERVERS_CUT_LIMIT: Duration = Duration::from_secs(15);

/// The primary and its replicas lost each other; Baton and the clients reach all of them. Commits
/// hang, no new source helps, and another primary does. When the network is whole again, nothing
/// more happens.
fn servers_lose_each_other(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&networked("cut-servers", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    for replica in ["r1", "r2"] {
        bed.cables()?.cut("p1", replica)?;
    }
    let cut = Instant::now();
    wait_for_finding(&bed, "primary-replicas-cannot-connect")?;
    let named = cut.elapsed();
    wait_for_successor(&bed, &writer, "p1")?;
    writer.wait_for_rows(10, LIMIT)?;
    let answered = cut.elapsed();
    println!("{flavor:?}: named after {named:?}, commits again after {answered:?}");
    ensure!(answered < SERVERS_CUT_LIMIT, "{answered:?}");
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    for replica in ["r1", "r2"] {
        bed.cables()?.heal("p1", replica)?;
    }
    bed.wait_for_recovery("rejoin", LIMIT)?;
    writer.wait_for_rows(100, LIMIT)?;
    require_one_writable(&bed)?;
    let rows = bed.recoveries()?;
    let failovers = rows.iter().filter(|row| word(row, "kind") == "failover");
    assert_eq!(failovers.count(), 1, "{rows:?}");
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_primary_that_its_replicas_lost_is_replaced,
    super::servers_lose_each_other,
    Need::Namespaces
);

/// Baton lost everybody: it knows nothing and does nothing, then or when it is back.
fn baton_is_cut_off(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&networked("cut-all", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.cables()?.unplug("baton")?;
    wait_for_finding(&bed, "primary-and-replicas-dead")?;
    require_quiet(&bed, 12)?;
    bed.cables()?.plug_in("baton")?;
    bed.wait_for_discovery(3)?;
    require_quiet(&bed, 10)?;
    writer.wait_for_rows(100, LIMIT)?;
    let report = require_nothing_lost(&bed, writer)?;
    let strangers = report
        .acknowledged()
        .iter()
        .map(|row| report.server_of(row));
    assert_eq!(strangers.filter(|name| *name != "p1").count(), 0);
    Ok(())
}

both_flavors!(
    a_node_that_lost_everybody_does_nothing,
    super::baton_is_cut_off,
    Need::Namespaces
);

fn findings(bed: &Bed) -> Result<String> {
    let (cluster, _) = bed.cluster()?;
    let path = format!("/api/v1/clusters/{cluster}/findings");
    Ok(bed.api.get(&path)?.to_string())
}

fn wait_for_finding(bed: &Bed, code: &str) -> Result<()> {
    let quoted = format!("\"{code}\"");
    bed.wait(&format!("the finding {code} is shown"), LIMIT, || {
        findings(bed).is_ok_and(|findings| findings.contains(&quoted))
    })
    .with_context(|| format!("{:?}", findings(bed)))
}

/// Nothing is begun while the cluster is looked at that many times more.
fn require_quiet(bed: &Bed, rounds: u64) -> Result<()> {
    let target = bed.rounds_done()? + rounds;
    bed.wait("the cluster was looked at", LIMIT, || {
        bed.rounds_done().is_ok_and(|done| done >= target)
    })?;
    let recoveries = bed.recoveries()?;
    ensure!(recoveries.is_empty(), "something was begun: {recoveries:?}");
    Ok(())
}
