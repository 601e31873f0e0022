//! The contract of the port.

use baton_core::policy::backend::BackendKind;
use baton_sandbox::Flavor;
use baton_store::{Occupied, SqliteOptions, SqliteStore};
use baton_store_contract as contract;

use crate::Bed;

pub(crate) async fn keeps_the_contract(bed: &Bed) {
    // Making tables takes seconds there, emptying them does not.
    if bed.kind == BackendKind::Ndb {
        return keeps_the_contract_emptied(bed).await;
    }
    contract::run(async || {
        // Dropping the hand that selects leaves the store where it is.
        bed.store(0, &bed.database()).store
    })
    .await;
}

async fn keeps_the_contract_emptied(bed: &Bed) {
    let database = bed.database();
    let new = SqliteStore::open(":memory:", &SqliteOptions::default()).await;
    let nothing = new.unwrap().store.dump(None).await.unwrap();
    contract::run(async || {
        let store = bed.store(0, &database).store;
        store.restore(&nothing, Occupied::Replace).await.unwrap();
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_the_contract() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    keeps_the_contract(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_keeps_the_contract() {
    baton_sandbox::require!(Flavor::MySql);
    let (bed, _server) = Bed::single(Flavor::MySql);
    keeps_the_contract(&bed).await;
}
