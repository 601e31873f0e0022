//! What watching costs while nothing happens.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_e2e::{Bed, BedOptions};
use baton_sandbox::{Flavor, Server};
use clap::Args;

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// How long, seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// Clock ticks a second in `/proc/PID/stat`; fixed on Linux for user space.
const TICKS: f64 = 100.0;

pub(crate) fn bench(options: &Options) -> Result<()> {
    let bed = Bed::start(&BedOptions::new("idle", Flavor::MariaDb))?;
    let pid = bed.baton()?.pid();
    let replica = &bed.topology["r2"];
    sleep(Duration::from_secs(3));
    let (cpu, statements, begun) = (cpu_ticks(pid)?, questions(replica)?, Instant::now());
    sleep(Duration::from_secs(options.seconds));
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu = (cpu_ticks(pid)? - cpu) / TICKS / elapsed * 100.0;
    // One of them is this program's own.
    let statements = (questions(replica)? - statements - 1.0) / elapsed;
    println!(
        "watching 5 servers for {elapsed:.0} s on {}",
        crate::failover::machine()
    );
    println!("memory: {:.1} MB resident", resident_kb(pid)? / 1024.0);
    println!("CPU: {cpu:.2} % of one core");
    println!("statements per second on one replica: {statements:.2}");
    Ok(())
}

fn cpu_ticks(pid: u32) -> Result<f64> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/stat")).context("read the process's times")?;
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let field = |n: usize| {
        fields
            .get(n)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok(field(11) + field(12))
}

fn resident_kb(pid: u32) -> Result<f64> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/status")).context("read the process's memory")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("0");
    Ok(line
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0))
}

fn questions(server: &Server) -> Result<f64> {
    let rows = server.query("SHOW GLOBAL STATUS LIKE 'Questions'")?;
    let value = rows
        .first()
        .and_then(|row| row.at(1))
        .context("no answer to SHOW STATUS")?;
    value.parse().context("read a number of SHOW STATUS")
}
