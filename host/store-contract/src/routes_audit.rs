//! Routes, the audit log, and the rest.

use baton_core::ids::LeaseEpoch;
use baton_ports::{AuditRecord, Route, Store};

use crate::sketch::{LEASE, address, at, cluster, node, server_id, take, take_of};
use crate::{must, must_fence};

fn route(key: &str, value: &str, epoch: LeaseEpoch) -> Route {
    Route {
        key: key.to_owned(),
        value: value.to_owned(),
        epoch,
    }
}

async fn sorted(store: &dyn Store) -> Vec<Route> {
    let mut routes = must(store.routes().await);
    routes.sort_by(|a, b| a.key.cmp(&b.key));
    routes
}

pub(crate) async fn newer_routes_stay(store: &dyn Store) {
    let low = take_of(store, "low", "n1").await.epoch;
    let mut high = take_of(store, "high", "n2").await.epoch;
    while high <= low {
        high = take_of(store, "high", "n2").await.epoch;
    }
    must(
        store
            .put_routes("low", low, &[route("a", "1", low), route("b", "1", low)])
            .await,
    );
    must(
        store
            .put_routes("high", high, &[route("a", "2", high)])
            .await,
    );
    must(
        store
            .put_routes("low", low, &[route("a", "3", low), route("b", "3", low)])
            .await,
    );
    assert_eq!(
        sorted(store).await,
        vec![route("a", "2", high), route("b", "3", low)]
    );
}

pub(crate) async fn fenced_routes_change_nothing(store: &dyn Store) {
    let old = take(store, "n1").await.epoch;
    must(store.put_routes(LEASE, old, &[route("a", "1", old)]).await);
    take(store, "n2").await;
    must_fence(
        store
            .put_routes(LEASE, old, &[route("a", "2", old), route("b", "2", old)])
            .await,
    );
    assert_eq!(sorted(store).await, vec![route("a", "1", old)]);
}

fn record(number: u64) -> AuditRecord {
    AuditRecord {
        at: at(number),
        kind: "discover".to_owned(),
        server: Some(address("db1")),
        cluster: Some(cluster("c1")),
        by: "ann".to_owned(),
        text: format!("line {number}"),
    }
}

pub(crate) async fn audit_newest_first(store: &dyn Store) {
    assert_eq!(must(store.audits(0, 10).await), Vec::new());
    // Newest is what was written last, whatever its clock said.
    for number in [5, 1, 3] {
        must(store.audit(&record(number)).await);
    }
    let bare = AuditRecord {
        server: None,
        cluster: None,
        ..record(2)
    };
    must(store.audit(&bare).await);
    assert_eq!(
        must(store.audits(0, 10).await),
        vec![bare, record(3), record(1), record(5)]
    );
    assert_eq!(must(store.audits(1, 2).await), vec![record(3), record(1)]);
    assert_eq!(must(store.audits(4, 2).await), Vec::new());
}

pub(crate) async fn ping_answers(store: &dyn Store) {
    must(store.ping(&node("n1")).await);
    must(store.ping(&node("n1")).await);
    must(store.ping(&node("n2")).await);
}

pub(crate) async fn texts_of_any_kind_survive(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    let texts = [
        "",
        "it's \"quoted\" \\ %_;--",
        "naïve 日本語 🦀",
        "line\nbreak\ttab",
        " spaces ",
    ];
    let long = "x".repeat(100_000);
    for text in texts.into_iter().chain([long.as_str()]) {
        let written = AuditRecord {
            text: text.to_owned(),
            ..record(1)
        };
        must(store.audit(&written).await);
        assert_eq!(must(store.audits(0, 1).await), vec![written]);
        must(
            store
                .put_routes(LEASE, epoch, &[route("k", text, epoch)])
                .await,
        );
        assert_eq!(must(store.routes().await), vec![route("k", text, epoch)]);
    }
    // Keys differ by case and accent.
    for name in ["name", "Name", "näme"] {
        must(store.put_cluster(&cluster(name), name).await);
        must(
            store
                .put_servers(&[super::sketch::server(name, Some(name))])
                .await,
        );
    }
    let ids: Vec<String> = must(store.servers().await)
        .iter()
        .map(|row| row.id.to_string())
        .collect();
    assert!(
        ids.contains(&server_id("name").to_string())
            && ids.contains(&server_id("näme").to_string())
    );
    assert_eq!(must(store.clusters().await).len(), 3);
}
