//! A whole move, and what is left when it does not come to its end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use baton_core::ids::{ClusterId, LeaseEpoch};
use baton_ports::StoreError;
use baton_ports::prelude::*;
use baton_store::{
    Move, MoveError, MoveLimits, MovedLease, Relocation, Sqlite, SqliteOptions, SqliteStore,
};
use support::{LEASE, TTL, node, take};

async fn store() -> SqliteStore {
    let options = SqliteOptions::default();
    SqliteStore::open(":memory:", &options).await.unwrap().store
}

/// A store that holds a cluster, and its lease.
async fn filled() -> (SqliteStore, LeaseEpoch) {
    let store = store().await;
    let epoch = take(&store, "n1").await;
    let cluster = ClusterId::new("c1");
    store.put_cluster(&cluster, "orders").await.unwrap();
    (store, epoch)
}

fn between<'a>(old: &'a SqliteStore, new: &'a SqliteStore) -> Relocation<'a, Sqlite, Sqlite> {
    let limits = MoveLimits {
        copy: Duration::from_secs(60),
        repeat: Duration::ZERO,
        pause: Duration::from_millis(1),
    };
    Relocation { old, new, limits }
}

fn of(epoch: LeaseEpoch) -> Move {
    Move {
        from: "old".to_owned(),
        to: "new".to_owned(),
        epoch,
    }
}

fn kept() -> MovedLease {
    MovedLease {
        name: LEASE.to_owned(),
        holder: Some(node("n1")),
        ttl: TTL,
    }
}

/// The lease is held in `store` and nothing of it was lost.
async fn is_in_use(store: &SqliteStore, epoch: LeaseEpoch) {
    store.put_routes(LEASE, epoch, &[]).await.unwrap();
    assert_eq!(store.clusters().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_move_gives_the_holder_the_next_epoch_in_the_new_store() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let moved = between(&old, &new).carry_out(&of(epoch), &kept()).await;
    let (rows, lease) = moved.unwrap();
    assert!(rows > 0);
    assert_eq!(lease.epoch, LeaseEpoch(epoch.0 + 1));
    assert_eq!(lease.holder, Some(node("n1")));
    is_in_use(&new, lease.epoch).await;
    let ended = old.put_routes(LEASE, epoch, &[]).await;
    assert!(matches!(ended, Err(StoreError::Fenced { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_move_under_an_epoch_that_is_over_changes_nothing() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let present = take(&old, "n2").await;
    let moved = between(&old, &new).carry_out(&of(epoch), &kept()).await;
    assert!(
        matches!(moved, Err(MoveError::Unmoved(StoreError::Fenced { .. }))),
        "{moved:?}"
    );
    is_in_use(&old, present).await;
}

#[tokio::test]
async fn a_move_to_a_store_in_use_changes_neither() {
    let (old, epoch) = filled().await;
    let (new, there) = filled().await;
    let moved = between(&old, &new).carry_out(&of(epoch), &kept()).await;
    assert!(
        matches!(moved, Err(MoveError::Unmoved(StoreError::Conflict { .. }))),
        "{moved:?}"
    );
    is_in_use(&old, epoch).await;
    is_in_use(&new, there).await;
}

#[tokio::test]
async fn a_copy_that_takes_too_long_leaves_the_state_where_it_was() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let mut relocation = between(&old, &new);
    relocation.limits.copy = Duration::ZERO;
    let moved = relocation.carry_out(&of(epoch), &kept()).await;
    assert!(matches!(moved, Err(MoveError::Late(_))), "{moved:?}");
    is_in_use(&old, epoch).await;
}

#[tokio::test]
async fn a_copy_that_cannot_be_opened_says_that_the_old_store_has_ended() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let relocation = between(&old, &new);
    relocation.copy(&of(epoch), LEASE).await.unwrap();
    relocation.end(&of(epoch), LEASE).await.unwrap();
    new.close().await;
    let opened = relocation.open(&of(epoch), &kept()).await;
    assert!(
        matches!(opened, Err(MoveError::Unopened { .. })),
        "{opened:?}"
    );
    let (to, under) = old.moved_to().await.unwrap().unwrap();
    assert_eq!((to.as_str(), under), ("new", epoch));
}

#[tokio::test]
async fn a_move_that_stands_still_is_finished_without_a_holder() {
    let (old, epoch) = filled().await;
    let new = store().await;
    let relocation = between(&old, &new);
    relocation.copy(&of(epoch), LEASE).await.unwrap();
    let names = ("old", "new");
    let early = relocation.finish(names, LEASE).await.unwrap();
    assert_eq!(early, None, "the old store has not ended");
    relocation.end(&of(epoch), LEASE).await.unwrap();
    let lease = relocation.finish(names, LEASE).await.unwrap();
    let lease = lease.expect("the old store has ended");
    assert_eq!((lease.holder.as_ref(), lease.epoch.0), (None, epoch.0 + 1));
    let again = relocation.finish(names, LEASE).await.unwrap();
    assert_eq!(again, Some(lease), "finishing again changes nothing");
    let epoch = take(&new, "n2").await;
    is_in_use(&new, epoch).await;
}
