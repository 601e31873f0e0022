//! The contract of the port.

use baton_sandbox::Flavor;
use baton_store::contract;

use crate::Bed;

pub(crate) async fn keeps_the_contract(bed: &Bed) {
    contract::run(async || {
        // Dropping the hand that selects leaves the store where it is.
        bed.store(0, &bed.database()).store
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
