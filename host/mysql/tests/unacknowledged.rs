//! No fence tells a client that its commit is safe while no replica has it.
//!
//! `BATON_ROUNDS` and `BATON_CLIENTS` make it longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use baton_ports::{ActSession, Guard, ServerCommand};
use baton_sandbox::{
    Account, Flavor, Sandbox, SemiSync, Server, Topology, TopologySpec, wait_until,
};
use common::{LIMIT, LONG, locked, perform};
use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

on_both!(a_fence_acknowledges_nothing, demotion_acknowledges_nothing);

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

const FENCE: ServerCommand = ServerCommand::Fence { kill_writers: true };

/// How a client writes.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// One statement, which commits by itself.
    Autocommit,
    /// A transaction whose commit waits when the fence comes.
    Transaction,
    /// A transaction that is committed while the fence is under way.
    Late,
}

const HABITS: [Habit; 3] = [Habit::Autocommit, Habit::Transaction, Habit::Late];

fn receiver(flavor: Flavor, verb: &str) -> String {
    match flavor {
        Flavor::MariaDb => format!("{verb} SLAVE IO_THREAD"),
        Flavor::MySql => format!("{verb} REPLICA IO_THREAD"),
    }
}

/// Writes until somebody ends the session; gives how often it was told OK.
async fn write(mut conn: mysql_async::Conn, habit: Habit, fencing: Arc<AtomicBool>) -> u32 {
    let mut told = 0;
    loop {
        let written = match habit {
            Habit::Autocommit => conn.query_drop("INSERT INTO app.t VALUES (NULL)").await,
            Habit::Transaction | Habit::Late => {
                conn.query_drop("BEGIN; INSERT INTO app.t VALUES (NULL)")
                    .await
            }
        };
        if written.is_err() {
            return told;
        }
        if let Habit::Late = habit {
            while !fencing.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        if !matches!(habit, Habit::Autocommit) && conn.query_drop("COMMIT").await.is_err() {
            return told;
        }
        told += 1;
    }
}

/// Clients come back with a new session each time they are sent away.
fn crowd(server: &Server, fenced: &Arc<AtomicBool>) -> JoinSet<u32> {
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let (opts, fenced) = (server.opts(Account::App), Arc::clone(fenced));
        clients.spawn(async move {
            let mut told = 0;
            while !fenced.load(Ordering::Relaxed) {
                if let Ok(conn) = mysql_async::Conn::new(opts.clone()).await {
                    let late = Arc::new(AtomicBool::new(true));
                    told += write(conn, Habit::Transaction, late).await;
                }
            }
            told
        });
    }
    clients
}

/// A counter of the source's side of semi-sync.
fn counter(p1: &Server, name: &str) -> anyhow::Result<usize> {
    let source = match p1.flavor() {
        Flavor::MariaDb => "master",
        Flavor::MySql => "source",
    };
    let rows = p1.query(&format!(
        "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_{source}_{name}'"
    ))?;
    Ok(rows
        .first()
        .and_then(|row| row.at(1))
        .and_then(|count| count.parse().ok())
        .unwrap_or(0))
}

/// Clients of the application that are in the middle of a statement.
fn busy(p1: &Server) -> anyhow::Result<usize> {
    let rows = p1.query("SHOW PROCESSLIST")?;
    Ok(rows
        .iter()
        .filter(|row| row.get("User") == Some("app") && row.get("Command") == Some("Query"))
        .count())
}

/// One round; gives how many clients were told OK for rows that no replica has, and how long the
/// fence took.
async fn round(
    topology: &Topology,
    session: &mut dyn ActSession,
    command: ServerCommand,
) -> (u32, Duration) {
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let flavor = p1.flavor();
    let count = usize::try_from(number("BATON_CLIENTS", 30)).unwrap();
    let mut conns = Vec::new();
    for _ in 0..count {
        conns.push(mysql_async::Conn::new(p1.opts(Account::App)).await.unwrap());
    }
    r1.exec(&receiver(flavor, "STOP")).unwrap();
    let (fencing, fenced) = (Arc::default(), Arc::default());
    let mut clients = JoinSet::new();
    for (conn, habit) in conns.into_iter().zip(HABITS.iter().cycle()) {
        clients.spawn(write(conn, *habit, Arc::clone(&fencing)));
    }
    let expected = count - count / HABITS.len();
    wait_until("commits wait", LIMIT, || {
        Ok(counter(p1, "wait_sessions")? > 0 && busy(p1)? >= expected)
    })
    .unwrap();
    let mut late = crowd(p1, &fenced);
    let begun = Instant::now();
    fencing.store(true, Ordering::Relaxed);
    perform(session, command).await;
    let took = begun.elapsed();
    fenced.store(true, Ordering::Relaxed);
    assert!(!p1.is_writable().unwrap());
    let mut told = 0;
    while let Some(outcome) = clients.join_next().await {
        told += outcome.unwrap();
    }
    while let Some(outcome) = late.join_next().await {
        told += outcome.unwrap();
    }
    (told, took)
}

fn semi_sync_pair(flavor: Flavor) -> (Sandbox, Topology) {
    let sandbox = Sandbox::new("baton-mysql").unwrap();
    let spec = TopologySpec::parse("p1\nr1 <- p1")
        .unwrap()
        .with_semi_sync(SemiSync::default())
        .with_heartbeat(Duration::from_secs(1))
        .with_options("p1", |options| {
            options.extra.push("--max-connections=500".into());
        });
    let topology = sandbox.topology(flavor, &spec).unwrap();
    topology["p1"]
        .exec("CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT)")
        .unwrap();
    (sandbox, topology)
}

async fn a_fence_acknowledges_nothing(flavor: Flavor) {
    let (_sandbox, topology) = semi_sync_pair(flavor);
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    let rounds = number("BATON_ROUNDS", 3);
    let (mut told, mut worst) = (Vec::new(), Duration::ZERO);
    let mut session = locked(p1).await;
    for _ in 0..rounds {
        let (count, took) = round(&topology, session.as_mut(), FENCE).await;
        told.push(count);
        worst = worst.max(took);
        r1.exec(&receiver(flavor, "START")).unwrap();
        reopen(session.as_mut()).await;
        wait_until("the replica is back", LIMIT, || {
            Ok(counter(p1, "clients")? == 1)
        })
        .unwrap();
    }
    let (total, with) = (
        told.iter().sum::<u32>(),
        told.iter().filter(|c| **c > 0).count(),
    );
    println!("{flavor}: {total} told OK in {with} of {rounds} rounds, slowest fence {worst:?}");
    assert_eq!(
        total, 0,
        "told OK without a replica that has the row: {told:?}"
    );
}

async fn reopen(session: &mut dyn ActSession) {
    let guard: Guard = LONG;
    session.arm(guard, LIMIT).await.unwrap();
    perform(session, ServerCommand::OpenWrites(guard)).await;
}

/// Switching the source's side off would tell everybody who waits OK.
async fn demotion_acknowledges_nothing(flavor: Flavor) {
    let (_sandbox, topology) = semi_sync_pair(flavor);
    let mut session = locked(&topology["p1"]).await;
    let demotion = ServerCommand::SetSemiSync {
        source: Some(false),
        replica: Some(true),
    };
    let (told, took) = round(&topology, session.as_mut(), demotion).await;
    println!("{flavor}: {told} told OK in a demotion of {took:?}");
    assert_eq!(told, 0, "told OK without a replica that has the row");
}
