//! A replica that was set up anew from a dump has its source's history, and its binary log does not
//! tell.

use anyhow::Result;
use baton_e2e::{Bed, BedOptions, both_flavors, wait_for_replication, word};
use baton_sandbox::{Flavor, Server};
use serde_json::{Value, json};

/// What loading a dump with its position does to the GTIDs of a server that has the data already.
fn restore(server: &Server, flavor: Flavor) -> Result<()> {
    let (stop, position, reset) = match flavor {
        Flavor::MariaDb => ("STOP SLAVE", "@@gtid_slave_pos", "RESET MASTER"),
        Flavor::MySql => (
            "STOP REPLICA",
            "@@gtid_executed",
            "RESET BINARY LOGS AND GTIDS",
        ),
    };
    server.exec(stop)?;
    let position = server.scalar(&format!("SELECT {position}"))?;
    server.exec(&match flavor {
        Flavor::MariaDb => {
            format!("{reset}; SET GLOBAL gtid_slave_pos = '{position}'; START SLAVE")
        }
        Flavor::MySql => format!("{reset}; SET GLOBAL gtid_purged = '{position}'; START REPLICA"),
    })
}

fn switchover(bed: &Bed, to: &str) -> Result<Value> {
    let (cluster, _) = bed.cluster()?;
    let to = bed.topology[to].address().to_string();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    bed.api.post(&path, &json!({ "to": to }))
}

/// Nobody was lost, and nothing went wrong on the way.
fn nothing_amiss(recovery: &Value) {
    for list in ["errors", "lost"] {
        assert_eq!(recovery.get(list), Some(&json!([])), "{recovery}");
    }
}

/// Seen: a switchover to such a replica was refused, and its old primary set aside.
fn a_restored_replica_takes_over(flavor: Flavor) -> Result<()> {
    let options = BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new("restored", flavor)
    };
    let mut bed = Bed::start(&options)?;
    let writes = |bed: &Bed, primary: &str, others: &[&str]| -> Result<()> {
        bed.topology[primary].exec("CREATE TABLE IF NOT EXISTS app.notes (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO app.notes VALUES ()")?;
        wait_for_replication(bed, others)
    };
    writes(&bed, "p1", &["r1", "r2"])?;
    let done = switchover(&bed, "r1")?;
    assert_eq!(word(&done, "outcome"), "succeeded", "{done}");
    writes(&bed, "r1", &["p1", "r2"])?;

    restore(&bed.topology["r2"], flavor)?;
    writes(&bed, "r1", &["p1", "r2"])?;
    let done = switchover(&bed, "r2")?;
    assert_eq!(word(&done, "outcome"), "succeeded", "{done}");
    nothing_amiss(&done);
    writes(&bed, "r2", &["p1", "r1"])?;

    // One that was never told sees it in what the others have.
    bed.baton()?.kill9()?;
    bed.start_baton()?;
    bed.wait_for_discovery(3)?;
    let done = switchover(&bed, "p1")?;
    assert_eq!(word(&done, "outcome"), "succeeded", "{done}");
    nothing_amiss(&done);
    writes(&bed, "p1", &["r1", "r2"])
}

both_flavors!(
    a_replica_from_a_dump_takes_over,
    super::a_restored_replica_takes_over
);
