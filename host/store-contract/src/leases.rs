//! Leases and fencing.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_core::ids::{LeaseEpoch, RecoveryId};
use baton_ports::{Claim, Route, Store};
use futures::future::join_all;

use crate::sketch::{LEASE, TTL, claim, cluster, node, recovery, server_id, take, take_of};
use crate::{must, must_fence};

pub(crate) async fn unknown_lease_is_none(store: &dyn Store) {
    assert_eq!(must(store.lease("nobody's").await), None);
}

pub(crate) async fn first_claim_is_held_with_a_positive_epoch(store: &dyn Store) {
    let state = take(store, "n1").await;
    assert_eq!(state.holder, Some(node("n1")));
    assert!(
        state.epoch > LeaseEpoch(0),
        "epoch 0 stands for none: {state:?}"
    );
    assert_eq!(state.ttl, TTL);
    assert_eq!(must(store.lease(LEASE).await), Some(state));
}

pub(crate) async fn held_lease_is_refused_to_others(store: &dyn Store) {
    let held = take(store, "n1").await;
    let claim = must(
        store
            .claim_lease(LEASE, &node("n2"), TTL, None, LeaseEpoch::default())
            .await,
    );
    assert_eq!(claim, Claim::Other(held.clone()));
    assert_eq!(
        must(store.lease(LEASE).await),
        Some(held),
        "a refused claim changed the lease"
    );
}

pub(crate) async fn renewal_keeps_the_epoch_and_shows_life(store: &dyn Store) {
    let first = take(store, "n1").await;
    let mut renewals = first.renewals;
    for _ in 0..3 {
        match must(store.renew_lease(LEASE, &node("n1"), first.epoch).await) {
            Claim::Held(state) => {
                assert_eq!(
                    (state.epoch, state.holder, state.ttl),
                    (first.epoch, first.holder.clone(), first.ttl)
                );
                assert!(
                    state.renewals > renewals,
                    "a contender could not see that the holder lives"
                );
                renewals = state.renewals;
            }
            Claim::Other(state) => panic!("own lease was not renewed: {state:?}"),
        }
    }
}

pub(crate) async fn renewal_by_others_is_refused(store: &dyn Store) {
    let held = take(store, "n1").await;
    let other = must(store.renew_lease(LEASE, &node("n2"), held.epoch).await);
    assert_eq!(other, Claim::Other(held.clone()));
    let wrong_epoch = must(
        store
            .renew_lease(LEASE, &node("n1"), LeaseEpoch(held.epoch.0 + 1))
            .await,
    );
    assert_eq!(wrong_epoch, Claim::Other(held.clone()));
    assert!(matches!(
        must(store.renew_lease("unknown", &node("n1"), held.epoch).await),
        Claim::Other(_)
    ));
    assert_eq!(must(store.lease(LEASE).await), Some(held));
}

pub(crate) async fn unchanged_lease_can_be_taken_over(store: &dyn Store) {
    let held = take(store, "n1").await;
    let ttl = Duration::from_millis(1500);
    let seen = Some((held.epoch, held.renewals));
    let Claim::Held(taken) = must(
        store
            .claim_lease(LEASE, &node("n2"), ttl, seen, LeaseEpoch::default())
            .await,
    ) else {
        panic!("a dead holder kept the lease");
    };
    assert_eq!((taken.holder, taken.ttl), (Some(node("n2")), ttl));
    assert!(taken.epoch > held.epoch);
    let lost = must(store.renew_lease(LEASE, &node("n1"), held.epoch).await);
    assert!(
        matches!(lost, Claim::Other(_)),
        "the earlier holder renewed: {lost:?}"
    );
}

pub(crate) async fn changed_lease_cannot_be_taken_over(store: &dyn Store) {
    let held = take(store, "n1").await;
    let seen = Some((held.epoch, held.renewals));
    must(store.renew_lease(LEASE, &node("n1"), held.epoch).await);
    let claim = must(
        store
            .claim_lease(LEASE, &node("n2"), TTL, seen, LeaseEpoch::default())
            .await,
    );
    assert!(
        matches!(claim, Claim::Other(_)),
        "a renewed lease was taken: {claim:?}"
    );
    // Neither the epoch alone nor the renewals alone are enough.
    let now = must(store.lease(LEASE).await);
    let renewals = now.map_or(0, |state| state.renewals);
    let wrong_epoch = Some((LeaseEpoch(held.epoch.0 + 7), renewals));
    let claim = must(
        store
            .claim_lease(LEASE, &node("n2"), TTL, wrong_epoch, LeaseEpoch::default())
            .await,
    );
    assert!(
        matches!(claim, Claim::Other(_)),
        "taken with a wrong epoch: {claim:?}"
    );
}

pub(crate) async fn release_frees_and_the_next_epoch_is_greater(store: &dyn Store) {
    let held = take(store, "n1").await;
    must(store.release_lease(LEASE, &node("n1"), held.epoch).await);
    let free = must(store.lease(LEASE).await);
    assert_eq!(free.map(|state| state.holder), Some(None));
    let renewed = must(store.renew_lease(LEASE, &node("n1"), held.epoch).await);
    assert!(
        matches!(renewed, Claim::Other(_)),
        "a released lease was renewed"
    );
    must_fence(store.put_routes(LEASE, held.epoch, &[]).await);
    for name in ["n1", "n2"] {
        let Claim::Held(next) = must(
            store
                .claim_lease(LEASE, &node(name), TTL, None, LeaseEpoch::default())
                .await,
        ) else {
            panic!("a free lease was refused");
        };
        assert!(next.epoch > held.epoch, "the epoch did not grow: {next:?}");
        must(store.release_lease(LEASE, &node(name), next.epoch).await);
    }
}

pub(crate) async fn release_of_others_changes_nothing(store: &dyn Store) {
    let held = take(store, "n1").await;
    must(store.release_lease(LEASE, &node("n2"), held.epoch).await);
    must(
        store
            .release_lease(LEASE, &node("n1"), LeaseEpoch(held.epoch.0 + 1))
            .await,
    );
    must(
        store
            .release_lease("unknown", &node("n1"), held.epoch)
            .await,
    );
    assert_eq!(must(store.lease(LEASE).await), Some(held));
}

pub(crate) async fn a_new_epoch_exceeds_the_highest_ever_seen(store: &dyn Store) {
    let first = must(
        store
            .claim_lease(LEASE, &node("n1"), TTL, None, LeaseEpoch(41))
            .await,
    );
    let Claim::Held(first) = first else {
        panic!("a free lease was refused");
    };
    assert_eq!(first.epoch, LeaseEpoch(42));
    must(store.release_lease(LEASE, &node("n1"), first.epoch).await);
    let taken_with = |highest, seen| async move {
        must(
            store
                .claim_lease(LEASE, &node("n1"), TTL, seen, LeaseEpoch(highest))
                .await,
        )
    };
    let claim = taken_with(7, None).await;
    let Claim::Held(second) = claim else {
        panic!("an own lease was refused: {claim:?}");
    };
    assert_eq!(second.epoch, LeaseEpoch(43));
    // The database has lost what was committed since: somebody may hold the lease under epoch 99.
    let claim = taken_with(99, None).await;
    assert_eq!(claim, Claim::Other(second.clone()));
    let seen = Some((second.epoch, second.renewals));
    let claim = taken_with(99, seen).await;
    assert!(
        matches!(&claim, Claim::Held(state) if state.epoch == LeaseEpoch(100)),
        "{claim:?}"
    );
}

pub(crate) async fn same_node_claims_anew_as_a_new_holder(store: &dyn Store) {
    let first = take(store, "n1").await;
    let Claim::Held(second) = must(
        store
            .claim_lease(LEASE, &node("n1"), TTL, None, LeaseEpoch::default())
            .await,
    ) else {
        panic!("a node could not claim its own lease after a restart");
    };
    assert!(
        second.epoch > first.epoch,
        "what the earlier process has under way must be fenced"
    );
    must_fence(store.put_routes(LEASE, first.epoch, &[]).await);
    must(store.put_routes(LEASE, second.epoch, &[]).await);
}

pub(crate) async fn leases_are_separate(store: &dyn Store) {
    let one = take_of(store, "one", "n1").await;
    let mut two = take_of(store, "two", "n2").await;
    for _ in 0..3 {
        two = take_of(store, "two", "n2").await;
    }
    assert_ne!(one.epoch, two.epoch);
    assert_eq!(must(store.lease("one").await), Some(one.clone()));
    must_fence(store.put_routes("one", two.epoch, &[]).await);
    must(store.put_routes("one", one.epoch, &[]).await);
}

pub(crate) async fn one_of_many_contenders_wins(store: &dyn Store) {
    for round in 0..20 {
        let seen = must(store.lease(LEASE).await).map(|state| (state.epoch, state.renewals));
        let names: Vec<String> = (0..8).map(|n| format!("r{round}-n{n}")).collect();
        let claims = join_all(names.iter().map(|name| claim(store, LEASE, name, seen))).await;
        let winners = claims
            .into_iter()
            .map(must)
            .filter(|claim| matches!(claim, Claim::Held(_)))
            .count();
        assert_eq!(winners, 1, "winners in round {round}");
    }
}

pub(crate) async fn no_epoch_is_granted_twice(store: &dyn Store) {
    // Each contender looks and takes, without regard for the others.
    let contender = |number: u32| async move {
        let mut granted = Vec::new();
        for _ in 0..25 {
            let seen = must(store.lease(LEASE).await).map(|state| (state.epoch, state.renewals));
            if let Claim::Held(state) = must(claim(store, LEASE, &format!("n{number}"), seen).await)
            {
                granted.push(state.epoch);
            }
        }
        granted
    };
    let granted = join_all((0..6).map(contender)).await;
    for own in &granted {
        assert!(
            own.is_sorted_by(|earlier, later| earlier < later),
            "epochs went backwards: {own:?}"
        );
    }
    let all: Vec<LeaseEpoch> = granted.into_iter().flatten().collect();
    let distinct: BTreeSet<LeaseEpoch> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len(), "an epoch was granted twice");
    assert!(!all.is_empty());
}

pub(crate) async fn epoch_writes_are_fenced(store: &dyn Store) {
    let old = take(store, "n1").await.epoch;
    must(store.put_cluster(&cluster("c1"), "c1").await);
    let row = recovery("r1", "c1", old);
    must(store.begin_recovery(LEASE, &row).await);
    let new = take(store, "n2").await.epoch;
    for epoch in [old, LeaseEpoch(new.0 + 1), LeaseEpoch(0)] {
        let id = RecoveryId::new("r1");
        let route = Route {
            key: "k".to_owned(),
            value: "v".to_owned(),
            epoch,
        };
        must_fence(
            store
                .set_primary(LEASE, epoch, &cluster("c1"), &server_id("db1"))
                .await,
        );
        must_fence(
            store
                .begin_recovery(LEASE, &recovery("r2", "c2", epoch))
                .await,
        );
        must_fence(
            store
                .update_recovery(LEASE, &recovery("r1", "c1", epoch))
                .await,
        );
        must_fence(store.adopt_recovery(LEASE, &id, &node("n1"), epoch).await);
        must_fence(store.journal(LEASE, &id, epoch, &[]).await);
        must_fence(store.put_routes(LEASE, epoch, &[route]).await);
    }
    must_fence(store.put_routes("unknown", new, &[]).await);
    assert_eq!(must(store.routes().await), Vec::new());
    assert_eq!(must(store.recoveries(None, 0, 10).await).len(), 1);
    assert_eq!(
        must(store.clusters().await)
            .first()
            .map(|found| found.primary.clone()),
        Some(None)
    );
}
