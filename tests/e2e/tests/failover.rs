//! Failovers of real topologies.

use std::time::{Duration, Instant};

use anyhow::Result;
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, require_one_writable, timeline,
    wait_for_replication, wait_for_successor, word,
};
use baton_sandbox::Flavor;
use serde_json::json;

fn kill_the_primary(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("kill", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1")?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    let successor = require_one_writable(&bed)?;
    assert_ne!(
        successor.name(),
        "c1",
        "the replica of a replica was promoted"
    );
    writer.wait_for_rows(100, LIMIT)?;
    // The old primary comes back, writable as its configuration says: fenced, and a replica if its
    // history allows.
    bed.topology["p1"].restart()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    assert!(!bed.topology["p1"].is_writable()?, "{rejoin}");
    let report = require_nothing_lost(&bed, writer)?;
    if word(&rejoin, "outcome") == "succeeded" {
        bed.wait("the old primary catches up", LIMIT, || {
            report
                .lost_on(&bed.topology["p1"])
                .is_ok_and(|lost| lost.is_empty())
        })?;
    }
    Ok(())
}

both_flavors!(
    a_killed_primary_is_replaced_and_taken_back,
    super::kill_the_primary
);

/// It takes some milliseconds. Without a fence that waits, the next reading and the next decision
/// come first: 900 ms. MySQL's variable turns only once the commits that wait for acknowledgements
/// have ended, a second later; nobody can begin to write meanwhile.
fn fence_left(flavor: Flavor) -> Duration {
    match flavor {
        Flavor::MariaDb => Duration::from_millis(300),
        Flavor::MySql => Duration::from_millis(1500),
    }
}

fn hang_the_primary(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("hang", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].freeze()?;
    wait_for_successor(&bed, &writer, "p1")?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    // It wakes up, and finds the fence that was left in its sockets: nobody has to see it first.
    bed.topology["p1"].thaw()?;
    let thawed = Instant::now();
    bed.wait("the woken primary is fenced", LIMIT, || {
        bed.topology["p1"]
            .is_writable()
            .is_ok_and(|writable| !writable)
    })?;
    let took = thawed.elapsed();
    println!("{flavor}: closed {took:?} after it went on");
    anyhow::ensure!(took < fence_left(flavor), "{took:?}");
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_hung_primary_is_found_and_replaced,
    super::hang_the_primary
);

fn switch_over(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("switchover", flavor))?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    let (cluster, _) = bed.cluster()?;
    let to = bed.topology["r2"].address().to_string();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    bed.api.post(&path, &json!({ "to": to }))?;
    wait_for_successor(&bed, &writer, "p1")?;
    assert_eq!(require_one_writable(&bed)?.name(), "r2");
    wait_for_replication(&bed, &["p1", "r1", "r3"])?;
    writer.wait_for_rows(100, LIMIT)?;
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(a_switchover_under_load_loses_nothing, super::switch_over);

/// A person may replace a living primary, too: it is fenced first.
fn fail_over_by_order(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        automatic: false,
        ..BedOptions::new("order", flavor)
    })?;
    let (cluster, _) = bed.cluster()?;
    let failover = bed
        .api
        .post(&format!("/api/v1/clusters/{cluster}/failover"), &json!({}))?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    let primary = require_one_writable(&bed)?;
    assert_ne!(primary.name(), "p1");
    Ok(())
}

both_flavors!(
    a_person_replaces_a_living_primary,
    super::fail_over_by_order
);

/// Only clusters that the configuration names are recovered; the finding is shown all the same.
fn leave_it_alone(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        automatic: false,
        ..BedOptions::new("manual", flavor)
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

both_flavors!(
    a_cluster_that_is_not_named_is_left_alone_and_explained,
    super::leave_it_alone
);

fn errant_old_primary(flavor: Flavor) -> Result<()> {
    // Without semi-sync: the old primary commits what nobody received.
    let bed = Bed::start(&BedOptions {
        semi_sync: false,
        ..BedOptions::new("errant", flavor)
    })?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1")?;
    bed.wait_for_recovery("failover", LIMIT)?;
    // It commits something of its own before anybody fences it: started where Baton does not reach
    // it yet.
    if let Some(baton) = &bed.baton {
        baton.freeze()?;
    }
    bed.topology["p1"].restart()?;
    bed.topology["p1"].exec("INSERT INTO app.writes (id) VALUES (4000000000)")?;
    if let Some(baton) = &bed.baton {
        baton.thaw()?;
    }
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    let origin = match flavor {
        Flavor::MariaDb => format!("0-{}-", bed.topology["p1"].server_id()),
        Flavor::MySql => bed.topology["p1"].scalar("SELECT @@server_uuid")?,
    };
    assert_eq!(word(&rejoin, "outcome"), "failed", "{rejoin}");
    assert!(
        !bed.topology["p1"].is_writable()?,
        "the errant server takes writes"
    );
    assert!(
        rejoin.to_string().contains(&origin),
        "the errant transactions are listed: {rejoin}"
    );
    assert!(
        !bed.topology["p1"].is_replicating()?,
        "it replicates although it has errant transactions"
    );
    writer.stop()?;
    Ok(())
}

both_flavors!(
    an_old_primary_with_errant_transactions_is_set_aside,
    super::errant_old_primary
);

/// A `must_not` candidate hands its transactions on and is not promoted; a dead intermediate source
/// loses its replicas.
fn intermediate_and_must_not(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions::new("must-not", flavor))?;
    bed.start_baton()?;
    bed.wait_for_discovery(5)?;
    bed.topology["r1"].kill9()?;
    let moved = bed.wait_for_recovery("intermediate-failover", LIMIT)?;
    assert_eq!(word(&moved, "outcome"), "succeeded", "{moved}");
    wait_for_replication(&bed, &["c1"])?;
    for name in ["r2", "c1"] {
        bed.set_promotion_rule(name, "must_not")?;
    }
    bed.topology["p1"].kill9()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    assert_eq!(require_one_writable(&bed)?.name(), "r3");
    Ok(())
}

both_flavors!(
    a_dead_intermediate_source_and_must_not_candidates,
    super::intermediate_and_must_not
);

/// The preferred candidate has received less than its siblings: it fetches the rest from the most
/// advanced one first.
fn candidate_behind(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1".to_owned(),
        ..BedOptions::new("behind", flavor)
    })?;
    bed.set_promotion_rule("r1", "must")?;
    let writer = bed.writer()?;
    writer.wait_for_rows(100, LIMIT)?;
    bed.topology["r1"].exec(match flavor {
        Flavor::MariaDb => "STOP SLAVE IO_THREAD",
        Flavor::MySql => "STOP REPLICA IO_THREAD",
    })?;
    writer.wait_for_rows(200, LIMIT)?;
    bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1")?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    assert_eq!(require_one_writable(&bed)?.name(), "r1", "{failover}");
    let journal = timeline(&bed, &failover)?;
    assert!(journal.contains("catching up from"), "{journal}");
    wait_for_replication(&bed, &["r2", "r3"])?;
    writer.wait_for_rows(100, LIMIT)?;
    require_nothing_lost(&bed, writer)?;
    Ok(())
}

both_flavors!(
    a_preferred_candidate_that_is_behind_catches_up_first,
    super::candidate_behind
);
