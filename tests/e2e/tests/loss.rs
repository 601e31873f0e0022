//! What may be lost decides whether anybody is opened: on the small side of a partition, and when
//! who acknowledged is away.

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, require_one_writable, word,
};
use baton_sandbox::Flavor;
use serde_json::json;

/// `{Baton, r1} | {p1, r2, r3, r4, clients}`: the primary goes on acknowledging through three
/// replicas that nobody cuts off. Nobody is opened, and after the partition nothing has happened.
fn small_side(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1\nr4 <- p1".to_owned(),
        network: true,
        ..BedOptions::new("small-side", flavor)
    })?;
    let writer = bed.writer()?;
    writer.wait_for_rows(50, LIMIT)?;
    let others = ["p1", "r2", "r3", "r4"];
    for other in others {
        bed.cables()?.cut("baton", other)?;
        bed.cables()?.cut("r1", other)?;
    }
    wait_for_obstacle(&bed, "could-acknowledge")?;
    writer.wait_for_rows(50, LIMIT)?;
    require_untouched(&bed, "r1", 10)?;
    for other in others {
        bed.cables()?.heal("baton", other)?;
        bed.cables()?.heal("r1", other)?;
    }
    bed.wait_for_discovery(5)?;
    writer.wait_for_rows(50, LIMIT)?;
    assert_eq!(require_one_writable(&bed)?.name(), "p1");
    ensure!(bed.recoveries()?.is_empty(), "{:?}", bed.recoveries()?);
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_small_side_opens_nobody,
    super::small_side,
    Need::Namespaces
);

/// The primary and the only replica that acknowledged die together; the one that is left had its
/// receiver stopped. It is not opened by itself, nor by an order that accepts no loss. Once the
/// other is back, the failover goes on.
fn acknowledger_is_gone(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new("acknowledger", flavor)
    })?;
    let writer = bed.writer()?;
    writer.wait_for_rows(20, LIMIT)?;
    bed.topology["r2"].exec(match flavor {
        Flavor::MariaDb => "STOP SLAVE IO_THREAD",
        Flavor::MySql => "STOP REPLICA IO_THREAD",
    })?;
    writer.wait_for_rows(200, LIMIT)?;
    bed.topology["r1"].kill9()?;
    bed.topology["p1"].kill9()?;
    wait_for_obstacle(&bed, "may-hold")?;
    require_untouched(&bed, "r2", 10)?;
    let (cluster, _) = bed.cluster()?;
    let path = format!("/api/v1/clusters/{cluster}/failover");
    let r2 = bed.topology["r2"].address().to_string();
    let (status, answer) = bed.api.post_any(&path, &json!({ "to": r2 }))?;
    ensure!(status == 409, "{status} {answer}");
    ensure!(answer.to_string().contains("--accept-loss"), "{answer}");
    require_untouched(&bed, "r2", 2)?;

    bed.topology["r1"].restart()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    writer.wait_for_rows(20, LIMIT)?;
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    nobody_is_opened_while_who_acknowledged_is_away,
    super::acknowledger_is_gone
);

/// The power fails: primary, acknowledger and Baton end. The acknowledger has not applied what it
/// acknowledged, and throws its relay log away when it starts. A new Baton knows from its store
/// that rows were acknowledged which nobody has who answers.
fn power_failure(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new("power", flavor)
    })?;
    let writer = bed.writer()?;
    writer.wait_for_rows(20, LIMIT)?;
    let (receiver, applier) = match flavor {
        Flavor::MariaDb => ("STOP SLAVE IO_THREAD", "STOP SLAVE SQL_THREAD"),
        Flavor::MySql => ("STOP REPLICA IO_THREAD", "STOP REPLICA SQL_THREAD"),
    };
    bed.topology["r2"].exec(receiver)?;
    bed.topology["r1"].exec(applier)?;
    writer.wait_for_rows(200, LIMIT)?;
    // It knows what it has read.
    let r1 = bed.topology["r1"].address().to_string();
    bed.api
        .post(&format!("/api/v1/servers/{r1}/refresh"), &json!({}))?;
    require_untouched(&bed, "r1", 2)?;
    for name in ["r1", "p1"] {
        bed.topology[name].kill9()?;
    }
    bed.baton()?.terminate(LIMIT)?;
    bed.topology["r1"].restart_with(match flavor {
        Flavor::MariaDb => &[],
        Flavor::MySql => &["--relay-log-recovery=ON"],
    })?;
    bed.start_baton()?;
    wait_for_obstacle(&bed, "lost-since")?;
    require_untouched(&bed, "r1", 10)?;
    require_untouched(&bed, "r2", 2)?;

    bed.topology["p1"].restart()?;
    writer.wait_for_rows(20, LIMIT)?;
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    what_was_acknowledged_is_remembered_after_a_power_failure,
    super::power_failure
);

fn explanation(bed: &Bed) -> Result<String> {
    let (cluster, _) = bed.cluster()?;
    let path = format!("/api/v1/clusters/{cluster}/explanation");
    Ok(bed.api.get(&path)?.to_string())
}

fn wait_for_obstacle(bed: &Bed, code: &str) -> Result<()> {
    let quoted = format!("\"{code}\"");
    bed.wait(&format!("{code} holds the failover"), LIMIT, || {
        explanation(bed).is_ok_and(|text| text.contains(&quoted))
    })
    .with_context(|| format!("{:?}", explanation(bed)))
}

/// The server stays closed, and nothing is begun, while the cluster is looked at that many times
/// more.
fn require_untouched(bed: &Bed, name: &str, rounds: u64) -> Result<()> {
    let target = bed.rounds_done()? + rounds;
    bed.wait("the cluster was looked at", LIMIT, || {
        bed.rounds_done().is_ok_and(|done| done >= target)
    })?;
    ensure!(!bed.topology[name].is_writable()?, "{name} was opened");
    ensure!(bed.recoveries()?.is_empty(), "{:?}", bed.recoveries()?);
    Ok(())
}
