//! Two clusters that share a replica; and a pair whose servers die one after the other.

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions, LIMIT, both_flavors, wait_for_replication, word};
use baton_sandbox::{Flavor, Server};

/// Number of rows of a table, -1 where it is not there.
fn rows(server: &Server, table: &str) -> i64 {
    let count = server.scalar(&format!("SELECT COUNT(*) FROM {table}"));
    count.ok().and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// Whether a server reads from another one, on however many channels, in whatever state.
fn reads_from(server: &Server, source: &Server) -> bool {
    let port = source.port().to_string();
    let shown = server.query(match server.flavor() {
        Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
        Flavor::MySql => "SHOW REPLICA STATUS",
    });
    shown.is_ok_and(|rows| format!("{rows:?}").contains(&format!("\"{port}\"")))
}

/// `p2` feeds the shared replica on a channel that a person stopped. It keeps its clients, whatever
/// happens to the other cluster; its own failover leaves the other cluster alone.
fn shared_replica(flavor: Flavor) -> Result<()> {
    let mut bed = Bed::servers_only(&BedOptions {
        sketch: "p1\np2\nm1 <- p1, p2\nr1 <- p1\nr2 <- p2".to_owned(),
        semi_sync: false,
        ..BedOptions::new("shared", flavor)
    })?;
    if flavor == Flavor::MariaDb {
        bed.topology["p2"].exec("SET GLOBAL gtid_domain_id=2")?;
    }
    for (name, table) in [("p1", "one"), ("p2", "two")] {
        let fill = format!(
            "CREATE DATABASE {table}; CREATE TABLE {table}.t (id INT PRIMARY KEY); INSERT INTO {table}.t VALUES (1),(2),(3)"
        );
        bed.topology[name].exec(&fill)?;
    }
    bed.wait("the shared replica has the rows of both", LIMIT, || {
        let m1 = &bed.topology["m1"];
        rows(m1, "one.t") == 3 && rows(m1, "two.t") == 3
    })?;
    bed.topology["m1"].exec(match flavor {
        Flavor::MariaDb => "STOP SLAVE 'p2'",
        Flavor::MySql => "STOP REPLICA FOR CHANNEL 'p2'",
    })?;
    bed.set_seeds(&["m1"]);
    bed.start_baton()?;
    bed.wait("two clusters are found", LIMIT, || sizes(&bed) == [2, 3])
        .with_context(|| format!("{:?}", bed.api.get("/api/v1/clusters")))?;

    bed.topology["p1"].kill9()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    assert_eq!(word(&failover, "outcome"), "succeeded", "{failover}");
    // Back as it was: it is closed, and follows.
    bed.topology["p1"].restart()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    assert_eq!(word(&rejoin, "outcome"), "succeeded", "{rejoin}");
    let p2 = &bed.topology["p2"];
    assert!(p2.is_writable()?, "the other cluster keeps its clients");
    p2.exec("INSERT INTO two.t VALUES (4)")?;
    assert_eq!(
        rows(p2, "one.t"),
        -1,
        "nothing was written into the other cluster"
    );
    let sources = ["p1", "m1", "r1"];
    assert!(
        sources
            .iter()
            .all(|name| !reads_from(p2, &bed.topology[*name]))
    );
    assert!(reads_from(&bed.topology["m1"], p2), "its channel is kept");
    let about_p2 = p2.address().to_string();
    let recoveries = bed.recoveries()?;
    assert!(
        recoveries
            .iter()
            .all(|row| !row["failed"].to_string().contains(&about_p2)),
        "{recoveries:?}"
    );

    wait_for_replication(&bed, &["r2"])?;
    bed.topology["p2"].kill9()?;
    bed.wait("the other cluster fails over", LIMIT, || {
        bed.topology["r2"].is_writable().unwrap_or(false)
    })?;
    let writable: Vec<&str> = bed.topology.writable().iter().map(|s| s.name()).collect();
    assert_eq!(writable.len(), 2, "{writable:?}");
    assert_eq!(
        rows(&bed.topology["r1"], "two.t"),
        rows(&bed.topology["p1"], "two.t")
    );
    Ok(())
}

both_flavors!(
    two_clusters_that_share_a_replica_leave_each_other_alone,
    super::shared_replica
);

/// Members of each cluster, the small one first.
fn sizes(bed: &Bed) -> Vec<usize> {
    let answer = bed.api.get("/api/v1/servers").unwrap_or_default();
    let list = answer.get("items").unwrap_or(&answer).as_array().cloned();
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for server in list.unwrap_or_default() {
        *counts
            .entry(word(&server, "cluster").to_owned())
            .or_default() += 1;
    }
    let mut sizes: Vec<usize> = counts.into_values().collect();
    sizes.sort_unstable();
    sizes
}

/// A died, B took writes, B died, A returns alone and writable: it is closed, and not opened
/// instead. B returns read-only, as its file says: it is opened, and A follows it.
fn successor_returns(flavor: Flavor) -> Result<()> {
    let bed = Bed::start(&BedOptions {
        sketch: "a\nb <- a".to_owned(),
        semi_sync: false,
        ..BedOptions::new("returns", flavor)
    })?;
    let (a, b) = (&bed.topology["a"], &bed.topology["b"]);
    a.exec("CREATE DATABASE one; CREATE TABLE one.t (id INT PRIMARY KEY)")?;
    bed.wait("the replica has the table", LIMIT, || rows(b, "one.t") == 0)?;
    a.kill9()?;
    bed.wait("the other one takes over", LIMIT, || {
        b.is_writable().unwrap_or(false)
    })?;
    bed.wait_for_recovery("failover", LIMIT)?;
    b.exec("INSERT INTO one.t VALUES (1)")?;
    b.kill9()?;
    a.restart()?;
    bed.wait("what was replaced is closed", LIMIT, || {
        a.is_writable().is_ok_and(|writable| !writable)
    })?;
    b.restart_closed()?;
    bed.wait("the successor takes writes again", LIMIT, || {
        b.is_writable().unwrap_or(false)
    })?;
    let reopened = bed.wait_for_recovery("reopen", LIMIT)?;
    assert_eq!(word(&reopened, "outcome"), "succeeded", "{reopened}");
    assert!(!a.is_writable()?);
    assert_eq!(rows(b, "one.t"), 1, "nothing is lost");
    Ok(())
}

both_flavors!(
    a_successor_that_returns_read_only_is_opened_again,
    super::successor_returns
);
