//! Servers, clusters, and operators' words.

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, LeaseEpoch};
use baton_core::model::{Downtime, PromotionRule};
use baton_core::time::WallTime;
use baton_ports::{ClusterRecord, Route, ServerRecord, Store};

use crate::sketch::{LEASE, address, at, cluster, node, server, server_id, take, take_of};
use crate::{must, must_conflict, must_fence};

pub(crate) async fn servers_round_trip(store: &dyn Store) {
    assert_eq!(must(store.servers().await), Vec::new());
    must(store.put_cluster(&cluster("c1"), "orders").await);
    let bare = ServerRecord {
        uid: None,
        cluster: None,
        last_seen: None,
        aliases: Vec::new(),
        ..server("db2", None)
    };
    must(
        store
            .put_servers(&[bare.clone(), server("db1", Some("c1"))])
            .await,
    );
    let mut stored = must(store.servers().await);
    stored.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(stored, vec![server("db1", Some("c1")), bare.clone()]);

    let moved = ServerRecord {
        address: address("db2.new"),
        uid: Some("another".to_owned()),
        cluster: Some(cluster("c1")),
        last_seen: Some(at(5)),
        aliases: vec![address("db2")],
        ..bare
    };
    must(store.put_servers(std::slice::from_ref(&moved)).await);
    must(store.put_servers(&[]).await);
    let stored = must(store.servers().await);
    assert_eq!(stored.len(), 2);
    assert!(stored.contains(&moved), "{stored:?}");
}

pub(crate) async fn put_does_not_touch_operators_words(store: &dyn Store) {
    let said = ServerRecord {
        promotion: PromotionRule::Must,
        promotion_expires: Some(at(9)),
        quarantine: Some("uuid:1-5".to_owned()),
        ..server("db1", None)
    };
    must(store.put_servers(std::slice::from_ref(&said)).await);
    assert_eq!(
        must(store.servers().await),
        vec![server("db1", None)],
        "a new server comes without words"
    );
    must(
        store
            .set_promotion(&said.id, PromotionRule::MustNot, Some(at(7)))
            .await,
    );
    must(store.set_quarantine(&said.id, Some("uuid:9")).await);
    must(store.put_servers(std::slice::from_ref(&said)).await);
    let expected = ServerRecord {
        promotion: PromotionRule::MustNot,
        promotion_expires: Some(at(7)),
        quarantine: Some("uuid:9".to_owned()),
        ..said
    };
    assert_eq!(must(store.servers().await), vec![expected]);
}

pub(crate) async fn promotion_and_quarantine(store: &dyn Store) {
    let row = server("db1", None);
    must(store.put_servers(std::slice::from_ref(&row)).await);
    for rule in [
        PromotionRule::Must,
        PromotionRule::Prefer,
        PromotionRule::PreferNot,
        PromotionRule::MustNot,
        PromotionRule::Neutral,
    ] {
        must(store.set_promotion(&row.id, rule, None).await);
        let expected = ServerRecord {
            promotion: rule,
            ..row.clone()
        };
        assert_eq!(must(store.servers().await), vec![expected]);
    }
    must(store.set_quarantine(&row.id, Some("")).await);
    let quarantined = must(store.servers().await)
        .pop()
        .and_then(|found| found.quarantine);
    assert_eq!(
        quarantined.as_deref(),
        Some(""),
        "set with an empty text is not the same as cleared"
    );
    must(store.set_quarantine(&row.id, None).await);
    assert_eq!(must(store.servers().await), vec![row]);
}

pub(crate) async fn forgetting_a_server(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    must(store.put_cluster(&cluster("c1"), "c1").await);
    must(
        store
            .put_servers(&[server("db1", Some("c1")), server("db2", Some("c1"))])
            .await,
    );
    let id = server_id("db1");
    must(store.set_downtime(&id, Some(&downtime(100))).await);
    must(store.set_promotion(&id, PromotionRule::Must, None).await);
    must(store.set_quarantine(&id, Some("x")).await);
    must(store.set_primary(LEASE, epoch, &cluster("c1"), &id).await);

    assert!(must(store.forget_server(&id).await));
    assert!(!must(store.forget_server(&id).await), "forgotten twice");
    assert_eq!(must(store.servers().await), vec![server("db2", Some("c1"))]);
    assert_eq!(must(store.downtimes(at(0)).await), Vec::new());
    let primary = must(store.clusters().await)
        .pop()
        .and_then(|found| found.primary);
    assert_eq!(
        primary, None,
        "a forgotten server is still the intended primary"
    );

    must(store.put_servers(&[server("db1", None)]).await);
    assert!(
        must(store.servers().await).contains(&server("db1", None)),
        "its words outlived it"
    );
}

pub(crate) async fn unknown_servers_are_conflicts(store: &dyn Store) {
    let id = server_id("nobody");
    must_conflict(store.set_promotion(&id, PromotionRule::Must, None).await);
    must_conflict(store.set_quarantine(&id, Some("x")).await);
    must_conflict(store.set_downtime(&id, Some(&downtime(100))).await);
    must(store.set_downtime(&id, None).await);
    must_conflict(
        store
            .put_servers(&[server("db1", None), server("db2", Some("no such cluster"))])
            .await,
    );
    assert_eq!(
        must(store.servers().await),
        Vec::new(),
        "half of a refused call was done"
    );
}

pub(crate) async fn clusters_are_named_once(store: &dyn Store) {
    must(store.put_cluster(&cluster("c1"), "orders").await);
    must(store.put_cluster(&cluster("c2"), "Orders").await);
    must_conflict(store.put_cluster(&cluster("c3"), "orders").await);
    must_conflict(store.put_cluster(&cluster("c2"), "orders").await);
    must(store.put_cluster(&cluster("c1"), "orders").await);
    must(store.put_cluster(&cluster("c1"), "bills").await);
    must(store.put_cluster(&cluster("c3"), "orders").await);
    let mut names: Vec<(String, String)> = must(store.clusters().await)
        .into_iter()
        .map(|ClusterRecord { id, name, .. }| (id.as_str().to_owned(), name))
        .collect();
    names.sort();
    let expected = [("c1", "bills"), ("c2", "Orders"), ("c3", "orders")];
    assert_eq!(
        names,
        expected.map(|(id, name)| (id.to_owned(), name.to_owned()))
    );
}

pub(crate) async fn cluster_with_servers_stays(store: &dyn Store) {
    must(store.put_cluster(&cluster("c1"), "c1").await);
    must(store.put_servers(&[server("db1", Some("c1"))]).await);
    must_conflict(store.forget_cluster(&cluster("c1")).await);
    assert_eq!(must(store.clusters().await).len(), 1);
    must(store.forget_server(&server_id("db1")).await);
    must(store.forget_cluster(&cluster("c1")).await);
    must(store.forget_cluster(&cluster("c1")).await);
    assert_eq!(must(store.clusters().await), Vec::new());
}

pub(crate) async fn intended_primary(store: &dyn Store) {
    let epoch = take(store, "n1").await.epoch;
    must(store.put_cluster(&cluster("c1"), "c1").await);
    let fresh = ClusterRecord {
        id: cluster("c1"),
        name: "c1".to_owned(),
        primary: None,
        primary_epoch: LeaseEpoch(0),
    };
    assert_eq!(must(store.clusters().await), vec![fresh.clone()]);
    must(
        store
            .put_servers(&[server("db1", Some("c1")), server("db2", Some("c1"))])
            .await,
    );
    for host in ["db1", "db2"] {
        must(
            store
                .set_primary(LEASE, epoch, &cluster("c1"), &server_id(host))
                .await,
        );
        let expected = ClusterRecord {
            primary: Some(server_id(host)),
            primary_epoch: epoch,
            ..fresh.clone()
        };
        assert_eq!(must(store.clusters().await), vec![expected]);
    }
    must(store.put_cluster(&cluster("c1"), "renamed").await);
    let expected = ClusterRecord {
        name: "renamed".to_owned(),
        primary: Some(server_id("db2")),
        primary_epoch: epoch,
        ..fresh
    };
    assert_eq!(
        must(store.clusters().await),
        vec![expected],
        "a new name changed the primary"
    );
    must_conflict(
        store
            .set_primary(LEASE, epoch, &cluster("c9"), &server_id("db1"))
            .await,
    );
}

pub(crate) async fn older_epoch_never_overwrites_the_primary(store: &dyn Store) {
    // Epochs of two leases: a cluster that moved from one to the other must not go back in time.
    let low = take_of(store, "low", "n1").await.epoch;
    let mut high = take_of(store, "high", "n2").await.epoch;
    while high <= low {
        high = take_of(store, "high", "n2").await.epoch;
    }
    must(store.put_cluster(&cluster("c1"), "c1").await);
    must(
        store
            .put_servers(&[server("db1", Some("c1")), server("db2", Some("c1"))])
            .await,
    );
    must(
        store
            .set_primary("high", high, &cluster("c1"), &server_id("db2"))
            .await,
    );
    must_fence(
        store
            .set_primary("low", low, &cluster("c1"), &server_id("db1"))
            .await,
    );
    let primary = must(store.clusters().await)
        .pop()
        .map(|found| (found.primary, found.primary_epoch));
    assert_eq!(primary, Some((Some(server_id("db2")), high)));
}

fn downtime(ends: u64) -> Downtime {
    Downtime {
        owner: "ann".to_owned(),
        reason: "new disk; 100% 'quoted'".to_owned(),
        begins: at(10),
        ends: at(ends),
    }
}

pub(crate) async fn downtimes_end(store: &dyn Store) {
    must(
        store
            .put_servers(&[server("db1", None), server("db2", None)])
            .await,
    );
    must(
        store
            .set_downtime(&server_id("db1"), Some(&downtime(100)))
            .await,
    );
    must(
        store
            .set_downtime(&server_id("db2"), Some(&downtime(200)))
            .await,
    );
    let both = vec![
        (server_id("db1"), downtime(100)),
        (server_id("db2"), downtime(200)),
    ];
    let mut found = must(store.downtimes(at(99)).await);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, both);
    assert_eq!(
        must(store.downtimes(at(100)).await),
        both.get(1..).map(<[_]>::to_vec).unwrap_or_default()
    );
    must(
        store
            .set_downtime(&server_id("db2"), Some(&downtime(300)))
            .await,
    );
    assert_eq!(
        must(store.downtimes(at(250)).await),
        vec![(server_id("db2"), downtime(300))]
    );
    must(store.set_downtime(&server_id("db2"), None).await);
    assert_eq!(must(store.downtimes(at(250)).await), Vec::new());
    // For ever is a time, too.
    let for_ever = Downtime {
        ends: WallTime::from_millis(u64::MAX),
        ..downtime(0)
    };
    must(store.set_downtime(&server_id("db2"), Some(&for_ever)).await);
    assert_eq!(must(store.downtimes(at(1 << 60)).await).len(), 1);
}

pub(crate) async fn recoveries_are_enabled_until_switched_off(store: &dyn Store) {
    assert!(must(store.recoveries_enabled().await));
    for enabled in [false, false, true] {
        must(store.set_recoveries_enabled(enabled).await);
        assert_eq!(must(store.recoveries_enabled().await), enabled);
    }
}

pub(crate) async fn intents_taken_over_from_elsewhere(store: &dyn Store) {
    must(store.put_cluster(&cluster("c1"), "c1").await);
    let epoch = take(store, "n1").await.epoch;
    must(
        store
            .set_primary(LEASE, epoch, &cluster("c1"), &server_id("db1"))
            .await,
    );
    let route = |value: &str, epoch| Route {
        key: "k".to_owned(),
        value: value.to_owned(),
        epoch,
    };
    must(store.put_routes(LEASE, epoch, &[route("db1", epoch)]).await);
    let intent = |name: &str, primary: &str, epoch| ClusterRecord {
        id: cluster(name),
        name: String::new(),
        primary: Some(server_id(primary)),
        primary_epoch: epoch,
    };
    let later = LeaseEpoch(epoch.0 + 1);
    let earlier = LeaseEpoch(epoch.0 - 1);
    for (expected, clusters, routes) in [
        // An older record replaces nothing, and unknown clusters are skipped.
        (
            ("db1", epoch),
            vec![intent("c1", "db9", earlier), intent("c9", "db9", later)],
            vec![route("db9", earlier)],
        ),
        // Under one epoch, what could not be recorded at the time is the later.
        (
            ("db3", epoch),
            vec![intent("c1", "db3", epoch)],
            vec![route("db3", epoch)],
        ),
        (
            ("db2", later),
            vec![intent("c1", "db2", later)],
            vec![route("db2", later)],
        ),
        // Once more does nothing.
        (
            ("db2", later),
            vec![intent("c1", "db2", later)],
            vec![route("db2", later)],
        ),
    ] {
        must(store.merge_intents(LEASE, epoch, &clusters, &routes).await);
        let found = must(store.clusters().await);
        assert_eq!(found.len(), 1);
        let (primary, under) = expected;
        assert_eq!(
            found
                .first()
                .map(|row| (row.primary.clone(), row.primary_epoch)),
            Some((Some(server_id(primary)), under))
        );
        assert_eq!(must(store.routes().await), vec![route(primary, under)]);
    }
    must_fence(store.merge_intents(LEASE, later, &[], &[]).await);
}

pub(crate) async fn histories_are_recorded_under_the_lease(store: &dyn Store) {
    let held = take(store, "n1").await;
    let (one, two) = (ClusterId::new("c1"), ClusterId::new("c2"));
    let mysql = |to: u32| {
        let text = format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-{to}");
        GtidSet::parse_mysql(&text).unwrap_or_else(|error| panic!("{error}"))
    };
    let mariadb = GtidSet::parse_mariadb_history("0-1-5,0-2-7", "");
    let mariadb = mariadb.unwrap_or_else(|error| panic!("{error}"));
    for (cluster, seen) in [(&one, &mysql(9)), (&two, &mariadb), (&one, &mysql(7))] {
        must(store.put_history(LEASE, held.epoch, cluster, seen).await);
    }
    let expected = [(one.clone(), mysql(7)), (two, mariadb)];
    assert_eq!(must(store.histories().await), expected);
    must(store.release_lease(LEASE, &node("n1"), held.epoch).await);
    must_fence(store.put_history(LEASE, held.epoch, &one, &mysql(11)).await);
    assert_eq!(must(store.histories().await), expected);
}
