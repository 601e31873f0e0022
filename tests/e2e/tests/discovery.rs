//! Finding the servers of a cluster.

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions, LIMIT, both_flavors};
use baton_sandbox::{Flavor, free_port};
use serde_json::Value;

/// Replicas are found from their source by where they read from, even if they do not say who they
/// are, or say a name that does not resolve.
fn find_downwards(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1\nc1 <- r1".to_owned(),
        network: true,
        report_hosts: vec![("r1", ""), ("r2", "r2.invalid"), ("c1", "")],
        ..BedOptions::new("downwards", flavor)
    })?;
    bed.set_seeds(&["p1"]);
    bed.start_baton()?;
    let names = ["p1", "r1", "r2", "c1"];
    wait_for_all(&bed, &names)?;
    assert_eq!(clusters(&bed)?, 1);
    Ok(())
}

both_flavors!(
    replicas_are_found_by_where_they_read_from,
    super::find_downwards,
    Need::Namespaces
);

/// Everybody is found through a replica of a server that is down, once that one is back; with
/// several sources, under a second name, and at another port.
fn find_in_pieces(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions {
        sketch: "p1\np2\nr1 <- p1\nc1 <- r1\nm1 <- p1, p2".to_owned(),
        semi_sync: false,
        report_hosts: vec![("r1", "localhost")],
        ..BedOptions::new("pieces", flavor)
    })?;
    bed.topology["r1"].kill9()?;
    bed.set_seeds(&["c1"]);
    bed.start_baton()?;
    wait_for_all(&bed, &["c1"])?;
    let source = bed.topology["r1"].port();
    bed.wait("the source that is down is listed", LIMIT, || {
        instances(&bed)
            .iter()
            .any(|(port, valid)| *port == u64::from(source) && !valid)
    })?;

    bed.topology["r1"].restart()?;
    wait_for_all(&bed, &["p1", "p2", "r1", "c1", "m1"])?;

    let new = free_port()?;
    let moved = format!("--port={new}");
    bed.topology["c1"].restart_with(&[&moved, &format!("--report-port={new}")])?;
    // MariaDB has no identity that would tell a server that moved from another one.
    let entries = match flavor {
        Flavor::MariaDb => 6,
        Flavor::MySql => 5,
    };
    bed.wait("the server is found at its new port", LIMIT, || {
        let found = instances(&bed);
        let at_new = |(port, valid): &(u64, bool)| *port == u64::from(new) && *valid;
        found.len() == entries && found.iter().any(at_new)
    })
    .with_context(|| format!("{:?}", instances(&bed)))?;
    // Two clusters' primaries may feed one replica: neither is the other's former primary.
    let writable: Vec<&str> = bed.topology.writable().iter().map(|s| s.name()).collect();
    assert_eq!(writable, ["p1", "p2"], "{:?}", bed.recoveries()?);
    Ok(())
}

both_flavors!(
    servers_are_found_through_each_other_and_once_each,
    super::find_in_pieces
);

/// Port, and whether it answers, of each server that Baton lists.
fn instances(bed: &Bed) -> Vec<(u64, bool)> {
    let answer = bed.api.get("/api/all-instances").unwrap_or_default();
    let list = answer.as_array().cloned().unwrap_or_default();
    let row = |instance: &Value| {
        let port = instance.pointer("/Key/Port")?.as_u64()?;
        let valid = instance.get("IsLastCheckValid") == Some(&Value::Bool(true));
        Some((port, valid))
    };
    list.iter().filter_map(row).collect()
}

/// Waits until each of these answers at its address, and nobody else does.
fn wait_for_all(bed: &Bed, names: &[&str]) -> Result<()> {
    let answering = || instances(bed).iter().filter(|(_, valid)| *valid).count();
    bed.wait(&format!("{names:?} are found"), LIMIT, || {
        answering() == names.len()
    })
    .with_context(|| format!("{:?}", bed.api.get("/api/all-instances")))
}

fn clusters(bed: &Bed) -> Result<usize> {
    let answer = bed.api.get("/api/v1/clusters")?;
    let list = answer.get("items").unwrap_or(&answer);
    Ok(list.as_array().map_or(0, Vec::len))
}
