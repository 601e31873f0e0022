//! The whole state from one store to another, step by step, and what holds when a step was the last
//! one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod support;

use baton_core::ids::{ClusterId, LeaseEpoch, NodeName};
use baton_ports::prelude::*;
use baton_ports::{Claim, StoreError};
use baton_store::{Move, MovedLease, SqliteOptions, SqliteStore};
use support::{LEASE, TTL, audit, node, take};

async fn store() -> SqliteStore {
    let options = SqliteOptions::default();
    SqliteStore::open(":memory:", &options).await.unwrap().store
}

/// A store with something in it, and its lease.
async fn filled() -> (SqliteStore, LeaseEpoch) {
    let store = store().await;
    let epoch = take(&store, "n1").await;
    store
        .put_cluster(&ClusterId::new("c1"), "orders")
        .await
        .unwrap();
    for number in 0..450 {
        store.audit(&audit(number, 20)).await.unwrap();
    }
    (store, epoch)
}

fn of(epoch: LeaseEpoch) -> Move {
    Move {
        from: "old".to_owned(),
        to: "new".to_owned(),
        epoch,
    }
}

fn kept_by(holder: Option<NodeName>) -> MovedLease {
    MovedLease {
        name: LEASE.to_owned(),
        holder,
        ttl: TTL,
    }
}

async fn claim(store: &SqliteStore, name: &str) -> Claim {
    let seen = store.lease(LEASE).await.unwrap();
    let seen = seen.map(|state| (state.epoch, state.renewals));
    store
        .claim_lease(LEASE, &node(name), TTL, seen, LeaseEpoch::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_lease_is_never_to_be_had_in_both() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let of = of(epoch);
    let copy = old.dump(Some((LEASE, epoch))).await.unwrap();
    new.receive(&copy, &of).await.unwrap();
    // Up to here nothing has changed: the old one goes on.
    old.put_routes(LEASE, epoch, &[]).await.unwrap();
    assert_eq!(new.lease(LEASE).await.unwrap(), None);

    old.hand_over(LEASE, &of).await.unwrap();
    assert_eq!(
        old.moved_to().await.unwrap(),
        Some(("new".to_owned(), epoch))
    );
    let guarded = old.put_routes(LEASE, epoch, &[]).await;
    assert!(
        matches!(guarded, Err(StoreError::Fenced { .. })),
        "{guarded:?}"
    );
    let renewed = old.renew_lease(LEASE, &node("n1"), epoch).await.unwrap();
    assert!(matches!(renewed, Claim::Other(_)), "{renewed:?}");
    for name in ["n1", "n2"] {
        let claimed = claim(&old, name).await;
        assert!(matches!(claimed, Claim::Other(_)), "{name}: {claimed:?}");
    }
    // Done twice, it is done once.
    old.hand_over(LEASE, &of).await.unwrap();

    let state = new
        .open_copy(&of, &kept_by(Some(node("n1"))))
        .await
        .unwrap();
    assert_eq!(state.epoch, LeaseEpoch(epoch.0 + 1));
    assert_eq!(state.holder, Some(node("n1")));
    new.put_routes(LEASE, state.epoch, &[]).await.unwrap();
    assert_eq!(new.audits(0, 1000).await.unwrap().len(), 450);
    let again = new.open_copy(&of, &kept_by(None)).await.unwrap();
    assert_eq!(again, state, "opening what is open changes nothing");
}

#[tokio::test]
async fn a_lease_that_changed_hands_meanwhile_ends_the_move() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let copy = old.dump(Some((LEASE, epoch))).await.unwrap();
    new.receive(&copy, &of(epoch)).await.unwrap();
    let Claim::Held(other) = claim(&old, "n2").await else {
        panic!("not granted")
    };
    let ended = old.hand_over(LEASE, &of(epoch)).await;
    assert!(matches!(ended, Err(StoreError::Fenced { .. })), "{ended:?}");
    old.put_routes(LEASE, other.epoch, &[]).await.unwrap();
    // The next attempt replaces the closed copy; the older one's opening finds that it is not its
    // own.
    let copy = old.dump(Some((LEASE, other.epoch))).await.unwrap();
    new.receive(&copy, &of(other.epoch)).await.unwrap();
    let opened = new.open_copy(&of(epoch), &kept_by(None)).await;
    assert!(
        matches!(opened, Err(StoreError::Conflict { .. })),
        "{opened:?}"
    );
}

#[tokio::test]
async fn whoever_finds_a_move_half_done_may_finish_it() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let copy = old.dump(Some((LEASE, epoch))).await.unwrap();
    new.receive(&copy, &of(epoch)).await.unwrap();
    old.hand_over(LEASE, &of(epoch)).await.unwrap();
    let (_, known) = old.moved_to().await.unwrap().unwrap();
    let state = new.open_copy(&of(known), &kept_by(None)).await.unwrap();
    assert_eq!(state.holder, None);
    let Claim::Held(claimed) = claim(&new, "n2").await else {
        panic!("not granted")
    };
    assert!(claimed.epoch > state.epoch);
}

#[tokio::test]
async fn the_state_comes_back_to_where_it_was_but_overwrites_no_other() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let copy = old.dump(Some((LEASE, epoch))).await.unwrap();
    new.receive(&copy, &of(epoch)).await.unwrap();
    old.hand_over(LEASE, &of(epoch)).await.unwrap();
    let there = new
        .open_copy(&of(epoch), &kept_by(Some(node("n1"))))
        .await
        .unwrap();
    let back = Move {
        from: "new".to_owned(),
        to: "old".to_owned(),
        epoch: there.epoch,
    };
    let copy = new.dump(Some((LEASE, there.epoch))).await.unwrap();
    old.receive(&copy, &back).await.unwrap();
    new.hand_over(LEASE, &back).await.unwrap();
    let here = old
        .open_copy(&back, &kept_by(Some(node("n1"))))
        .await
        .unwrap();
    assert_eq!(here.epoch, LeaseEpoch(epoch.0 + 2));
    assert_eq!(old.moved_to().await.unwrap(), None);
    old.put_routes(LEASE, here.epoch, &[]).await.unwrap();

    let (theirs, _) = filled().await;
    let refused = theirs.receive(&copy, &back).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
}
