//! The store goes where it is told, and says what it met.

use std::time::{Duration, Instant};

use baton_ports::prelude::*;
use baton_ports::{StoreError, Target};
use baton_sandbox::{Flavor, free_port};
use baton_store::MySqlOptions;

use crate::rows::{LEASE, audit, node, take};
use crate::{Bed, Following};

fn text_of(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Where nobody listens.
fn nowhere(of: &Target, generation: u64) -> Target {
    let port = free_port().unwrap();
    Target {
        url: format!("mysql://state:state@127.0.0.1:{port}/state0"),
        generation,
        ..of.clone()
    }
}

async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn without_a_target_calls_fail_at_once() {
    let following = Following::new(None, MySqlOptions::default());
    let begun = Instant::now();
    let error = following.store.ping(&node("n1")).await.unwrap_err();
    assert!(begun.elapsed() < MySqlOptions::default().patience);
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let text = text_of(&error);
    assert!(
        text.contains("no backend node is fit: the test selected none"),
        "{text}"
    );
    assert!(following.store.routes().await.is_err());
    assert_eq!(following.reports.all(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_a_dead_node_is_done_on_the_next_one() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let good = bed.target(0, &bed.database(), 3);
    let following = Following::new(Some(nowhere(&good, 1)), MySqlOptions::default());
    let record = audit("a");
    let (done, ()) = tokio::join!(following.store.audit(&record), async {
        until(|| !following.reports.all().is_empty()).await;
        // Nothing at all in between is no reason to give up.
        following.targets.send_replace(None);
        following.targets.send_replace(Some(good.clone()));
    });
    done.unwrap();
    assert_eq!(following.reports.all(), [(1, "connection-lost")]);
    assert_eq!(following.store.audits(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let options = MySqlOptions {
        patience: Duration::from_millis(700),
        ..MySqlOptions::default()
    };
    let target = nowhere(&bed.target(0, &bed.database(), 1), 1);
    let following = Following::new(Some(target), options);
    let begun = Instant::now();
    let error = following.store.ping(&node("n1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(650) && took < MySqlOptions::default().patience,
        "{took:?}"
    );
    assert!(
        text_of(&error).contains("backend node"),
        "{}",
        text_of(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_node_is_told_and_tried_again() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let following = bed.store(0, &bed.database());
    following.store.ping(&node("n1")).await.unwrap();
    bed.exec("SET GLOBAL read_only = 1");
    assert_eq!(
        following.store.audits(0, 1).await.unwrap(),
        [],
        "reads go on"
    );
    let record = audit("a");
    let (done, ()) = tokio::join!(following.store.audit(&record), async {
        until(|| following.reports.all().contains(&(1, "read-only"))).await;
        bed.exec("SET GLOBAL read_only = 0");
    });
    done.unwrap();
    assert_eq!(following.store.audits(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_holds_nobody_once_another_is_selected() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, server) = Bed::single(Flavor::MariaDb);
    let (other, _other_server) = Bed::single(Flavor::MariaDb);
    let limit = Duration::from_secs(40);
    let options = MySqlOptions {
        connect: limit,
        read: limit,
        write: Some(limit),
        ..MySqlOptions::default()
    };
    let following = Following::new(Some(bed.target(0, &bed.database(), 1)), options);
    let mut next = other.target(0, &other.database(), 2);
    next.node_id = format!("other/{}", other.nodes[0]);
    following.store.ping(&node("n1")).await.unwrap();
    server.freeze().unwrap();
    let begun = Instant::now();
    let record = audit("a");
    let (done, ()) = tokio::join!(following.store.audit(&record), async {
        tokio::task::yield_now().await;
        following.targets.send_replace(Some(next));
    });
    server.thaw().unwrap();
    done.unwrap();
    let took = begun.elapsed();
    assert!(took < limit / 2, "waited for a deadline: {took:?}");
    assert_eq!(following.store.audits(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_died_while_idle_are_no_news() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let following = bed.store(0, &bed.database());
    let epoch = take(&following.store, "n1").await;
    bed.exec("KILL USER 'state'@'%'");
    following.store.put_routes(LEASE, epoch, &[]).await.unwrap();
    bed.exec("KILL USER 'state'@'%'");
    assert_eq!(following.store.routes().await.unwrap(), []);
    assert_eq!(following.reports.all(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_leave_no_transaction_behind() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (bed, _server) = Bed::single(Flavor::MariaDb);
    let following = bed.store(0, &bed.database());
    let store = &following.store;
    store.ping(&node("n1")).await.unwrap();
    let record = audit("given up");
    for round in 0..200_u64 {
        let limit = Duration::from_micros(round * 20);
        let kept = store.audit(&record);
        drop(tokio::time::timeout(limit, kept).await);
    }
    // A lock that was left would make this wait for the server's limit of three seconds.
    let begun = Instant::now();
    store.audit(&audit("last")).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let numbers = store.audits(0, 1000).await.unwrap();
    assert_eq!(
        numbers.first().map(|record| record.text.as_str()),
        Some("last")
    );
}
