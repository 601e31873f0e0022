//! Writing while the shared store is away.

use std::time::Duration;

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_core::model::RecoveryOutcome;
use baton_ports::prelude::*;
use baton_ports::{RecoveryRecord, StoreError};
use tokio::time::{Instant, timeout};

use crate::bed::{AT_MOST, Bed, quick, steps};
use crate::faulty::Fault;
use crate::support::{LEASE, TTL, line, node, recovery};

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_goes_on_whatever_the_shared_store_does() {
    for mood in [Fault::Away, Fault::Stalls, Fault::Mute] {
        let bed = Bed::new().await;
        let leader = bed.node("n1").await;
        let epoch = leader.lead("n1").await;
        leader.recoveries(None, 0, 200).await.unwrap();
        // It goes away in the middle: the beginning is in both.
        let row = recovery("r1", "c1", epoch);
        leader.begin_recovery(LEASE, &row).await.unwrap();
        leader.write_lines("r1", epoch, 1..3).await;
        bed.shared.become_now(mood);
        let begun = Instant::now();
        for step in 3..9 {
            leader.write_lines("r1", epoch, step..step + 1).await;
        }
        leader.end(row).await;
        // Only the first of these writes waited.
        assert!(
            begun.elapsed() < AT_MOST,
            "{:?} with {mood:?}",
            begun.elapsed()
        );
        let status = leader.status();
        assert!(status.away_for.is_some(), "{status:?}");
        assert_eq!(status.unsent_recoveries, 1);
        assert_eq!(leader.running_recoveries().await.unwrap(), Vec::new());
        bed.shared.become_now(Fault::Here);
        leader.until_handed_over().await;
        assert_eq!(
            steps(&bed.shared.inner, "r1").await,
            (1..9).collect::<Vec<_>>(),
            "{mood:?}"
        );
        let stored = bed.shared.inner.recoveries(None, 0, 9).await.unwrap();
        let outcomes: Vec<_> = stored.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [RecoveryOutcome::Succeeded]);
    }
}

/// The shared store came back in the middle of a recovery that it does not know, and refused its
/// lines until they were handed over.
#[tokio::test(flavor = "multi_thread")]
async fn what_began_while_the_shared_store_was_away_goes_on_when_it_is_back() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    leader.recoveries(None, 0, 200).await.unwrap();
    bed.shared.become_now(Fault::Away);
    let row = recovery("r1", "c1", epoch);
    leader.begin_recovery(LEASE, &row).await.unwrap();
    bed.shared.become_now(Fault::Busy);
    leader.until(|status| status.away_for.is_none()).await;
    leader.write_lines("r1", epoch, 1..3).await;
    leader.end(row).await;
    bed.shared.become_now(Fault::Here);
    leader.until_handed_over().await;
    assert_eq!(steps(&bed.shared.inner, "r1").await, [1, 2]);
    let stored = bed.shared.inner.recoveries(None, 0, 9).await.unwrap();
    assert_eq!(stored[0].outcome, RecoveryOutcome::Succeeded);
}

/// The end of a recovery reached the shared store by another way. The next one must not be lost on
/// the local disk for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_ended_elsewhere_does_not_stand_against_the_next_recovery() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    let first = recovery("r1", "c1", epoch);
    leader.begin_recovery(LEASE, &first).await.unwrap();
    let ended = RecoveryRecord {
        outcome: RecoveryOutcome::Failed,
        ended: Some(first.started),
        ..first
    };
    let behind = bed.shared.inner.update_recovery(LEASE, &ended).await;
    behind.unwrap();
    let second = recovery("r2", "c1", epoch);
    leader.begin_recovery(LEASE, &second).await.unwrap();
    bed.shared.become_now(Fault::Away);
    leader.write_lines("r2", epoch, 1..3).await;
    leader.end(second).await;
    bed.shared.become_now(Fault::Here);
    leader.until_handed_over().await;
    assert_eq!(steps(&bed.shared.inner, "r2").await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_nobody_granted_counts_only_while_the_shared_store_is_away() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    let by_itself = LeaseEpoch(epoch.0 + 1);
    let row = recovery("r1", "c1", by_itself);
    let refused = leader.begin_recovery(LEASE, &row).await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { .. })),
        "{refused:?}"
    );
    bed.shared.become_now(Fault::Stalls);
    quick(leader.begin_recovery(LEASE, &row)).await.unwrap();
    // From then on the earlier one is over.
    let late = leader
        .journal(LEASE, &RecoveryId::new("r1"), epoch, &[line(1)])
        .await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
    // What is under way goes on when the shared store, which knows nothing of it, is back.
    bed.shared.become_now(Fault::Here);
    leader.until(|status| status.away_for.is_none()).await;
    leader.write_lines("r1", by_itself, 1..3).await;
    leader.end(row).await;
    leader.until_handed_over().await;
    assert_eq!(steps(&bed.shared.inner, "r1").await, [1, 2]);
    // The next grant is later than what was taken.
    assert_eq!(leader.lead("n1").await, LeaseEpoch(by_itself.0 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_another_leader_has_acted_for_the_last_time() {
    let bed = Bed::new().await;
    let (one, two) = (bed.node("n1").await, bed.node("n2").await);
    let first = one.lead("n1").await;
    bed.shared.become_now(Fault::Away);
    let by_itself = LeaseEpoch(first.0 + 1);
    quick(one.begin_recovery(LEASE, &recovery("r1", "c1", by_itself)))
        .await
        .unwrap();
    bed.shared.become_now(Fault::Here);
    two.lead("n2").await;
    two.lead("n2").await;
    one.renew_lease(LEASE, &node("n1"), first).await.unwrap();
    let id = RecoveryId::new("r1");
    let late = one.journal(LEASE, &id, by_itself, &[line(1)]).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_recovery_runs_per_cluster_without_the_shared_store_too() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    bed.shared.become_now(Fault::Away);
    let row = recovery("r1", "c1", epoch);
    leader.begin_recovery(LEASE, &row).await.unwrap();
    let second = leader
        .begin_recovery(LEASE, &recovery("r2", "c1", epoch))
        .await;
    assert!(
        matches!(second, Err(StoreError::Conflict { .. })),
        "{second:?}"
    );
    leader.end(row).await;
    leader
        .begin_recovery(LEASE, &recovery("r3", "c1", epoch))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shared_store_refuses_does_not_stand_on_the_disk() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    // Begun by somebody else under the same epoch, which the local disk does not know.
    let other = recovery("other", "c1", epoch);
    bed.shared
        .inner
        .begin_recovery(LEASE, &other)
        .await
        .unwrap();
    let refused = leader
        .begin_recovery(LEASE, &recovery("r1", "c1", epoch))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
    bed.shared.become_now(Fault::Away);
    leader
        .begin_recovery(LEASE, &recovery("r2", "c1", epoch))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_dropped_midway_is_handed_over() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    let row = recovery("r1", "c1", epoch);
    leader.begin_recovery(LEASE, &row).await.unwrap();
    bed.shared.become_now(Fault::Stalls);
    let id = RecoveryId::new("r1");
    let lines = [line(1)];
    let write = leader.journal(LEASE, &id, epoch, &lines);
    timeout(Duration::from_millis(60), write).await.unwrap_err();
    assert_eq!(leader.status().unsent_recoveries, 1);
    bed.shared.become_now(Fault::Here);
    leader.until_handed_over().await;
    assert_eq!(steps(&bed.shared.inner, "r1").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bid_that_stalls_is_news_of_the_shared_store() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    bed.shared.become_now(Fault::Stalls);
    let holder = node("n1");
    let renewal = leader.renew_lease(LEASE, &holder, epoch);
    tokio::select! {
        done = renewal => panic!("{done:?}"),
        () = leader.until(|status| status.away_for.is_some()) => {}
    }
    let bid = leader.claim_lease(LEASE, &holder, TTL, None, LeaseEpoch::default());
    timeout(Duration::from_millis(50), bid).await.unwrap_err();
}
