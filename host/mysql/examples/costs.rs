//! What readings and commands cost on servers on this machine: `cargo run --release -p baton-mysql
//! --example costs`.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::ProbeFailure;
use baton_core::time::{Timestamp, WallTime};
use baton_mysql::{Account, MysqlServers, Secret, Settings};
use baton_ports::{Clock, Guard, ServerCommand, Servers as _, Session};
use baton_sandbox::{Flavor, Sandbox, Server, TopologySpec};

const LIMIT: Duration = Duration::from_secs(10);
const GUARD: Guard = Guard { within: LIMIT };

struct Since(Instant);

impl Clock for Since {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> WallTime {
        WallTime::default()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    for flavor in Flavor::ALL {
        println!("## {flavor}\n\n| What | median | 90 % |\n| --- | ---: | ---: |");
        measure(flavor).await?;
        println!();
    }
    Ok(())
}

fn answered<T>(answer: std::result::Result<T, ProbeFailure>) -> Result<T> {
    answer.map_err(|failure| anyhow!("the server failed: {}", failure.word()))
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len().saturating_sub(1) * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    println!("| {what} | {:.0?} | {:.0?} |", at(50), at(90));
}

/// Processor time of this process so far, from the kernel's ticks of 10 ms.
fn processor_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok());
    Ok(Duration::from_millis(10 * ticks.sum::<u64>()))
}

async fn timed<T>(times: &mut Vec<Duration>, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    times.push(begun.elapsed());
    result
}

fn address(server: &Server) -> Result<Address> {
    Ok(Address::new(
        &server.address().ip().to_string(),
        server.port(),
    )?)
}

async fn measure(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("costs")?;
    let topology = sandbox.topology(flavor, &TopologySpec::primary_with_replicas(3))?;
    let mut settings = Settings::new("baton", "baton");
    settings.replication = Some(Account {
        user: "repl".into(),
        password: Secret::new("repl"),
    });
    let servers = MysqlServers::new(settings, Arc::new(Since(Instant::now())));
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    for (name, server) in [("primary", p1), ("replica", r1)] {
        readings(&servers, name, &address(server)?).await?;
    }
    let mut session = answered(servers.act(&address(r1)?, "baton:costs", LIMIT).await)?;
    answered(session.take_lock(LIMIT).await)?;
    let (mut verify, mut arm) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        answered(timed(&mut verify, session.verify_lock(LIMIT)).await)?;
        answered(timed(&mut arm, session.arm(GUARD, LIMIT)).await)?;
    }
    row("verify_lock", verify);
    row("arm", arm);
    commands(&mut session, p1).await
}

async fn readings(servers: &MysqlServers, name: &str, address: &Address) -> Result<()> {
    let (mut open, mut full, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        answered(timed(&mut open, servers.watch(address, LIMIT)).await)?;
    }
    let mut watch = answered(servers.watch(address, LIMIT).await)?;
    let mut act = answered(servers.act(address, "baton:other", LIMIT).await)?;
    answered(watch.read(Duration::ZERO, LIMIT).await)?;
    for _ in 0..500 {
        answered(timed(&mut due, watch.read(Duration::ZERO, LIMIT)).await)?;
        answered(timed(&mut full, act.read(LIMIT)).await)?;
    }
    let (before, count) = (processor_time()?, 3000_u32);
    for _ in 0..count {
        answered(watch.read(Duration::ZERO, LIMIT).await)?;
    }
    let own = processor_time()?.saturating_sub(before) / count;
    println!("| our own processor time per reading of a {name} | {own:.0?} | |");
    row(&format!("open a session to a {name}"), open);
    row(&format!("reading of a {name}, as each second"), due);
    row(&format!("reading of a {name}, everything"), full);
    Ok(())
}

/// A replica is promoted and taken back, again and again.
async fn commands(session: &mut Session, p1: &Server) -> Result<()> {
    let set = match p1.flavor() {
        Flavor::MariaDb => GtidSet::parse_mariadb_history(&p1.executed()?, "")?,
        Flavor::MySql => GtidSet::parse_mysql(&p1.executed()?)?,
    };
    let all = || None;
    let steps = [
        (
            "stop-receivers",
            ServerCommand::StopReceivers { channel: all() },
        ),
        (
            "wait-applied, all there",
            ServerCommand::WaitApplied { set, limit: LIMIT },
        ),
        (
            "forget-replication",
            ServerCommand::ForgetReplication { channel: all() },
        ),
        ("open-writes", ServerCommand::OpenWrites(GUARD)),
        (
            "fence",
            ServerCommand::Fence {
                kill_writers: false,
            },
        ),
        (
            "fence, ending sessions",
            ServerCommand::Fence { kill_writers: true },
        ),
        (
            "point-at, a server that was no replica",
            ServerCommand::PointAt {
                channel: String::new(),
                source: address(p1)?,
                start: true,
                configured_account: true,
            },
        ),
        (
            "reconnect-receiver",
            ServerCommand::ReconnectReceiver {
                channel: String::new(),
            },
        ),
        (
            "point-at, a replica",
            ServerCommand::PointAt {
                channel: String::new(),
                source: address(p1)?,
                start: true,
                configured_account: false,
            },
        ),
        (
            "stop-replication",
            ServerCommand::StopReplication { channel: all() },
        ),
        (
            "start-replication",
            ServerCommand::StartReplication { channel: all() },
        ),
    ];
    let mut times = vec![Vec::new(); steps.len()];
    for _ in 0..20 {
        answered(session.arm(GUARD, LIMIT).await)?;
        for ((name, step), times) in steps.iter().zip(&mut times) {
            timed(times, session.perform(step, LIMIT))
                .await
                .with_context(|| (*name).to_owned())?;
            // Receivers that are still connecting when the next step comes would spoil its figure.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    for ((name, _), times) in steps.iter().zip(times) {
        row(name, times);
    }
    Ok(())
}
