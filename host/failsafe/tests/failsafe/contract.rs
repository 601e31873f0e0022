//! The decorator keeps the contract of the port while the shared store is there.

use std::sync::Arc;
use std::time::Duration;

use baton_failsafe::{FailsafeOptions, FailsafeStore};
use baton_store::{SqliteOptions, SqliteStore};
use baton_store_contract as contract;

use crate::support::node;

async fn in_memory() -> Arc<SqliteStore> {
    let opened = SqliteStore::open(":memory:", &SqliteOptions::default()).await;
    Arc::new(opened.unwrap().store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_on_without_the_shared_one_keeps_the_contract() {
    contract::run(async || {
        // The contract is about what the shared store says, however slow this machine is.
        let patient = Duration::from_secs(60);
        let options = FailsafeOptions {
            write: patient,
            read: patient,
            claim: patient,
            ..FailsafeOptions::of(node("n1"))
        };
        let store = FailsafeStore::open(in_memory().await, in_memory().await, options).await;
        store.unwrap()
    })
    .await;
}
