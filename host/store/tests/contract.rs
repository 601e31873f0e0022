//! SQLite keeps the contract of the port, in a file and in memory; and so does what stands in front of a shared store.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::NodeName;
use baton_store::{
    Durability, FailsafeOptions, FailsafeStore, SqliteOptions, SqliteStore, contract,
};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_in_memory_keeps_the_contract() {
    contract::run(async || {
        SqliteStore::open(":memory:", &SqliteOptions::default())
            .await
            .unwrap()
            .store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_in_a_file_keeps_the_contract() {
    let directories = RefCell::new(Vec::new());
    // Loss of power is not tested here, and each case makes a database.
    let options = SqliteOptions {
        durability: Durability::Process,
        ..SqliteOptions::default()
    };
    contract::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let opened = SqliteStore::open(directory.path().join("baton.db"), &options)
            .await
            .unwrap();
        directories.borrow_mut().push(directory);
        assert!(opened.created);
        opened.store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_on_without_the_shared_one_keeps_the_contract() {
    contract::run(async || {
        let shared = SqliteStore::open(":memory:", &SqliteOptions::default())
            .await
            .unwrap()
            .store;
        // The contract is about what the shared store says, however slow this machine is.
        let patient = Duration::from_secs(60);
        let options = FailsafeOptions {
            write: patient,
            read: patient,
            bid: patient,
            ..FailsafeOptions::of(NodeName::new("n1"))
        };
        let store = FailsafeStore::open(Arc::new(shared), ":memory:", options).await;
        store.unwrap()
    })
    .await;
}
