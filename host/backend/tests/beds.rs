//! The watch against whole clusters of each kind: a node is killed, frozen, comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_backend::PromotionSpec;
use baton_core::policy::backend::BackendKind;
use baton_mysql::{Account, Secret};
use baton_ports::BackendStatus;
use baton_sandbox::{BackendBed, BackendKind as Bed, BackendOptions, Flavor, Sandbox};
use common::{TABLES, Watched, cluster, has, watch};

/// Makes a test per kind.
macro_rules! on_all {
    ($($name:ident),+ $(,)?) => {
        on_all!(@kind galera, baton_sandbox::BackendKind::Galera, $($name),+);
        on_all!(@kind pair_mariadb, baton_sandbox::BackendKind::MasterMaster(baton_sandbox::Flavor::MariaDb), $($name),+);
        on_all!(@kind pair_mysql, baton_sandbox::BackendKind::MasterMaster(baton_sandbox::Flavor::MySql), $($name),+);
        on_all!(@kind ndb, baton_sandbox::BackendKind::Ndb, $($name),+);
        on_all!(@kind group, baton_sandbox::BackendKind::GroupReplication, $($name),+);
    };
    (@kind $module:ident, $kind:expr, $($name:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                baton_sandbox::require!($kind);
                super::$name($kind).await;
            })+
        }
    };
}

on_all!(the_active_node_is_killed, the_active_node_hangs);

/// Account that may change roles; the one for the state may not, so that it cannot write to a
/// closed node.
const ROLES: &str = "roles";

fn start(kind: Bed) -> (Sandbox, BackendBed) {
    let sandbox = Sandbox::new("baton-backend").unwrap();
    let bed = sandbox.backend(kind, &BackendOptions::default()).unwrap();
    let tables = TABLES.replace("{engine}", kind.table_engine());
    let active = bed.find_writable().unwrap();
    bed[active].exec(&tables).unwrap();
    if let Bed::MasterMaster(flavor) = kind {
        // Both read-only flags forbid it to root, too, where one of them is set for all.
        let rights = match flavor {
            Flavor::MariaDb => {
                "READ ONLY ADMIN, CONNECTION ADMIN, REPLICATION SLAVE ADMIN, REPLICA MONITOR, PROCESS"
            }
            Flavor::MySql => {
                "SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, REPLICATION_SLAVE_ADMIN, REPLICATION CLIENT, PROCESS"
            }
        };
        let account = format!(
            "CREATE USER '{ROLES}'@'%' IDENTIFIED BY '{ROLES}'; GRANT {rights} ON *.* TO '{ROLES}'@'%'"
        );
        bed[active].exec(&account).unwrap();
        let passive = &bed[1 - active];
        passive.wait_for(&bed[active], common::LIMIT).unwrap();
    }
    (sandbox, bed)
}

fn kind(bed: Bed) -> BackendKind {
    BackendKind::from_word(bed.config_name()).unwrap()
}

async fn watched(bed: &BackendBed) -> Watched {
    let mut spec = cluster(kind(bed.kind()), &bed.urls());
    spec.promotion = matches!(bed.kind(), Bed::MasterMaster(_)).then(|| PromotionSpec {
        patience: Duration::from_secs(2),
        account: Some(Account {
            user: ROLES.into(),
            password: Secret::new(ROLES),
        }),
        ..PromotionSpec::default()
    });
    let watched = watch(vec![spec]);
    let status = watched
        .until("all nodes have answered, and one is in use", |status| {
            let nodes = status.clusters.iter().flat_map(|cluster| &cluster.nodes);
            status.selection.node.is_some()
                && nodes
                    .into_iter()
                    .all(|node| node.ready.is_some() && !has(node, "unreachable"))
        })
        .await;
    if matches!(bed.kind(), Bed::MasterMaster(_)) {
        watched
            .until("the passive node was seen following", |status| {
                let facts = &status.clusters[0].nodes[1].facts;
                facts.contains(&("receiver".into(), "running".into()))
            })
            .await;
    }
    println!("{}: {:?} is in use", bed.kind(), status.selection.node);
    watched
}

fn active(watched: &Watched) -> usize {
    let status = watched.status();
    let nodes = &status.clusters[0].nodes;
    nodes.iter().position(|node| node.in_use).unwrap()
}

/// Writes to the node in use until that works; when it did. The wait of the cluster itself is part
/// of it.
async fn written(watched: &Watched, except: &str) -> (Instant, Instant) {
    let target = watched
        .target("another node is in use", |target| {
            target.is_some_and(|target| target.node_id != except)
        })
        .await
        .unwrap();
    let published = Instant::now();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < common::LIMIT, "no write went through");
        let url = watched.handle.targets().borrow().clone();
        let url = url.unwrap_or_else(|| target.clone()).url;
        let opts = mysql_async::Opts::from_url(&url).unwrap();
        let write = async {
            use mysql_async::prelude::Queryable as _;
            let mut conn = mysql_async::Conn::new(opts).await?;
            conn.query_drop("UPDATE baton.baton_lease SET epoch = epoch + 1")
                .await
        };
        if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(10), write).await {
            return (published, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn the_active_node_is_killed(kind: Bed) {
    let (_sandbox, bed) = start(kind);
    let watched = watched(&bed).await;
    let victim = active(&watched);
    let id = watched.status().clusters[0].nodes[victim].id.clone();
    let killed = bed[victim].kill9().unwrap();
    let (published, write) = written(&watched, &id).await;
    println!(
        "{kind}: active node killed -> new target {} ms, first write {} ms",
        (published - killed).as_millis(),
        (write - killed).as_millis()
    );
    let moved_to = watched.status().selection.node.clone();
    let gave = tokio::spawn(donors(watched.handle.status()));
    bed.restart(victim).unwrap();
    watched
        .until("the killed node is back in its place", |status| {
            let node = &status.clusters[0].nodes[victim];
            match kind {
                Bed::Galera | Bed::Ndb => node.ready == Some(true),
                Bed::MasterMaster(_) => has(node, "read-only"),
                Bed::GroupReplication => has(node, "not-primary"),
            }
        })
        .await;
    let (now, status) = (
        watched.status().selection.node.clone(),
        watched.handle.status(),
    );
    drop((watched, status));
    let gave = gave.await.unwrap();
    // The node in use may have to give its data to the one that returns: then it is left for the
    // third.
    let left = gave.iter().any(|donor| Some(donor) == moved_to.as_ref());
    assert!(
        now == moved_to || left,
        "{moved_to:?} was left for {now:?}; donors: {gave:?}"
    );
    assert_ne!(now, Some(id));
}

/// Two clusters under one roof, and a node of the second one in the list of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_galera_cluster_is_told() {
    baton_sandbox::require!(Bed::Galera);
    let (_ours, bed) = start(Bed::Galera);
    let (_theirs, other) = start(Bed::Galera);
    let mut urls = bed.urls();
    urls.truncate(2);
    urls.extend(other.urls().into_iter().next());
    let watched = watch(vec![cluster(BackendKind::Galera, &urls)]);
    let node = watched.until_against(2, "foreign-cluster").await;
    let told = &node.against[0].text;
    assert!(
        told.starts_with(&node.address) && told.contains("remove what does not belong"),
        "{told}"
    );
    watched.uses(0).await;
}

/// The nodes that were donors until the watch ended.
async fn donors(mut status: tokio::sync::watch::Receiver<Arc<BackendStatus>>) -> BTreeSet<String> {
    let mut donors = BTreeSet::new();
    loop {
        let nodes = status
            .borrow_and_update()
            .clusters
            .iter()
            .flat_map(|cluster| &cluster.nodes)
            .filter(|node| has(node, "donor"))
            .map(|node| node.id.clone())
            .collect::<Vec<_>>();
        donors.extend(nodes);
        if status.changed().await.is_err() {
            return donors;
        }
    }
}

async fn the_active_node_hangs(kind: Bed) {
    let (_sandbox, bed) = start(kind);
    let watched = watched(&bed).await;
    let victim = active(&watched);
    let id = watched.status().clusters[0].nodes[victim].id.clone();
    let frozen = bed[victim].freeze().unwrap();
    let (published, write) = written(&watched, &id).await;
    println!(
        "{kind}: active node frozen -> new target {} ms, first write {} ms",
        (published - frozen).as_millis(),
        (write - frozen).as_millis()
    );
    let moved_to = watched.status().selection.node.clone();
    bed[victim].thaw().unwrap();
    watched
        .until("the thawed node is back in its place", |status| {
            let cluster = &status.clusters[0];
            let node = &cluster.nodes[victim];
            match kind {
                Bed::Galera | Bed::Ndb => node.ready == Some(true),
                // It still takes writes when it wakes up: Baton closes it.
                Bed::MasterMaster(_) => has(node, "read-only") && cluster.promotion.is_none(),
                Bed::GroupReplication => has(node, "not-primary"),
            }
        })
        .await;
    assert_eq!(watched.status().selection.node, moved_to);
    let writable = bed
        .nodes()
        .iter()
        .filter(|node| node.is_writable().unwrap());
    match kind {
        Bed::MasterMaster(_) | Bed::GroupReplication => assert_eq!(writable.count(), 1),
        Bed::Galera | Bed::Ndb => {}
    }
}
