//! The contract of the port.

use baton_sandbox::Flavor;
use baton_store::contract;

use crate::Bed;

/// The target's sender is kept: without one the store would stay where it is all the same.
async fn keeps_the_contract(bed: &Bed) {
    contract::run(async || {
        let following = bed.store(0, &bed.database());
        following.store
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
