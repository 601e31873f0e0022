//! All that holds on one server holds on clusters of each kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_ports::prelude::*;
use baton_sandbox::{BackendBed, BackendKind as Kind, Flavor};
use baton_store::MySqlOptions;

use crate::contract::keeps_the_contract;
use crate::experiment::is_exclusive;
use crate::preparing::many_prepare_at_once;
use crate::rows::{LEASE, line, recovery, take};
use crate::{Bed, Following};

async fn keeps_its_promises(kind: Kind) {
    let (bed, cluster) = Bed::cluster(kind);
    let writable = bed.writable();
    keeps_the_contract(&bed).await;
    let rounds = if kind == Kind::Ndb { 1 } else { 3 };
    for _ in 0..rounds {
        many_prepare_at_once(&bed, &writable, &cluster[0]).await;
    }
    is_exclusive(&bed, &writable).await;
    time_commits(&bed).await;
    what_was_answered_is_seen_on_the_next_node(&bed).await;
    match writable[..] {
        [_, second, ..] => loses_nothing_with_its_node(&bed, &cluster, Some(second)).await,
        _ if kind == Kind::GroupReplication => {
            loses_nothing_with_its_node(&bed, &cluster, None).await;
        }
        // What a pair has not replicated dies with its node.
        _ => {}
    }
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

/// The first node is killed in the middle of a write, and another one is selected, the one that
/// takes writes next if none is named: all that was answered is there, once.
async fn loses_nothing_with_its_node(bed: &Bed, cluster: &Arc<BackendBed>, next: Option<usize>) {
    let database = bed.database();
    let options = MySqlOptions {
        patience: Duration::from_secs(30),
        ..MySqlOptions::default()
    };
    let following = Following::new(Some(bed.target(0, &database, 1)), options);
    let store = &following.store;
    let epoch = take(store, "n1").await;
    let row = recovery("r1", epoch);
    store.begin_recovery(LEASE, &row).await.unwrap();
    let mut slowest = Duration::ZERO;
    let mut killer = None;
    for step in 1..=1000 {
        if step == 100 {
            let cluster = Arc::clone(cluster);
            killer = Some(tokio::task::spawn_blocking(move || {
                let killed = Instant::now();
                cluster[0].kill9().unwrap();
                let next = next.unwrap_or_else(|| next_writable(&cluster));
                (next, killed)
            }));
        }
        if killer
            .as_ref()
            .is_some_and(tokio::task::JoinHandle::is_finished)
            && let Some(killer) = killer.take()
        {
            let (next, _) = killer.await.unwrap();
            following
                .targets
                .send_replace(Some(bed.target(next, &database, 2)));
        }
        let begun = Instant::now();
        let line = [line(step)];
        let write = store.journal(LEASE, &row.id, epoch, &line);
        match &mut killer {
            // While the write waits for a node, the selection comes to an end.
            Some(running) => {
                let mut write = std::pin::pin!(write);
                tokio::select! {
                    done = &mut write => done.unwrap(),
                    selected = running => {
                        let (next, killed) = selected.unwrap();
                        killer = None;
                        println!("{:?}: selected after {:?}", bed.kind, killed.elapsed());
                        following.targets.send_replace(Some(bed.target(next, &database, 2)));
                        write.await.unwrap();
                    }
                }
            }
            None => write.await.unwrap(),
        }
        slowest = slowest.max(begun.elapsed());
    }
    let steps = store.steps(&row.id).await.unwrap();
    let steps: Vec<u32> = steps.iter().map(|step| step.entry.step).collect();
    assert_eq!(steps, (1..=1000).collect::<Vec<_>>());
    println!(
        "{:?}: longest wait around the death of the node {slowest:?}, reports {:?}",
        bed.kind,
        following.reports.all()
    );
    cluster.restart(0).unwrap();
}

fn next_writable(cluster: &BackendBed) -> usize {
    let begun = Instant::now();
    loop {
        if let Some(next) = cluster.find_writable() {
            return next;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "no new primary");
        std::thread::sleep(Duration::from_millis(50));
    }
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
