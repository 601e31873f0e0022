//! A delayed replica alone has the last acknowledged rows. Its delay is lifted, and they are on the
//! next primary within seconds.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use baton_e2e::{
    Bed, BedOptions, LIMIT, both_flavors, require_nothing_lost, wait_for_replication,
    wait_for_successor, word,
};
use baton_sandbox::{Flavor, Server};

/// Seconds. Above every limit of the test, below what the policy refuses.
const DELAY: &str = "60";
/// The drain limit is 60 s.
const PROMPT: Duration = Duration::from_secs(20);

/// Only r1 acknowledges, with a delay; r2 receives nothing more; p1 dies. The bed, and who took
/// over.
fn fail_over(flavor: Flavor, name: &str, rule: &str) -> Result<(Bed, String)> {
    let bed = Bed::start(&BedOptions {
        sketch: "p1\nr1 <- p1\nr2 <- p1".to_owned(),
        ..BedOptions::new(name, flavor)
    })?;
    let (delay, stop_receiver) = match flavor {
        Flavor::MariaDb => (
            format!("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY={DELAY}; START SLAVE"),
            "STOP SLAVE IO_THREAD",
        ),
        Flavor::MySql => (
            format!(
                "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_DELAY={DELAY}; START REPLICA"
            ),
            "STOP REPLICA IO_THREAD",
        ),
    };
    bed.topology["r1"].exec(&delay)?;
    bed.set_promotion_rule("r1", rule)?;
    wait_for_replication(&bed, &["r1"])?;
    bed.topology["r2"].exec(stop_receiver)?;
    let writer = bed.writer()?;
    writer.wait_for_rows(200, LIMIT)?;
    let killed = bed.topology["p1"].kill9()?;
    wait_for_successor(&bed, &writer, "p1")?;
    let took = killed.elapsed();
    println!("{flavor:?} {rule}: another primary after {took:?}");
    ensure!(took < PROMPT, "{took:?}");
    writer.wait_for_rows(20, LIMIT)?;
    let successor = writer
        .server_in_use()
        .context("a writer without a server")?;
    let failover = bed.wait_for_recovery("failover", LIMIT)?;
    ensure!(word(&failover, "outcome") == "succeeded", "{failover}");
    require_nothing_lost(&bed, writer)?;
    Ok((bed, successor))
}

/// It takes over, and has neither channel nor delay afterwards.
fn takes_over(flavor: Flavor) -> Result<()> {
    let (bed, successor) = fail_over(flavor, "delayed", "neutral")?;
    ensure!(successor == "r1", "{successor}");
    let status = bed.topology["r1"].replica_status()?;
    ensure!(status.is_empty(), "{status:?}");
    wait_for_replication(&bed, &["r2"])
}

both_flavors!(a_delayed_replica_takes_over, super::takes_over);

/// It must not take over: another one fetches the rows from it, and it follows that one with its
/// delay.
fn hands_on(flavor: Flavor) -> Result<()> {
    let (bed, successor) = fail_over(flavor, "hands-on", "must_not")?;
    ensure!(successor == "r2", "{successor}");
    wait_for_replication(&bed, &["r1"])?;
    let delay = delay_of(&bed.topology["r1"])?;
    ensure!(delay == DELAY, "{delay}");
    Ok(())
}

both_flavors!(a_delayed_replica_hands_on_what_it_has, super::hands_on);

fn delay_of(server: &Server) -> Result<String> {
    let status = server.replica_status()?;
    let channel = status.first().context("no channel")?;
    Ok(channel.get("SQL_Delay").unwrap_or_default().to_owned())
}
