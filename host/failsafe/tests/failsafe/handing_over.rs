//! Handing over what was written without the shared store.

use baton_core::ids::{ClusterId, LeaseEpoch, ServerId};
use baton_core::model::RecoveryOutcome;
use baton_ports::Store;
use baton_ports::prelude::*;

use crate::bed::{Bed, quick, steps};
use crate::faulty::Fault;
use crate::support::{LEASE, audit, recovery};

async fn primary(bed: &Bed) -> (Option<ServerId>, LeaseEpoch) {
    let rows = bed.shared.inner.clusters().await.unwrap();
    let row = rows.into_iter().next().unwrap();
    (row.primary, row.primary_epoch)
}

fn server(name: &str) -> ServerId {
    ServerId::new(format!("{name}:3306"))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_once() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    // Of the same epoch as what comes later: one leader may replace a primary twice.
    leader.recover("r0", epoch).await;
    let cluster = ClusterId::new("c1");
    let first = ServerId::new("db1:3306");
    let recorded = leader.set_primary(LEASE, epoch, &cluster, &first).await;
    recorded.unwrap();
    bed.shared.become_now(Fault::Away);
    leader.recover("r1", epoch).await;
    for number in 1..4 {
        quick(leader.audit(&audit(number, 10))).await.unwrap();
    }
    bed.shared.become_now(Fault::Here);
    leader.until_handed_over().await;
    let shared = &bed.shared.inner;
    assert_eq!(steps(shared, "r1").await, [1, 2]);
    assert_eq!(primary(&bed).await, (Some(server("db2")), epoch));
    let routes = shared.routes().await.unwrap();
    assert_eq!(
        routes
            .first()
            .map(|route| (route.value.as_str(), route.epoch)),
        Some(("db2:3306", epoch))
    );
    let audits = shared.audits(0, 9).await.unwrap();
    assert_eq!(audits, [audit(3, 10), audit(2, 10), audit(1, 10)]);
    // Nothing is left on the disk that would be handed over again.
    leader.until(|status| status.kept_recoveries == 0).await;
    drop(leader);
    let again = bed.node("n1").await;
    assert_eq!(again.status().unsent_recoveries, 0);
    again.until_handed_over().await;
    assert_eq!(shared.recoveries(None, 0, 9).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_died_hands_over_when_it_is_started_again() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    bed.shared.become_now(Fault::Away);
    leader.recover("ended", epoch).await;
    let running = recovery("running", "c1", epoch);
    leader.begin_recovery(LEASE, &running).await.unwrap();
    leader.write_lines("running", epoch, 1..2).await;
    drop(leader);
    // While the shared store is away, what it left is known on its own disk only.
    let again = bed.node("n1").await;
    assert_eq!(again.highest_epoch(LEASE).await.unwrap(), epoch);
    assert_eq!(again.status().unsent_recoveries, 2);
    bed.shared.become_now(Fault::Here);
    let later = again.lead("n1").await;
    assert!(later > epoch);
    again.until_handed_over().await;
    let shared = &bed.shared.inner;
    assert_eq!(steps(shared, "ended").await, [1, 2]);
    assert_eq!(steps(shared, "running").await, [1]);
    let open = again.running_recoveries().await.unwrap();
    let open: Vec<&str> = open.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(open, ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hands_over_history_and_never_overrules_a_later_leader() {
    for overtaken in [false, true] {
        let bed = Bed::new().await;
        let (one, two) = (bed.node("n1").await, bed.node("n2").await);
        let first = one.lead("n1").await;
        bed.shared.become_now(Fault::Away);
        let by_itself = LeaseEpoch(first.0 + 1);
        one.recover("r1", by_itself).await;
        // The shared store is back for the other node first.
        let inner = &bed.shared.inner;
        let later = support_claim(inner, "n2", by_itself).await;
        if overtaken {
            let cluster = ClusterId::new("c1");
            let third = ServerId::new("db3:3306");
            inner
                .set_primary(LEASE, later, &cluster, &third)
                .await
                .unwrap();
        }
        bed.shared.become_now(Fault::Here);
        one.until_handed_over().await;
        assert_eq!(steps(inner, "r1").await, [1, 2]);
        let expected = if overtaken {
            (Some(server("db3")), later)
        } else {
            (Some(server("db2")), by_itself)
        };
        assert_eq!(primary(&bed).await, expected);
        let seen = two.recoveries(None, 0, 200).await.unwrap();
        let outcomes: Vec<_> = seen.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [RecoveryOutcome::Succeeded]);
    }
}

/// Whoever acts under a later epoch is not kept from it by what it left open itself and could not
/// hand over.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_recovery_of_an_earlier_epoch_does_not_block() {
    let bed = Bed::new().await;
    let leader = bed.node("n1").await;
    let epoch = leader.lead("n1").await;
    bed.shared.become_now(Fault::Away);
    let stale = recovery("stale", "c1", epoch);
    leader.begin_recovery(LEASE, &stale).await.unwrap();
    let later = LeaseEpoch(epoch.0 + 1);
    leader.recover("next", later).await;
    bed.shared.become_now(Fault::Here);
    leader.lead("n1").await;
    leader.until_handed_over().await;
    let known = leader.recoveries(None, 0, 9).await.unwrap();
    let outcome = |id: &str| {
        let found = known.iter().find(|row| row.id.as_str() == id);
        found.map(|row| row.outcome)
    };
    assert_eq!(outcome("stale"), Some(RecoveryOutcome::Failed));
    assert_eq!(outcome("next"), Some(RecoveryOutcome::Succeeded));
}

/// Takes the lease behind the nodes' backs.
async fn support_claim(store: &dyn Store, name: &str, highest: LeaseEpoch) -> LeaseEpoch {
    let seen = store.lease(LEASE).await.unwrap().unwrap();
    let claim = store
        .claim_lease(
            LEASE,
            &crate::support::node(name),
            crate::support::TTL,
            Some((seen.epoch, seen.renewals)),
            highest,
        )
        .await;
    match claim.unwrap() {
        baton_ports::Claim::Held(state) => state.epoch,
        baton_ports::Claim::Other(state) => panic!("not granted: {state:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_somebody_else_finished_is_not_opened_again() {
    let bed = Bed::new().await;
    let one = bed.node("n1").await;
    let epoch = one.lead("n1").await;
    let row = recovery("r1", "c1", epoch);
    one.begin_recovery(LEASE, &row).await.unwrap();
    bed.shared.become_now(Fault::Away);
    one.write_lines("r1", epoch, 1..2).await;
    // Another node adopts and ends it.
    let inner = &bed.shared.inner;
    let later = support_claim(inner, "n2", epoch).await;
    let holder = crate::support::node("n2");
    inner
        .adopt_recovery(LEASE, &row.id, &holder, later)
        .await
        .unwrap();
    let ended = baton_ports::RecoveryRecord {
        node: holder,
        epoch: later,
        outcome: RecoveryOutcome::Unwound,
        ..row
    };
    inner.update_recovery(LEASE, &ended).await.unwrap();
    bed.shared.become_now(Fault::Here);
    one.until_handed_over().await;
    assert_eq!(one.running_recoveries().await.unwrap(), Vec::new());
    let stored = inner.recovery(&ended.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.outcome, stored.epoch),
        (RecoveryOutcome::Unwound, later)
    );
    assert_eq!(steps(inner, "r1").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_recovery_of_a_dead_leader_is_ended_without_the_shared_store() {
    let bed = Bed::new().await;
    let dead = bed.node("n1").await;
    let epoch = dead.lead("n1").await;
    dead.begin_recovery(LEASE, &recovery("r1", "c1", epoch))
        .await
        .unwrap();
    dead.write_lines("r1", epoch, 1..3).await;
    let heir = bed.node("n2").await;
    heir.recoveries(None, 0, 200).await.unwrap();
    drop(dead);
    bed.shared.become_now(Fault::Stalls);
    let by_itself = LeaseEpoch(epoch.0 + 1);
    // The store is found to be away when the heir bids.
    let holder = crate::support::node("n2");
    let bid = heir.claim_lease(LEASE, &holder, crate::support::TTL, None, epoch);
    tokio::select! {
        done = bid => panic!("{done:?}"),
        () = heir.until(|status| status.away_for.is_some()) => {}
    }
    let open = quick(heir.running_recoveries()).await.unwrap();
    let row = open.into_iter().next().unwrap();
    quick(heir.adopt_recovery(LEASE, &row.id, &holder, by_itself))
        .await
        .unwrap();
    heir.write_lines("r1", by_itself, 3..4).await;
    let mine = baton_ports::RecoveryRecord {
        node: holder,
        epoch: by_itself,
        ..row
    };
    heir.end(mine).await;
    assert_eq!(heir.running_recoveries().await.unwrap(), Vec::new());
    bed.shared.become_now(Fault::Here);
    heir.until_handed_over().await;
    let stored = bed.shared.inner.recoveries(None, 0, 9).await.unwrap();
    let stored: Vec<_> = stored.iter().map(|row| (row.outcome, row.epoch)).collect();
    assert_eq!(stored, [(RecoveryOutcome::Succeeded, by_itself)]);
    assert_eq!(steps(&bed.shared.inner, "r1").await, [1, 2, 3]);
}
