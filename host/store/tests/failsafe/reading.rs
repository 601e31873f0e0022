//! Reading while the shared store is away.

use std::sync::atomic::Ordering;

use baton_core::ids::{ClusterId, ServerId};
use baton_core::time::WallTime;
use baton_ports::{Store, StoreError};

use crate::bed::{Bed, quick};
use crate::moody::Mood;

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
    bed.shared.become_now(Mood::Stalls);
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
    bed.shared.become_now(Mood::Away);
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
        bed.shared.become_now(Mood::Stalls);
        assert_eq!(quick(node.recoveries_enabled()).await.unwrap(), enabled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_turns_recoveries_off_is_heard_by_this_node_at_least() {
    let bed = Bed::new().await;
    let node = bed.node("n1").await;
    assert!(node.recoveries_enabled().await.unwrap());
    bed.shared.become_now(Mood::Away);
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
