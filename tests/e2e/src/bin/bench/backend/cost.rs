//! What watching costs the databases while nothing happens.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_e2e::rounds::Ground;
use baton_sandbox::Server;

/// The sessions of the nodes settle in that time.
const CALM: Duration = Duration::from_secs(3);

pub(super) fn measure(ground: &Ground, seconds: u64) -> Result<()> {
    sleep(CALM);
    let nodes = ground.backend.nodes();
    let servers = ground.topology.servers();
    let all: Vec<&Server> = nodes.iter().chain(servers).collect();
    let before = questions(&all)?;
    let begun = Instant::now();
    sleep(Duration::from_secs(seconds));
    let after = questions(&all)?;
    let elapsed = begun.elapsed().as_secs_f64();
    let members = ground.fleet.members().len();
    println!("\nstatements per second in {elapsed:.0} s, and sessions, of {members} idle nodes");
    let mut sum = 0.0;
    for ((server, before), after) in all.iter().zip(&before).zip(&after) {
        // The reading itself is one.
        let rate = (after - before - 1.0) / elapsed;
        let is_node = nodes.iter().any(|node| node.name() == server.name());
        if is_node {
            sum += rate;
        }
        let part = if is_node { "backend" } else { "managed" };
        println!(
            "  {part} {:<10} {rate:>7.1} {:>4}",
            server.name(),
            sessions(server)?
        );
    }
    let members = u32::try_from(members).context("few nodes")?;
    println!(
        "  on the backend, per Baton node: {:.1}",
        sum / f64::from(members)
    );
    Ok(())
}

fn questions(servers: &[&Server]) -> Result<Vec<f64>> {
    let read = |server: &&Server| {
        let rows = server.query("SHOW GLOBAL STATUS LIKE 'Questions'")?;
        let value = rows.first().and_then(|row| row.at(1));
        let value = value.context("no answer to SHOW STATUS")?;
        value.parse().context("read a number of SHOW STATUS")
    };
    servers.iter().map(read).collect()
}

fn sessions(server: &Server) -> Result<usize> {
    let rows = server.query("SHOW PROCESSLIST")?;
    let is_baton = |user: Option<&str>| user == Some("baton");
    Ok(rows.iter().filter(|row| is_baton(row.get("User"))).count())
}
