//! SQLite keeps the contract of the port, in a file and in memory.

use std::cell::RefCell;

use baton_store::{Durability, SqliteOptions, SqliteStore};
use baton_store_contract as contract;

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
