//! What the tests share: rows, raw access to a file, and running a part of a test in a process of
//! its own.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::time::WallTime;
use baton_ports::prelude::*;
use baton_ports::{AuditRecord, Claim, JournalEntry, JournalStage, RecoveryRecord};
use baton_store::{Opened, SqliteOptions, SqliteStore};
use sqlx::{ConnectOptions as _, SqliteConnection};

pub(crate) use baton_store_contract::sketch::{
    LEASE, TTL, audit, long_line as line, node, recovery,
};

/// Opens with the options that a program has unless it says otherwise.
pub(crate) async fn open(path: &Path) -> Opened {
    SqliteStore::open(path, &SqliteOptions::default())
        .await
        .unwrap()
}

/// Takes the lease, whoever has it.
pub(crate) async fn take(store: &SqliteStore, name: &str) -> LeaseEpoch {
    let seen = store
        .lease(LEASE)
        .await
        .unwrap()
        .map(|state| (state.epoch, state.renewals));
    match store
        .claim_lease(LEASE, &node(name), TTL, seen, LeaseEpoch::default())
        .await
        .unwrap()
    {
        Claim::Held(state) => state.epoch,
        Claim::Other(state) => panic!("not granted: {state:?}"),
    }
}

/// A connection of another program to the file.
pub(crate) async fn raw(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

/// Runs statements on the file behind the store's back.
pub(crate) async fn run_raw(path: &Path, sql: &str) {
    use sqlx::{Connection as _, Executor as _};
    let mut connection = raw(path).await;
    connection.execute(sqlx::raw_sql(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// Whether a child process has to play a part, and what it is told.
pub(crate) fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// A command that runs only `test` of this test program, in a process of its own, and tells it
/// `value`.
pub(crate) fn child(test: &str, variable: &str, value: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Whether this user is the superuser, whom file rights do not stop.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim() == "0"
}
