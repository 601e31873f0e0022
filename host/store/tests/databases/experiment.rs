//! Many contenders for one lease, on all nodes that take writes: no epoch is granted twice. And the
//! same with the pattern that is wrong, which must be found out, or the test could not fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_core::ids::LeaseEpoch;
use baton_ports::prelude::*;
use baton_ports::{Claim, StoreError};
use baton_sandbox::Flavor;
use futures::future::join_all;
use sqlx::{Connection as _, MySqlConnection};
use tokio::sync::Barrier;

use crate::Bed;
use crate::rows::{LEASE, TTL, node};

/// Contenders.
const CONTENDERS: usize = 6;
/// Each contender's tries of the wrong pattern: on the slowest kind it went wrong in 1 of 200.
const WRONG_TRIES: u32 = 400;

/// How often each epoch was granted.
fn doubles(granted: &[Vec<u64>]) -> (usize, usize) {
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for epoch in granted.iter().flatten() {
        *counts.entry(*epoch).or_default() += 1;
    }
    let total = granted.iter().map(Vec::len).sum();
    (total, counts.values().filter(|count| **count > 1).count())
}

/// How long: short, unless the environment says more.
fn duration() -> Duration {
    let seconds = std::env::var("BATON_LEASE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// Grants, and epochs granted twice, by the store's own claims.
async fn by_the_store(bed: &Bed, nodes: &[usize], database: &str) -> (usize, usize) {
    bed.store(nodes[0], database).store.prepare().await.unwrap();
    let end = Instant::now() + duration();
    let contenders = (0..CONTENDERS).map(|number| {
        let following = bed.store(nodes[number % nodes.len()], database);
        tokio::spawn(async move {
            let mut granted = Vec::new();
            while Instant::now() < end {
                let Ok(seen) = following.store.lease(LEASE).await else {
                    continue;
                };
                let seen = seen.map(|state| (state.epoch, state.renewals));
                let name = node(&format!("n{number}"));
                let claim = following
                    .store
                    .claim_lease(LEASE, &name, TTL, seen, LeaseEpoch(0));
                match claim.await {
                    Ok(Claim::Held(state)) => granted.push(state.epoch.0),
                    Ok(Claim::Other(_))
                    | Err(StoreError::Retry { .. } | StoreError::Conflict { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            granted
        })
    });
    let granted = join_all(contenders).await.into_iter().map(Result::unwrap);
    doubles(&granted.collect::<Vec<_>>())
}

/// Grants, and epochs granted twice, by reading and then writing what follows from it.
async fn by_reading_first(bed: &Bed, nodes: &[usize], database: &str) -> (usize, usize) {
    let barrier = Arc::new(Barrier::new(CONTENDERS));
    let contenders = (0..CONTENDERS).map(|number| {
        let url = bed.target(nodes[number % nodes.len()], database, 1).url;
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            let mut connection = MySqlConnection::connect(&url).await.unwrap();
            let mut granted = Vec::new();
            for _ in 0..WRONG_TRIES {
                barrier.wait().await;
                if let Ok(epoch) = blind_write(&mut connection).await {
                    granted.push(epoch);
                }
            }
            granted
        })
    });
    let granted = join_all(contenders).await.into_iter().map(Result::unwrap);
    doubles(&granted.collect::<Vec<_>>())
}

async fn blind_write(connection: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let find = "SELECT CAST(epoch AS UNSIGNED) FROM baton_lease WHERE name = 'act'";
    let epoch: u64 = sqlx::query_scalar(find)
        .fetch_one(&mut *transaction)
        .await?;
    let next = epoch + 1;
    sqlx::query("UPDATE baton_lease SET epoch = ? WHERE name = 'act'")
        .bind(next)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(next)
}

/// Both, on a bed.
pub(crate) async fn is_exclusive(bed: &Bed, nodes: &[usize]) {
    let database = bed.database();
    let (grants, twice) = by_the_store(bed, nodes, &database).await;
    println!(
        "{:?}: {grants} grants, {twice} epochs granted twice",
        bed.kind
    );
    assert!(grants > 20, "hardly anything was granted: {grants}");
    assert_eq!(twice, 0, "epochs were granted twice");
    let (grants, twice) = by_reading_first(bed, nodes, &database).await;
    println!(
        "{:?}, the wrong way: {grants} grants, {twice} epochs granted twice",
        bed.kind
    );
    assert!(
        twice > 0,
        "the experiment cannot find what it looks for ({grants} grants)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_epoch_is_granted_twice_on_a_single_server() {
    for flavor in Flavor::ALL {
        baton_sandbox::require!(flavor);
        let (bed, _server) = Bed::single(flavor);
        is_exclusive(&bed, &[0]).await;
    }
}
