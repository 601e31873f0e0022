//! All that holds on one server holds on clusters of each kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_ports::Store as _;
use baton_sandbox::{BackendBed, BackendKind as Kind, Flavor};

use crate::Bed;
use crate::contract::keeps_the_contract;
use crate::experiment::is_exclusive;
use crate::preparing::many_prepare_at_once;
use crate::rows::{LEASE, line, recovery, take};

async fn keeps_its_promises(kind: Kind) {
    let (bed, cluster) = Bed::cluster(kind);
    let writable = bed.writable();
    keeps_the_contract(&bed).await;
    for _ in 0..3 {
        many_prepare_at_once(&bed, &writable, &cluster[0]).await;
    }
    is_exclusive(&bed, &writable).await;
    what_was_answered_is_seen_on_the_next_node(&bed).await;
    if let [first, second, ..] = writable[..] {
        loses_nothing_with_its_node(&bed, &cluster, first, second).await;
    }
    time_commits(&bed).await;
}

/// Reads decide, so they see what was committed on another node a moment ago.
async fn what_was_answered_is_seen_on_the_next_node(bed: &Bed) {
    let writable = bed.writable();
    let database = bed.database();
    let writer = bed.store(writable[0], &database).store;
    let readers: Vec<_> = writable[1..]
        .iter()
        .map(|node| bed.store(*node, &database).store)
        .collect();
    let epoch = take(&writer, "n1").await;
    let row = recovery("r1", epoch);
    writer.begin_recovery(LEASE, &row).await.unwrap();
    for step in 1..=50_usize {
        let line = line(u32::try_from(step).unwrap());
        writer
            .journal(LEASE, &row.id, epoch, &[line])
            .await
            .unwrap();
        for reader in &readers {
            assert_eq!(
                reader.steps(&row.id).await.unwrap().len(),
                step,
                "a stale read"
            );
        }
    }
}

/// The node is killed in the middle of writes, and another one is selected at once: all that was answered is there, once.
async fn loses_nothing_with_its_node(
    bed: &Bed,
    cluster: &Arc<BackendBed>,
    first: usize,
    second: usize,
) {
    let database = bed.database();
    let following = bed.store(first, &database);
    let store = &following.store;
    let epoch = take(store, "n1").await;
    let row = recovery("r1", epoch);
    store.begin_recovery(LEASE, &row).await.unwrap();
    let mut slowest = Duration::ZERO;
    for step in 1..=400 {
        if step == 100 {
            cluster[first].kill9().unwrap();
            following
                .targets
                .send_replace(Some(bed.target(second, &database, 2)));
        }
        let begun = Instant::now();
        store
            .journal(LEASE, &row.id, epoch, &[line(step)])
            .await
            .unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    let steps = store.steps(&row.id).await.unwrap();
    let steps: Vec<u32> = steps.iter().map(|step| step.entry.step).collect();
    assert_eq!(steps, (1..=400).collect::<Vec<_>>());
    println!(
        "{:?}: longest wait around the death of the node {slowest:?}",
        bed.kind
    );
    cluster.restart(first).unwrap();
}

/// For the record: a journal line, a renewal, a read.
async fn time_commits(bed: &Bed) {
    let store = bed.store(0, &bed.database()).store;
    let epoch = take(&store, "n1").await;
    let row = recovery("r1", epoch);
    store.begin_recovery(LEASE, &row).await.unwrap();
    let name = crate::rows::node("n1");
    let (mut journal, mut renew, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..200 {
        let begun = Instant::now();
        store
            .journal(LEASE, &row.id, epoch, &[line(step)])
            .await
            .unwrap();
        journal.push(begun.elapsed());
        let begun = Instant::now();
        store.renew_lease(LEASE, &name, epoch).await.unwrap();
        renew.push(begun.elapsed());
        let begun = Instant::now();
        store.lease(LEASE).await.unwrap();
        read.push(begun.elapsed());
    }
    for (what, mut times) in [("journal", journal), ("renew", renew), ("read", read)] {
        times.sort();
        println!(
            "{:?}: {what} median {:?}, p95 {:?}",
            bed.kind, times[100], times[190]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn galera_keeps_its_promises() {
    baton_sandbox::require!(Kind::Galera);
    keeps_its_promises(Kind::Galera).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ndb_keeps_its_promises() {
    baton_sandbox::require!(Kind::Ndb);
    keeps_its_promises(Kind::Ndb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_its_promises() {
    baton_sandbox::require!(Kind::GroupReplication);
    keeps_its_promises(Kind::GroupReplication).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_keep_their_promises() {
    for flavor in Flavor::ALL {
        baton_sandbox::require!(Kind::MasterMaster(flavor));
        keeps_its_promises(Kind::MasterMaster(flavor)).await;
    }
}
