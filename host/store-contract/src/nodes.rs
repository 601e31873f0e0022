//! Nodes, and the recorded members of clusters.

use std::collections::BTreeSet;

use baton_core::ids::{ClusterId, ServerId};
use baton_core::leadership::quorum::Voters;
use baton_ports::{NodeRecord, Store};

use crate::sketch::{LEASE, node, take};
use crate::{must, must_fence};

fn row(name: &str, voters_seen: u64) -> NodeRecord {
    NodeRecord {
        name: node(name),
        start: "s1".to_owned(),
        url: format!("http://{name}:3000"),
        version: "0.1.0".to_owned(),
        beats: 0,
        voters_seen,
    }
}

pub(crate) async fn nodes_register_and_beat(store: &dyn Store) {
    must(store.beat(&row("n2", 0)).await);
    must(store.beat(&row("n1", 0)).await);
    let restarted = NodeRecord {
        start: "s2".to_owned(),
        ..row("n1", 7)
    };
    must(store.beat(&restarted).await);
    let nodes = must(store.nodes().await);
    let expected = [
        NodeRecord {
            beats: 2,
            ..restarted
        },
        NodeRecord {
            beats: 1,
            ..row("n2", 0)
        },
    ];
    assert_eq!(nodes, expected);
    assert!(must(store.forget_node(&node("n2")).await));
    assert!(!must(store.forget_node(&node("n2")).await));
    assert_eq!(must(store.nodes().await).len(), 1);
}

pub(crate) async fn members_are_recorded_under_the_lease(store: &dyn Store) {
    let held = take(store, "n1").await;
    let set =
        |ids: &[&str]| -> BTreeSet<ServerId> { ids.iter().map(|id| ServerId::new(*id)).collect() };
    let cluster = ClusterId::new("c1");
    let first = Voters {
        version: 1,
        current: set(&["a:1", "b:1"]),
        previous: None,
    };
    must(store.set_voters(LEASE, held.epoch, &cluster, &first).await);
    assert_eq!(
        must(store.voters().await),
        [(cluster.clone(), first.clone())]
    );
    let second = Voters {
        version: 2,
        current: set(&["a:1", "b:1", "c:1"]),
        previous: Some(first.current),
    };
    must(store.set_voters(LEASE, held.epoch, &cluster, &second).await);
    must(store.release_lease(LEASE, &node("n1"), held.epoch).await);
    must_fence(
        store
            .set_voters(LEASE, held.epoch, &cluster, &Voters::default())
            .await,
    );
    assert_eq!(must(store.voters().await), [(cluster, second)]);
}
