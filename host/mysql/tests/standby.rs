//! Fences that are left for servers that hang.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use baton_ports::{Servers as _, StandbyFence, StatementError};
use baton_sandbox::{Account, Flavor, Server};
use common::{LIMIT, LOCK, address, locked, pair, servers};
use mysql_async::prelude::Queryable as _;

on_both!(
    left_fence_closes_a_server_that_goes_on,
    left_fence_is_void_under_another_lock,
);

async fn standby(server: &Server) -> Box<dyn StandbyFence> {
    servers()
        .standby(&address(server), LOCK, LIMIT)
        .await
        .unwrap()
}

async fn client(server: &Server) -> mysql_async::Conn {
    mysql_async::Conn::new(server.opts(Account::App))
        .await
        .unwrap()
}

/// Writes until it is refused; gives when it was last told OK.
fn writer(mut conn: mysql_async::Conn) -> tokio::task::JoinHandle<Option<Instant>> {
    tokio::spawn(async move {
        let mut last = None;
        while conn
            .query_drop("INSERT INTO app.t VALUES (NULL)")
            .await
            .is_ok()
        {
            last = Some(Instant::now());
        }
        last
    })
}

/// New sessions, one after the other, until one is refused.
fn newcomers(server: &Server, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Option<Instant>> {
    let (opts, stop) = (server.opts(Account::App), Arc::clone(stop));
    tokio::spawn(async move {
        let mut last = None;
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut conn) = mysql_async::Conn::new(opts.clone()).await else {
                continue;
            };
            if conn
                .query_drop("INSERT INTO app.t VALUES (NULL)")
                .await
                .is_ok()
            {
                last = Some(Instant::now());
            }
        }
        last
    })
}

async fn left_fence_closes_a_server_that_goes_on(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    p1.exec("CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT)")
        .unwrap();
    let _holder = locked(p1).await;
    let fence = standby(p1).await;
    let stop = Arc::default();
    let (old, new) = (writer(client(p1).await), newcomers(p1, &stop));
    p1.freeze().unwrap();
    let mut fencing = tokio::spawn(fence.fence(LIMIT));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut fencing).await;
    assert!(early.is_err(), "a frozen server answered: {early:?}");
    let thawed = Instant::now();
    p1.thaw().unwrap();
    fencing.await.unwrap().unwrap();
    let took = thawed.elapsed();
    stop.store(true, Ordering::Relaxed);
    let after = |last: Option<Instant>| last.map(|at| at.saturating_duration_since(thawed));
    let (old, new) = (after(old.await.unwrap()), after(new.await.unwrap()));
    println!(
        "{flavor}: fenced {took:?} after the thaw; last OK: old session {old:?}, new ones {new:?}"
    );
    assert!(!p1.is_writable().unwrap());
    // Far above what it takes, and below what a reading and a fence over a new session take.
    let limit = Duration::from_millis(500);
    assert!(took < limit, "{took:?}");
    assert!(old.is_none_or(|at| at < limit) && new.is_none_or(|at| at < limit));
}

async fn left_fence_is_void_under_another_lock(flavor: Flavor) {
    let (_sandbox, topology) = pair(flavor);
    let p1 = &topology["p1"];
    let mut holder = locked(p1).await;
    let first = standby(p1).await;
    let second = standby(p1).await;
    drop(holder);
    // The server notices the end of the first session in its own time.
    holder = common::locked_in_time(p1).await;
    let refused = first.fence(LIMIT).await;
    assert!(
        matches!(refused, Err(StatementError::GuardFailed { .. })),
        "{refused:?}"
    );
    assert!(p1.is_writable().unwrap());
    // Nobody's lock: nobody else acts.
    drop(holder);
    common::unlocked_in_time(p1).await;
    second.fence(LIMIT).await.unwrap();
    assert!(!p1.is_writable().unwrap());
}
