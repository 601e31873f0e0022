//! Several processes on one file, and processes that are killed.
#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use baton_core::ids::{ClusterId, LeaseEpoch, RecoveryId};
use baton_ports::prelude::*;
use baton_ports::{Claim, StoreError};
use baton_store::{SqliteOptions, SqliteStore};
use support::{LEASE, TTL, child, line, node, open, recovery, take, told};

const WRITER: &str = "BATON_STORE_TEST_WRITER";
const CONTENDER: &str = "BATON_STORE_TEST_CONTENDER";
const LINES_AT_ONCE: usize = 3;

/// The part of a process that is going to be killed: journals without end, and says what was
/// acknowledged.
#[tokio::test]
async fn child_journals() {
    let Some(path) = told(WRITER) else { return };
    let store = open(Path::new(&path)).await.store;
    let epoch = take(&store, "n1").await;
    let id = RecoveryId::new("r1");
    match store.running_recoveries().await.unwrap().pop() {
        Some(row) => store
            .adopt_recovery(LEASE, &row.id, &node("n1"), epoch)
            .await
            .unwrap(),
        None => {
            store
                .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
                .await
                .unwrap();
        }
    }
    let mut written = store.steps(&id).await.unwrap().len();
    println!("epoch {epoch}");
    loop {
        let step = u32::try_from(written / LINES_AT_ONCE).unwrap();
        let lines = vec![line(step); LINES_AT_ONCE];
        store.journal(LEASE, &id, epoch, &lines).await.unwrap();
        written += LINES_AT_ONCE;
        println!("written {written}");
    }
}

/// Waits for the child's next line that begins with `word`; gives the number behind it.
fn number_after(word: &str, output: &mut impl std::io::BufRead) -> u64 {
    for line in output.lines() {
        let line = line.unwrap();
        // The test harness writes its own words before the first line.
        if let Some((_, number)) = line.split_once(&format!("{word} ")) {
            return number.parse().unwrap();
        }
    }
    panic!("the child ended without saying {word:?}");
}

/// A writer that does not outlive its test.
struct Writer(Child);

impl Writer {
    fn start(path: &Path) -> (Self, BufReader<ChildStdout>) {
        let mut command = child("child_journals", WRITER, path.to_str().unwrap());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (Self(child), output)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn killed_writer_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    let mut epochs = Vec::new();
    let mut acknowledged = 0;
    for round in 1..=8 {
        let (writer, mut output) = Writer::start(&path);
        epochs.push(number_after("epoch", &mut output));
        // A different moment each time.
        for _ in 0..round * 3 {
            acknowledged = number_after("written", &mut output);
        }
        drop(writer);

        let store = open(&path).await.store;
        let steps = store.steps(&RecoveryId::new("r1")).await.unwrap();
        assert!(
            steps.len() as u64 >= acknowledged,
            "{} of {acknowledged} lines are left",
            steps.len()
        );
        assert_eq!(
            steps.len() % LINES_AT_ONCE,
            0,
            "a part of a transaction was kept"
        );
        for (position, row) in steps.iter().enumerate() {
            assert_eq!(row.number, i64::try_from(position).unwrap() + 1);
            assert_eq!(row.entry.step as usize, position / LINES_AT_ONCE);
        }
        let running = store.running_recoveries().await.unwrap();
        assert_eq!(running.len(), 1, "what was under way is found again");
        let refused = store
            .begin_recovery(LEASE, &recovery("r2", "c1", running[0].epoch))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Conflict { .. })),
            "{refused:?}"
        );
    }
    assert!(
        epochs.is_sorted_by(|earlier, later| earlier < later),
        "{epochs:?}"
    );
}

#[tokio::test]
async fn holder_that_goes_on_is_fenced_by_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    let (mut writer, mut output) = Writer::start(&path);
    number_after("epoch", &mut output);
    number_after("written", &mut output);
    let store = open(&path).await.store;
    // The writer journals without pause; a takeover needs no more than one turn.
    let epoch = take(&store, "n2").await;
    let id = RecoveryId::new("r1");
    store
        .adopt_recovery(LEASE, &id, &node("n2"), epoch)
        .await
        .unwrap();
    let at_takeover = store.steps(&id).await.unwrap().len();
    // The writer ends by itself, because its next write is refused.
    let ended = writer.0.wait().unwrap();
    assert!(!ended.success(), "the fenced writer went on");
    assert_eq!(
        store.steps(&id).await.unwrap().len(),
        at_takeover,
        "written after the takeover"
    );
}

/// The part of a contender: looks and takes, and says what it was granted.
#[tokio::test]
async fn child_contends() {
    let Some(told) = told(CONTENDER) else { return };
    let (name, path) = told.split_once('=').unwrap();
    let store = SqliteStore::open(path, &SqliteOptions::default())
        .await
        .unwrap()
        .store;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready").unwrap();
    for _ in 0..150 {
        let seen = store
            .lease(LEASE)
            .await
            .unwrap()
            .map(|state| (state.epoch, state.renewals));
        match store
            .claim_lease(LEASE, &node(name), TTL, seen, LeaseEpoch::default())
            .await
        {
            Ok(Claim::Held(state)) => {
                let guarded = store.put_routes(LEASE, state.epoch, &[]).await;
                let word = match guarded {
                    Ok(()) => "kept",
                    Err(StoreError::Fenced { .. }) => "lost",
                    Err(error) => panic!("{error:?}"),
                };
                writeln!(out, "granted {} {word}", state.epoch).unwrap();
            }
            Ok(Claim::Other(_)) | Err(StoreError::Retry { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn contending_processes_are_never_granted_the_same_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    // They also make the file together.
    let contenders: Vec<Child> = ["n1", "n2", "n3"]
        .iter()
        .map(|name| {
            child(
                "child_contends",
                CONTENDER,
                &format!("{name}={}", path.display()),
            )
            .spawn()
            .unwrap()
        })
        .collect();
    let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut lost = 0;
    for (number, contender) in contenders.into_iter().enumerate() {
        let output = contender.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "contender {number} failed: {text}");
        for granted in text
            .lines()
            .filter_map(|line| line.strip_prefix("granted "))
        {
            let (epoch, word) = granted.split_once(' ').unwrap();
            holders
                .entry(epoch.parse().unwrap())
                .or_default()
                .push(number);
            lost += u32::from(word == "lost");
        }
    }
    let doubles: Vec<_> = holders
        .iter()
        .filter(|(_, holders)| holders.len() > 1)
        .collect();
    assert!(doubles.is_empty(), "granted twice: {doubles:?}");
    let epochs: Vec<u64> = holders.keys().copied().collect();
    assert_eq!(
        epochs,
        (1..=epochs.len() as u64).collect::<Vec<_>>(),
        "epochs are not consecutive"
    );
    let state = open(&path).await.store.lease(LEASE).await.unwrap().unwrap();
    assert_eq!(state.epoch, LeaseEpoch(epochs.len() as u64));
    println!("{} epochs, {lost} fenced at once, 0 doubles", epochs.len());
}

#[tokio::test]
async fn two_stores_of_one_process_on_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    let (one, two) = tokio::join!(open(&path), open(&path));
    let (one, two) = (one.store, two.store);
    let first = take(&one, "n1").await;
    assert_eq!(
        two.lease(LEASE).await.unwrap().map(|state| state.epoch),
        Some(first)
    );
    let other = two
        .claim_lease(LEASE, &node("n2"), TTL, None, LeaseEpoch::default())
        .await
        .unwrap();
    assert!(matches!(other, Claim::Other(_)), "{other:?}");
    let second = take(&two, "n2").await;
    assert!(second > first);
    let fenced = one.put_routes(LEASE, first, &[]).await;
    assert!(
        matches!(fenced, Err(StoreError::Fenced { .. })),
        "{fenced:?}"
    );
}

/// A transaction that reads before it writes must not be refused because another store wrote in
/// between.
#[tokio::test(flavor = "multi_thread")]
async fn stores_that_write_at_the_same_time_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    let rename = async |name: &'static str| {
        let store = open(&path).await.store;
        for round in 0..100 {
            let id = ClusterId::new(name);
            store
                .put_cluster(&id, &format!("{name}-{round}"))
                .await
                .unwrap();
        }
    };
    tokio::join!(rename("c1"), rename("c2"), rename("c3"));
    assert_eq!(open(&path).await.store.clusters().await.unwrap().len(), 3);
}
