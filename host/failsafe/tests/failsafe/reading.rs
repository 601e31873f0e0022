//! Reading while the shared store is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use baton_core::ids::{Address, ClusterId, ServerId};
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::prelude::*;
use baton_ports::{ServerRecord, StoreError};

use crate::bed::{Bed, quick};
use crate::faulty::Fault;

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answers_stand_for_what_cannot_be_read() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    let epoch = node.lead("n1").await;
    let now = WallTime::from_millis(1);
    let read = async || {
        quick(async {
            (
                node.servers().await.unwrap(),
                node.clusters().await.unwrap(),
                node.downtimes(now).await.unwrap(),
                node.routes().await.unwrap(),
                node.recoveries(None, 0, 200).await.unwrap(),
            )
        })
        .await
    };
    node.recover("before", epoch).await;
    let before = read().await;
    bed.shared.become_now(Fault::Stalls);
    assert_eq!(read().await, before);
    // What is on the disk is newer.
    node.recover("after", epoch).await;
    let ids: Vec<String> = read()
        .await
        .4
        .iter()
        .map(|row| row.id.to_string())
        .collect();
    assert_eq!(ids, ["after", "before"]);
    let of_cluster = node
        .recoveries(Some(&ClusterId::new("c1")), 1, 1)
        .await
        .unwrap();
    assert_eq!(of_cluster.len(), 1);
    assert_eq!(
        node.clusters().await.unwrap().first().unwrap().primary,
        Some(ServerId::new("db2:3306"))
    );
    let calls = bed.shared.calls.load(Ordering::Relaxed);
    read().await;
    assert!(
        bed.shared.calls.load(Ordering::Relaxed) <= calls + 1,
        "reads were sent to a store that is away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_was_never_read_is_not_known() {
    let bed = Bed::new().await;
    bed.shared.become_now(Fault::Away);
    let node = bed.node("n1").await;
    let unknown = node.recoveries_enabled().await;
    assert!(
        matches!(unknown, Err(StoreError::Unavailable { .. })),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_stays_as_it_was_read_last() {
    for enabled in [true, false] {
        let bed = Bed::new().await;
        let node = bed.node("n1").await;
        node.set_recoveries_enabled(enabled).await.unwrap();
        assert_eq!(node.recoveries_enabled().await.unwrap(), enabled);
        bed.shared.become_now(Fault::Stalls);
        assert_eq!(quick(node.recoveries_enabled()).await.unwrap(), enabled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_turns_recoveries_off_is_heard_by_this_node_at_least() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    assert!(node.recoveries_enabled().await.unwrap());
    bed.shared.become_now(Fault::Away);
    assert!(node.recoveries_enabled().await.unwrap());
    node.set_recoveries_enabled(true).await.unwrap_err();
    node.set_recoveries_enabled(false).await.unwrap_err();
    assert!(!node.recoveries_enabled().await.unwrap());
    node.set_recoveries_enabled(true).await.unwrap_err();
    assert!(
        !node.recoveries_enabled().await.unwrap(),
        "turned on where nobody else hears of it"
    );
}

/// A reading under way when an operator gave an order, and answered after it, stood for the store
/// from then on: were that away, Baton would have acted on a server that it had been told to leave
/// alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_from_before_an_order_does_not_stand_for_the_store() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    let now = WallTime::from_millis(1);
    node.put_servers(&[server("db1")]).await.unwrap();
    assert!(node.downtimes(now).await.unwrap().is_empty());
    bed.shared.become_now(Fault::Mute);
    let read = bed.shared.downtimes_read.load(Ordering::Relaxed);
    let store = Arc::clone(&node.store);
    let early = tokio::spawn(async move { store.downtimes(now).await });
    quick(async {
        while bed.shared.downtimes_read.load(Ordering::Relaxed) == read {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    bed.shared.become_now(Fault::Busy);
    let id = ServerId::new("db1:3306");
    let downtime = Downtime {
        owner: "a person".to_owned(),
        reason: "leave it alone".to_owned(),
        begins: now,
        ends: WallTime::from_millis(1_000_000),
    };
    node.set_downtime(&id, Some(&downtime)).await.unwrap();
    bed.shared.become_now(Fault::Here);
    let told = vec![(id, downtime)];
    assert_eq!(
        early.await.unwrap().unwrap(),
        told,
        "the newer answer counts"
    );
    bed.shared.become_now(Fault::Away);
    assert_eq!(node.downtimes(now).await.unwrap(), told);
}

/// Recoveries that the shared store had taken were missing from the list while it was away, because
/// it had last been read before them; the cooldown goes by that list.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_answers_hold_the_recoveries_since() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    let epoch = node.lead("n1").await;
    assert!(node.recoveries(None, 0, 200).await.unwrap().is_empty());
    let mut done = Vec::new();
    for id in ["r1", "r2", "r3"] {
        done.insert(0, node.recover(id, epoch).await);
    }
    node.until_handed_over().await;
    bed.shared.become_now(Fault::Away);
    let mut shown = node.recoveries(None, 0, 200).await.unwrap();
    let numbers: Vec<i64> = shown.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    for row in &mut shown {
        row.number = 0;
    }
    assert_eq!(shown, done);
}

fn server(name: &str) -> ServerRecord {
    ServerRecord {
        id: ServerId::new(format!("{name}:3306")),
        address: Address::new(name, 3306).unwrap(),
        uid: None,
        cluster: None,
        last_seen: None,
        aliases: Vec::new(),
        promotion: PromotionRule::Neutral,
        promotion_expires: None,
        quarantine: None,
    }
}

/// Each order, when the store is away before anything is read again.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_answers_hold_what_was_ordered_since() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    let now = WallTime::from_millis(1);
    let epoch = node.lead("n1").await;
    let row = node.recover("r1", epoch).await;
    node.end(row).await;
    let (kept, gone) = (ServerId::new("db1:3306"), ServerId::new("db2:3306"));
    node.put_servers(&[server("db1"), server("db2")])
        .await
        .unwrap();
    node.servers().await.unwrap();
    node.recoveries(None, 0, 200).await.unwrap();

    let rule = PromotionRule::MustNot;
    node.set_promotion(&kept, rule, None).await.unwrap();
    node.set_quarantine(&kept, Some("errant")).await.unwrap();
    assert!(node.forget_server(&gone).await.unwrap());
    let count = node.acknowledge(None, None, "a person", now, "seen").await;
    assert_eq!(count.unwrap(), 1);
    bed.shared.become_now(Fault::Away);

    let servers = node.servers().await.unwrap();
    let [server] = servers.as_slice() else {
        panic!("{servers:?}")
    };
    assert_eq!((&server.id, server.promotion), (&kept, rule));
    assert_eq!(server.quarantine.as_deref(), Some("errant"));
    let recoveries = node.recoveries(None, 0, 200).await.unwrap();
    let acknowledged = recoveries.first().unwrap().acknowledged.as_ref();
    assert_eq!(acknowledged.map(|(by, ..)| by.as_str()), Some("a person"));
}
