//! XA transactions that are prepared when the primary changes are committed on the next one, and on
//! no other.

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{Bed, BedOptions, LIMIT, both_flavors, wait_for_replication, word};
use baton_sandbox::{Account, Flavor};
use serde_json::{Value, json};

/// Prepares a transaction that inserts a row of that number. Its session ends.
fn prepare(bed: &Bed, on: &str, id: u32) -> Result<()> {
    bed.topology[on]
        .query_as(
            Account::App,
            &format!(
                "XA START 'x{id}'; INSERT INTO app.notes VALUES ({id}); XA END 'x{id}'; XA PREPARE 'x{id}'"
            ),
        )
        .map(|_| ())
}

/// An ordinary account commits it, once the session that prepared it has gone.
fn commit(bed: &Bed, on: &str, id: u32) -> Result<()> {
    let sql = format!("XA COMMIT 'x{id}'");
    bed.wait("the transaction is committed", LIMIT, || {
        bed.topology[on].query_as(Account::App, &sql).is_ok()
    })
}

/// The row is everywhere, and nothing is prepared any more.
fn is_everywhere(bed: &Bed, id: u32, primary: &str, others: &[&str]) -> Result<()> {
    wait_for_replication(bed, others)?;
    for name in others.iter().chain([&primary]) {
        let server = &bed.topology[*name];
        let sql = format!("SELECT COUNT(*) FROM app.notes WHERE id = {id}");
        ensure!(server.scalar(&sql)? == "1", "{name} lacks row {id}");
        let prepared = server.query("XA RECOVER")?;
        ensure!(prepared.is_empty(), "{name}: {prepared:?}");
    }
    Ok(())
}

/// The recovery says by name what is prepared on the new primary.
fn names(bed: &Bed, recovery: &Value, name: &str) -> Result<()> {
    let path = format!("/api/v1/recoveries/{}", word(recovery, "id"));
    let whole = bed.api.get(&path)?.to_string();
    ensure!(
        whole.contains("to be committed or rolled back there") && whole.contains(name),
        "{whole}"
    );
    Ok(())
}

fn they_go_with_the_role(flavor: Flavor) -> Result<()> {
    let options = BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        config: "[policy.failover.settings]\ncooldown-ms = 0".to_owned(),
        ..BedOptions::new("prepared", flavor)
    };
    let bed = Bed::start(&options)?;
    bed.topology["p1"].exec("CREATE TABLE app.notes (id INT PRIMARY KEY)")?;
    prepare(&bed, "p1", 1)?;
    wait_for_replication(&bed, &["r1", "r2"])?;

    let (cluster, _) = bed.cluster()?;
    let to = bed.topology["r1"].address().to_string();
    let path = format!("/api/v1/clusters/{cluster}/switchover");
    let switchover = bed.api.post(&path, &json!({ "to": to }))?;
    ensure!(word(&switchover, "outcome") == "succeeded", "{switchover}");
    names(&bed, &switchover, "'x1'")?;
    commit(&bed, "r1", 1)?;
    is_everywhere(&bed, 1, "r1", &["p1", "r2"])?;

    prepare(&bed, "r1", 2)?;
    wait_for_replication(&bed, &["p1", "r2"])?;
    bed.topology["r1"].kill9()?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    ensure!(word(&failover, "outcome") == "succeeded", "{failover}");
    names(&bed, &failover, "'x2'")?;
    let successor = bed.only_writable().context("a primary")?.name().to_owned();
    let other = if successor == "p1" { "r2" } else { "p1" };
    commit(&bed, &successor, 2)?;
    bed.topology["r1"].restart_closed()?;
    let rejoin = bed.wait_for_recovery("rejoin", LIMIT)?;
    ensure!(word(&rejoin, "outcome") == "succeeded", "{rejoin}");
    is_everywhere(&bed, 2, &successor, &[other, "r1"])
}

both_flavors!(
    prepared_transactions_go_with_the_role,
    super::they_go_with_the_role
);
