//! Fencing servers whose clients are in the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use baton_ports::{ServerCommand, StatementError};
use baton_sandbox::{Account, Flavor, Server, wait_until};
use common::{LIMIT, executed, locked, pair, perform, read};
use mysql_async::prelude::Queryable as _;

on_both!(
    an_open_transaction_is_ended,
    a_table_lock_is_ended,
    commits_waiting_for_acknowledgement_are_not_acknowledged,
    a_gentle_fence_waits_and_gives_up,
    privileged_accounts_do_not_write_through_a_fence,
    a_prepared_transaction_is_not_committed_through_a_fence,
);

async fn client(server: &Server) -> mysql_async::Conn {
    mysql_async::Conn::new(server.opts(Account::App))
        .await
        .unwrap()
}

/// On MySQL, root has a privilege (SYSTEM_USER) that protects its sessions from Baton's account.
async fn administrator(server: &Server) -> mysql_async::Conn {
    let opts = mysql_async::OptsBuilder::default()
        .socket(server.socket().to_str())
        .user(Some("root"));
    mysql_async::Conn::new(opts).await.unwrap()
}

async fn an_open_transaction_is_ended(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let mut writer = client(p1).await;
    writer
        .query_drop("BEGIN; INSERT INTO app.t VALUES (1)")
        .await
        .unwrap();
    let mut session = locked(p1).await;
    perform(
        session.as_mut(),
        ServerCommand::Fence { kill_writers: true },
    )
    .await;
    assert!(!p1.is_writable().unwrap());
    assert!(writer.query_drop("COMMIT").await.is_err());
    assert_eq!(p1.scalar("SELECT COUNT(*) FROM app.t").unwrap(), "0");
    // Replication was not touched.
    assert!(topology["r1"].is_replicating().unwrap());
}

async fn a_table_lock_is_ended(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let mut holder = client(p1).await;
    holder.query_drop("LOCK TABLES app.t WRITE").await.unwrap();
    let mut session = locked(p1).await;
    let begun = Instant::now();
    perform(
        session.as_mut(),
        ServerCommand::Fence { kill_writers: true },
    )
    .await;
    println!(
        "{flavor}: fenced against a table lock in {:?}",
        begun.elapsed()
    );
    assert!(!p1.is_writable().unwrap());
    assert!(
        holder
            .query_drop("INSERT INTO app.t VALUES (1)")
            .await
            .is_err()
    );
}

/// Clients that are sent away come back at once, with more than one connection, for as long as it
/// runs.
fn crowd(server: &Server) -> tokio::task::JoinSet<()> {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let opts = server.opts(Account::App);
        clients.spawn(async move {
            loop {
                if let Ok(mut connection) = mysql_async::Conn::new(opts.clone()).await {
                    while connection.query_drop("SELECT 1").await.is_ok() {}
                }
            }
        });
    }
    clients
}

/// The dangerous one: ending the wait by switching semi-sync off would tell clients that their
/// commits are safe.
async fn commits_waiting_for_acknowledgement_are_not_acknowledged(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let (stop, stall, state) = match flavor {
        Flavor::MariaDb => (
            "STOP SLAVE",
            "SET GLOBAL rpl_semi_sync_master_timeout=600000; SET GLOBAL rpl_semi_sync_master_enabled=1",
            "Rpl_semi_sync_master_wait_sessions",
        ),
        Flavor::MySql => (
            "STOP REPLICA",
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; \
             SET GLOBAL rpl_semi_sync_source_timeout=600000; SET GLOBAL rpl_semi_sync_source_enabled=1",
            "Rpl_semi_sync_source_wait_sessions",
        ),
    };
    topology["r1"].exec(stop).unwrap();
    p1.exec(stall).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for id in 0..5 {
        let mut writer = client(p1).await;
        writers.spawn(async move {
            writer
                .query_drop(format!("INSERT INTO app.t VALUES ({id})"))
                .await
        });
    }
    wait_until("a commit waits", LIMIT, || {
        let rows = p1.query(&format!("SHOW GLOBAL STATUS LIKE '{state}'"))?;
        Ok(rows
            .first()
            .and_then(|row| row.at(1))
            .is_some_and(|count| count != "0"))
    })
    .unwrap();
    let _crowd = crowd(p1);
    // An idle session of somebody whom our account may not end.
    let _dba = administrator(p1).await;
    let mut session = locked(p1).await;
    let begun = Instant::now();
    perform(
        session.as_mut(),
        ServerCommand::Fence { kill_writers: true },
    )
    .await;
    println!(
        "{flavor}: fenced a stalled primary in {:?}",
        begun.elapsed()
    );
    assert!(!p1.is_writable().unwrap());
    while let Some(outcome) = writers.join_next().await {
        assert!(
            outcome.unwrap().is_err(),
            "a commit that nobody else has was acknowledged"
        );
    }
    let facts = session.read(LIMIT).await.unwrap().facts;
    assert!(
        facts
            .semi_sync
            .is_some_and(|semi_sync| semi_sync.source_enabled),
        "semi-sync was left off"
    );
}

async fn a_gentle_fence_waits_and_gives_up(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let mut holder = client(p1).await;
    holder.query_drop("LOCK TABLES app.t WRITE").await.unwrap();
    let mut session = locked(p1).await;
    let fence = ServerCommand::Fence {
        kill_writers: false,
    };
    let begun = Instant::now();
    let outcome = session.perform(&fence, Duration::from_millis(500)).await;
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
    assert!(
        matches!(outcome, Err(StatementError::NotReached { .. })),
        "{outcome:?}"
    );
    assert!(p1.is_writable().unwrap(), "gave up, and yet it is closed");
    holder
        .query_drop("INSERT INTO app.t VALUES (1); UNLOCK TABLES")
        .await
        .unwrap();
    perform(session.as_mut(), fence).await;
    assert!(!p1.is_writable().unwrap());
}

/// Writes with every privilege, on one session after the other, and counts its attempts.
fn privileged_writer(server: &Server) -> (tokio::task::JoinSet<()>, Arc<AtomicU32>) {
    let attempts = Arc::new(AtomicU32::new(0));
    let (server, counted) = (server.clone(), Arc::clone(&attempts));
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(async move {
        loop {
            let mut conn = administrator(&server).await;
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                if conn
                    .query_drop("INSERT INTO app.t VALUES (NULL)")
                    .await
                    .is_err()
                {
                    break;
                }
            }
        }
    });
    (writers, attempts)
}

/// MariaDB's `read_only` does not bind accounts with SUPER or READ ONLY ADMIN, nor events that they
/// own.
async fn privileged_accounts_do_not_write_through_a_fence(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT)")
        .unwrap();
    let (_writers, attempts) = privileged_writer(p1);
    let tries = |more: u32| {
        let (attempts, before) = (Arc::clone(&attempts), attempts.load(Ordering::Relaxed));
        async move {
            while attempts.load(Ordering::Relaxed) < before + more {
                tokio::task::yield_now().await;
            }
        }
    };
    tries(10).await;
    let mut session = locked(p1).await;
    perform(
        session.as_mut(),
        ServerCommand::Fence { kill_writers: true },
    )
    .await;
    let fenced = executed(p1);
    assert_ne!(p1.scalar("SELECT COUNT(*) FROM app.t").unwrap(), "0");
    // The first may have been begun before the fence.
    if flavor == Flavor::MySql {
        tries(3).await;
    } else {
        wait_until("the writer waits behind the lock", LIMIT, || {
            let sessions = p1.query("SHOW PROCESSLIST")?;
            Ok(sessions.iter().any(|session| {
                let starts = |column, with| {
                    session
                        .get(column)
                        .is_some_and(|text: &str| text.starts_with(with))
                };
                starts("User", "root") && starts("Info", "INSERT") && starts("State", "Waiting")
            }))
        })
        .unwrap();
    }
    assert_eq!(executed(p1), fenced);
    // The next change gives the lock back, or the server would refuse it.
    let forget = ServerCommand::ForgetReplication { channel: None };
    perform(session.as_mut(), forget).await;
    assert!(!p1.is_writable().unwrap());
}

/// MySQL's `super_read_only` binds nobody who commits a prepared transaction, whatever the
/// account's privileges (measured on 9.7). MariaDB's `read_only` binds ordinary accounts (measured
/// on 10.11).
async fn a_prepared_transaction_is_not_committed_through_a_fence(flavor: Flavor) {
    prepared_through_a_fence(flavor, Sight::Granted).await;
}

/// An account without that privilege has to take the lock as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_that_we_may_not_see_is_not_committed_through_a_fence() {
    baton_sandbox::require!(Flavor::MySql);
    prepared_through_a_fence(Flavor::MySql, Sight::Revoked).await;
}

/// Whether Baton's account may list prepared transactions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Granted,
    Revoked,
}

async fn prepared_through_a_fence(flavor: Flavor, sight: Sight) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    if sight == Sight::Revoked {
        p1.exec("REVOKE XA_RECOVER_ADMIN ON *.* FROM baton@'%'")
            .unwrap();
    }
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY)").unwrap();
    let mut owner = client(p1).await;
    owner
        .query_drop("XA START 'x'; INSERT INTO app.t VALUES (1); XA END 'x'; XA PREPARE 'x'")
        .await
        .unwrap();
    let seen = (sight == Sight::Granted).then(|| BTreeSet::from(["'x'".to_owned()]));
    assert_eq!(read(p1).await.prepared, seen);
    let mut session = locked(p1).await;
    perform(
        session.as_mut(),
        ServerCommand::Fence { kill_writers: true },
    )
    .await;
    let fenced = executed(p1);
    let opts = p1.opts(Account::App);
    let coordinator = tokio::spawn(async move {
        let mut again = mysql_async::Conn::new(opts).await?;
        again.query_drop("XA COMMIT 'x'").await
    });
    wait_until("the commit waits, or has ended", LIMIT, || {
        let sessions = p1.query("SHOW PROCESSLIST")?;
        let waits = sessions.iter().any(|session| {
            let starts = |column, with| {
                session
                    .get(column)
                    .is_some_and(|text: &str| text.starts_with(with))
            };
            starts("Info", "XA COMMIT") && starts("State", "Waiting")
        });
        Ok(waits || coordinator.is_finished())
    })
    .unwrap();
    // The next change gives the lock back, and ends who waits for it before.
    let forget = ServerCommand::ForgetReplication { channel: None };
    perform(session.as_mut(), forget).await;
    assert!(coordinator.await.unwrap().is_err());
    assert_eq!(executed(p1), fenced);
    assert_eq!(p1.query("XA RECOVER").unwrap().len(), 1);
    assert!(!p1.is_writable().unwrap());
}
