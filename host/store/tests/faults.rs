//! What goes wrong while the store is open: full disks, other processes, files that vanish, callers
//! that give up.
#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod support;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use baton_ports::StoreError;
use baton_ports::prelude::*;
use baton_store::{AuditLimits, OpenError, SqliteOptions, SqliteStore};
use sqlx::Executor as _;
use support::{LEASE, audit, line, node, open, raw, recovery, take};
use tokio::time::sleep;

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    (directory, path)
}

/// Writes until the store refuses; gives how many lines were acknowledged.
async fn fill(store: &SqliteStore) -> (u64, StoreError) {
    for number in 0..10_000 {
        if let Err(error) = store.audit(&audit(number, 20_000)).await {
            return (number, error);
        }
    }
    panic!("never full");
}

fn assert_unavailable(error: &StoreError) {
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn full_database_refuses_and_loses_nothing() {
    let (_directory, path) = place();
    let small = SqliteOptions {
        size_max: Some(400_000),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&path, &small).await.unwrap().store;
    let epoch = take(&store, "n1").await;
    store
        .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
        .await
        .unwrap();
    let (written, error) = fill(&store).await;
    assert!(written > 5, "full too early: {error:?}");
    assert_unavailable(&error);
    assert_unavailable(&store.audit(&audit(0, 20_000)).await.unwrap_err());
    // What needs no space goes on, and the transaction that failed left nothing.
    store.renew_lease(LEASE, &node("n1"), epoch).await.unwrap();
    assert_eq!(store.audits(0, 10_000).await.unwrap().len() as u64, written);
    store.close().await;

    let store = open(&path).await.store;
    assert_eq!(store.audits(0, 10_000).await.unwrap().len() as u64, written);
    store.audit(&audit(0, 20_000)).await.unwrap();
    store
        .journal(LEASE, &recovery("r1", "c1", epoch).id, epoch, &[line(1)])
        .await
        .unwrap();
}

/// A small disk of its own; taken away at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

#[tokio::test]
async fn full_disk_is_reported_and_got_over() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: full disk (needs the right to mount a file system)");
        return;
    };
    let path = disk.path().join("baton.db");
    let ballast = disk.path().join("ballast");
    let store = open(&path).await.store;
    let epoch = take(&store, "n1").await;
    fs::write(&ballast, vec![0; 6_700_000]).unwrap();
    let (written, error) = fill(&store).await;
    assert!(written > 5, "full too early: {error:?}");
    assert_unavailable(&error);
    for _ in 0..5 {
        assert_unavailable(&store.audit(&audit(0, 20_000)).await.unwrap_err());
    }
    assert_eq!(
        store.audits(0, 10_000).await.unwrap().len() as u64,
        written,
        "reading goes on"
    );

    fs::remove_file(&ballast).unwrap();
    store.audit(&audit(0, 20_000)).await.unwrap();
    store.put_routes(LEASE, epoch, &[]).await.unwrap();
    store.close().await;

    // And at the start.
    let filler = fs::write(&ballast, vec![0; 9_000_000]);
    assert!(filler.is_err(), "the disk is not full");
    let error = SqliteStore::open(&path, &SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::Full { .. } | OpenError::Other { .. }),
        "{error:?}"
    );
    let new = disk.path().join("new.db");
    let error = SqliteStore::open(&new, &SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::Full { .. } | OpenError::Other { .. }),
        "{error:?}"
    );
    fs::remove_file(&ballast).unwrap();
    assert_eq!(
        open(&path)
            .await
            .store
            .audits(0, 10_000)
            .await
            .unwrap()
            .len() as u64,
        written + 1
    );
    open(&new).await.store.ping(&node("n1")).await.unwrap();
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let (_directory, path) = place();
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&path, &options).await.unwrap().store;
    let mut other = raw(&path).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.ping(&node("n1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Retry { .. }), "{error:?}");
    assert!(store.recoveries_enabled().await.unwrap(), "reading goes on");
    other.execute("ROLLBACK").await.unwrap();
    store.ping(&node("n1")).await.unwrap();

    let patient = open(&path).await.store;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let caller = node("n1");
    let (answer, ()) = tokio::join!(patient.ping(&caller), async {
        other.execute("ROLLBACK").await.unwrap();
    });
    answer.unwrap();
}

/// It was not: SQLite, left to wait by itself, looks each 100 ms whether the file is free, and
/// never found it so for two seconds.
#[tokio::test]
async fn a_process_that_writes_without_pause_keeps_nobody_out() {
    let (_directory, path) = place();
    drop(open(&path).await);
    let mut other = raw(&path).await;
    let writing = tokio::spawn(async move {
        loop {
            other.execute("BEGIN IMMEDIATE").await.unwrap();
            sleep(Duration::from_millis(190)).await;
            other.execute("ROLLBACK").await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    for _ in 0..3 {
        let store = open(&path).await.store;
        store.ping(&node("n1")).await.unwrap();
    }
    assert!(!writing.is_finished());
    writing.abort();
}

#[tokio::test]
async fn file_that_was_removed_or_replaced_takes_no_writes() {
    let (directory, path) = place();
    let store = open(&path).await.store;
    store.ping(&node("n1")).await.unwrap();
    let aside = directory.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    assert_unavailable(&store.ping(&node("n1")).await.unwrap_err());
    assert_unavailable(&store.recoveries_enabled().await.unwrap_err());
    fs::copy(&aside, &path).unwrap();
    assert_unavailable(&store.ping(&node("n1")).await.unwrap_err());
    fs::rename(&aside, &path).unwrap();
    store.ping(&node("n1")).await.unwrap();
}

#[tokio::test]
async fn damage_under_an_open_store_is_reported() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    for number in 0..500 {
        store.audit(&audit(number, 20_000)).await.unwrap();
    }
    let mut content = fs::read(&path).unwrap();
    assert!(content.len() > 4_000_000, "the log was not merged yet");
    content[8192..].fill(0xa5);
    // Written into the same file, not as a new one.
    fs::write(&path, &content).unwrap();
    assert_unavailable(&store.audits(0, 10_000).await.unwrap_err());
}

#[tokio::test]
async fn rows_written_by_other_hands_are_reported_not_guessed() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    let mut other = raw(&path).await;
    other.execute("DELETE FROM baton_switch").await.unwrap();
    assert_unavailable(&store.recoveries_enabled().await.unwrap_err());
    store.set_recoveries_enabled(false).await.unwrap();
    assert!(!store.recoveries_enabled().await.unwrap());
    let row = "INSERT INTO baton_server (id, address, aliases, promotion) VALUES ('a', 'a:1', '[]', 'king')";
    other.execute(row).await.unwrap();
    let error = store.servers().await.unwrap_err();
    assert_unavailable(&error);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("baton_server.promotion") && cause.contains("king"),
        "{cause}"
    );
}

/// Polls a call a few times, then drops it.
async fn give_up_after<F: Future>(polls: u32, call: F) {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        let done =
            std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()))
                .await;
        if done {
            return;
        }
        // Another turn for the connection's thread, whatever it does.
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_leave_no_transaction_behind() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    let other = open(&path).await.store;
    let epoch = take(&store, "n1").await;
    let row = recovery("r1", "c1", epoch);
    store.begin_recovery(LEASE, &row).await.unwrap();
    for round in 0..400 {
        give_up_after(
            round % 40,
            store.journal(LEASE, &row.id, epoch, &[line(1), line(2), line(3)]),
        )
        .await;
        give_up_after(round % 7, store.steps(&row.id)).await;
        if round % 10 == 0 {
            // Neither this process nor another one waits for a lock that nobody will release.
            other.ping(&node("n2")).await.unwrap();
            store.ping(&node("n1")).await.unwrap();
        }
    }
    // Whatever the last caller left has ended once another transaction was done.
    store.ping(&node("n1")).await.unwrap();
    let steps = store.steps(&row.id).await.unwrap().len();
    assert_eq!(steps % 3, 0, "a part of a transaction was kept");
    store
        .journal(LEASE, &row.id, epoch, &[line(1)])
        .await
        .unwrap();
    assert_eq!(store.steps(&row.id).await.unwrap().len(), steps + 1);
}

#[tokio::test]
async fn closed_store_refuses() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    store.ping(&node("n1")).await.unwrap();
    store.close().await;
    assert_unavailable(&store.ping(&node("n1")).await.unwrap_err());
    assert_unavailable(&store.routes().await.unwrap_err());
    store.close().await;
    assert!(
        !path.with_extension("db-wal").exists(),
        "the log was not merged"
    );
}

#[tokio::test]
async fn audit_log_keeps_to_its_limits() {
    let limits = AuditLimits {
        rows_max: 10,
        age_max: Duration::from_secs(1),
    };
    let options = SqliteOptions {
        audit: limits,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(":memory:", &options).await.unwrap().store;
    let times = async || -> Vec<u64> {
        store
            .audits(0, 1000)
            .await
            .unwrap()
            .iter()
            .map(|record| record.at.millis())
            .collect()
    };
    for number in 0..30 {
        store.audit(&audit(5000 + number, 1)).await.unwrap();
    }
    assert_eq!(times().await, (5020..5030).rev().collect::<Vec<_>>());
    store.audit(&audit(6024, 1)).await.unwrap();
    assert_eq!(times().await, [6024, 5029, 5028, 5027, 5026, 5025, 5024]);
    store.audit(&audit(9000, 1)).await.unwrap();
    assert_eq!(times().await, [9000]);
}

#[tokio::test]
async fn audit_limits_that_were_lowered_are_reached() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    for number in 0..1200 {
        store.audit(&audit(number, 1)).await.unwrap();
    }
    store.close().await;
    let limits = AuditLimits {
        rows_max: 5,
        age_max: Duration::MAX,
    };
    let options = SqliteOptions {
        audit: limits,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&path, &options).await.unwrap().store;
    for number in 0..4 {
        store.audit(&audit(5000 + number, 1)).await.unwrap();
    }
    assert_eq!(store.audits(0, 10_000).await.unwrap().len(), 5);
}

#[tokio::test]
async fn texts_too_long_for_a_key_are_refused() {
    let store = SqliteStore::open(":memory:", &SqliteOptions::default())
        .await
        .unwrap()
        .store;
    let long = "n".repeat(191);
    let error = store
        .put_cluster(&baton_core::ids::ClusterId::new("c1"), &long)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}");
    let error = store
        .claim_lease(
            &long,
            &node("n1"),
            Duration::ZERO,
            None,
            baton_core::ids::LeaseEpoch::default(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}");
}
