//! How long the store's writes take on a disk: `cargo run --release -p baton-store --example
//! commit_latency -- DIR`.
//!
//! A failover journals before and after each step, so these times are part of the time without a
//! writer.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::prelude::*;
use baton_ports::{Claim, JournalEntry, JournalStage, RecoveryRecord, Route};
use baton_store::{Durability, SqliteOptions, SqliteStore};

const ROUNDS: u32 = 1000;
const LEASE: &str = "act";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!(
        "{:<38} {:>8} {:>8} {:>8} {:>8}",
        "milliseconds", "median", "p90", "p99", "max"
    );
    for (name, durability) in [("full", Durability::Full), ("process", Durability::Process)] {
        let scratch = tempfile::tempdir_in(&directory)?;
        let path = scratch.path().join("latency.db");
        measure(name, &path, durability).await?;
    }
    measure("memory", Path::new(":memory:"), Durability::Process).await
}

async fn measure(name: &str, path: &Path, durability: Durability) -> Result<(), Box<dyn Error>> {
    let options = SqliteOptions {
        durability,
        ..SqliteOptions::default()
    };
    let begun = Instant::now();
    let store = SqliteStore::open(path, &options).await?.store;
    println!(
        "{:<38} {:>8.3}",
        format!("{name}: open, new"),
        begun.elapsed().as_secs_f64() * 1000.0
    );
    let node = NodeName::new("n1");
    let Claim::Held(lease) = store
        .claim_lease(
            LEASE,
            &node,
            Duration::from_secs(5),
            None,
            LeaseEpoch::default(),
        )
        .await?
    else {
        return Err("the lease of a new store is held".into());
    };
    let recovery = RecoveryId::new("r");
    store
        .begin_recovery(LEASE, &running(&recovery, lease.epoch)?)
        .await?;

    for lines in [1_usize, 4] {
        let entries = vec![line(); lines];
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            store
                .journal(LEASE, &recovery, lease.epoch, &entries)
                .await?;
            times.0.push(begun.elapsed());
        }
        times.print(&format!("{name}: journal, {lines} lines"));
    }
    let mut renewals = Times::default();
    let mut routes = Times::default();
    let mut reads = Times::default();
    let route = Route {
        key: "k".to_owned(),
        value: "db2:3306".to_owned(),
        epoch: lease.epoch,
    };
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        store.renew_lease(LEASE, &node, lease.epoch).await?;
        renewals.0.push(begun.elapsed());
        let begun = Instant::now();
        store
            .put_routes(LEASE, lease.epoch, std::slice::from_ref(&route))
            .await?;
        routes.0.push(begun.elapsed());
        let begun = Instant::now();
        store.running_recoveries().await?;
        reads.0.push(begun.elapsed());
    }
    renewals.print(&format!("{name}: renew a lease"));
    routes.print(&format!("{name}: write a route"));
    reads.print(&format!("{name}: read running recoveries"));
    store.close().await;
    Ok(())
}

#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn print(mut self, name: &str) {
        self.0.sort();
        let at = |part: usize| {
            let index = (self.0.len() * part / 1000).min(self.0.len().saturating_sub(1));
            self.0.get(index).map_or(0.0, Duration::as_secs_f64) * 1000.0
        };
        println!(
            "{name:<38} {:>8.3} {:>8.3} {:>8.3} {:>8.3}",
            at(500),
            at(900),
            at(990),
            at(1000)
        );
    }
}

fn line() -> JournalEntry {
    JournalEntry {
        step: 1,
        phase: "promote".to_owned(),
        stage: JournalStage::Begun,
        server: Some(ServerId::new("db2.example:3306")),
        text: "make db2.example:3306 writable".to_owned(),
        at: WallTime::from_millis(1),
        since_trigger_us: 1,
    }
}

fn running(id: &RecoveryId, epoch: LeaseEpoch) -> Result<RecoveryRecord, Box<dyn Error>> {
    Ok(RecoveryRecord {
        id: id.clone(),
        number: 0,
        cluster: ClusterId::new("c1"),
        cluster_name: "c1".to_owned(),
        kind: RecoveryKind::Failover,
        finding: "primary-dead".to_owned(),
        subject: ServerId::new("db1.example:3306"),
        subject_address: Address::new("db1.example", 3306)?,
        successor: None,
        successor_address: None,
        outcome: RecoveryOutcome::Running,
        automatic: true,
        node: NodeName::new("n1"),
        epoch,
        started: WallTime::from_millis(1),
        ended: None,
        lost: Vec::new(),
        errors: Vec::new(),
        decision: "{}".to_owned(),
        acknowledged: None,
        committed: false,
    })
}
