//! The watch against single servers and pairs of the two flavours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use baton_core::policy::Reach;
use baton_core::policy::backend::BackendKind;
use baton_sandbox::{Account, Channel, Flavor, Sandbox, Server, Topology, TopologySpec, free_port};
use common::{TABLES, cluster, has, watch};

/// Makes a test per flavour.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                baton_sandbox::require!(baton_sandbox::Flavor::MariaDb);
                super::$name(baton_sandbox::Flavor::MariaDb).await;
            })+
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                baton_sandbox::require!(baton_sandbox::Flavor::MySql);
                super::$name(baton_sandbox::Flavor::MySql).await;
            })+
        }
    };
}

on_both!(
    a_passive_node_takes_over,
    wrong_kinds_are_told,
    a_server_of_another_pair_is_told,
    a_reported_failure_is_looked_into_at_once,
    tables_are_read,
);

fn url(server: &Server) -> String {
    format!("{}baton", server.url(Account::Baton))
}

fn start(flavor: Flavor, sketch: &str) -> (Sandbox, Topology) {
    let sandbox = Sandbox::new("baton-backend").unwrap();
    let spec = TopologySpec::parse(sketch)
        .unwrap()
        .with_heartbeat(Duration::from_secs(1));
    let topology = sandbox.topology(flavor, &spec).unwrap();
    let tables = TABLES.replace("{engine}", "InnoDB");
    let prepare = format!("CREATE DATABASE baton; GRANT ALL ON baton.* TO 'baton'@'%'; {tables}");
    topology["p1"].exec(&prepare).unwrap();
    (sandbox, topology)
}

async fn a_passive_node_takes_over(flavor: Flavor) {
    let (_sandbox, topology) = start(flavor, "p1\nr1 <- p1");
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    r1.wait_for(p1, common::LIMIT).unwrap();
    let watched = watch(vec![cluster(
        BackendKind::MasterMaster,
        &[url(p1), url(r1)],
    )]);
    watched.uses(0).await;
    watched
        .until("the passive node was seen following", |status| {
            let facts = &status.clusters[0].nodes[1].facts;
            facts
                .iter()
                .any(|(name, value)| name == "receiver" && value == "running")
        })
        .await;
    let killed = p1.kill9().unwrap();
    let used = watched.uses(1).await;
    println!(
        "{flavor}: passive node in use {:?} after the kill",
        used - killed
    );
    assert!(r1.is_writable().unwrap());
    // It comes back as it went, open: closed again, and the one in use stays in use.
    p1.restart().unwrap();
    // Closing ends all client sessions, the test's own too: nothing is asked before it is over.
    watched
        .until("the stale node is closed", |status| {
            let cluster = &status.clusters[0];
            has(&cluster.nodes[0], "read-only") && cluster.promotion.is_none()
        })
        .await;
    assert!(!p1.is_writable().unwrap() && r1.is_writable().unwrap());
    watched.uses(1).await;
}

async fn wrong_kinds_are_told(flavor: Flavor) {
    let (_sandbox, topology) = start(flavor, "p1");
    for kind in [
        BackendKind::Galera,
        BackendKind::Ndb,
        BackendKind::GroupReplication,
    ] {
        let watched = watch(vec![cluster(kind, &[url(&topology["p1"])])]);
        let node = watched.until_against(0, "wrong-kind").await;
        let text = &node.against[0].text;
        assert!(
            text.contains(&node.address) && text.contains("correct the kind"),
            "{text}"
        );
        assert!(watched.handle.targets().borrow().is_none());
    }
}

/// Two pairs, and one server of each in the list.
async fn a_server_of_another_pair_is_told(flavor: Flavor) {
    let (_sandbox, topology) = start(flavor, "p1\np2\nr2 read-only");
    let (p1, r2) = (&topology["p1"], &topology["r2"]);
    let channel = Channel::default();
    r2.replicate_from(&topology["p2"], &channel).unwrap();
    let watched = watch(vec![cluster(
        BackendKind::MasterMaster,
        &[url(p1), url(r2)],
    )]);
    let node = watched.until_against(1, "foreign-cluster").await;
    let told = node
        .against
        .iter()
        .find(|c| c.text.contains("correct the list"));
    let told = told.unwrap_or_else(|| panic!("no remedy in {node:?}"));
    assert!(told.text.starts_with(&node.address), "{}", told.text);
    watched.uses(0).await;
}

async fn a_reported_failure_is_looked_into_at_once(flavor: Flavor) {
    let (_sandbox, topology) = start(flavor, "p1");
    let mut spec = cluster(BackendKind::MasterMaster, &[url(&topology["p1"])]);
    // Nothing but the report can be the reason of the next probe.
    spec.timing.interval = Duration::from_secs(50);
    spec.timing.read = Duration::from_secs(5);
    let watched = watch(vec![spec]);
    watched.uses(0).await;
    let target = watched
        .target("a node is in use", |target| target.is_some())
        .await
        .unwrap();
    topology["p1"].exec("SET GLOBAL read_only=1").unwrap();
    let begun = Instant::now();
    watched.handle.report(target.generation, "refused");
    watched
        .target("none is in use", |target| target.is_none())
        .await;
    println!("{flavor}: report to verdict {:?}", begun.elapsed());
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    watched.until_against(0, "read-only").await;
}

async fn tables_are_read(flavor: Flavor) {
    let (_sandbox, topology) = start(flavor, "p1");
    let p1 = &topology["p1"];
    let watched = watch(vec![cluster(BackendKind::MasterMaster, &[url(p1)])]);
    watched.uses(0).await;
    let status = watched
        .until("the epoch was read", |status| {
            status.highest_epoch == Some(7)
        })
        .await;
    assert_eq!(status.clusters[0].nodes[0].epoch_behind, Some(0));
    // As after a restore from a backup.
    p1.exec("UPDATE baton.baton_lease SET epoch = 4").unwrap();
    let node = watched.until_against(0, "history-older").await;
    assert_eq!((node.epoch, node.epoch_behind), (Some(4), Some(0)));
    assert_eq!(node.ready, Some(true));
    // The state went elsewhere, and came back.
    p1.exec("INSERT INTO baton.baton_lease VALUES ('moved-to', 'other', 7)")
        .unwrap();
    let node = watched.until_against(0, "moved").await;
    assert!(node.against[0].text.contains("moved to other"), "{node:?}");
    assert_eq!(
        watched.status().clusters[0].moved_to.as_deref(),
        Some("other")
    );
    p1.exec("DELETE FROM baton.baton_lease WHERE name = 'moved-to'; INSERT INTO baton.baton_switch VALUES ('restoring', 1)")
        .unwrap();
    let node = watched.until_against(0, "closed-copy").await;
    assert!(!has(&node, "moved"), "{node:?}");
    p1.exec("DELETE FROM baton.baton_switch").unwrap();
    watched.uses(0).await;
    p1.exec("INSERT INTO baton.baton_schema VALUES (2)")
        .unwrap();
    let node = watched.until_against(0, "schema-newer").await;
    assert_eq!(node.ready, Some(false));
    // As after the loss of the disk: nothing is begun anew without a person.
    p1.exec("DROP TABLE baton.baton_lease, baton.baton_schema")
        .unwrap();
    watched
        .until("the tables are missed", |status| {
            let node = &status.clusters[0].nodes[0];
            node.ready == Some(false) && has(node, "history-older") && !has(node, "schema-newer")
        })
        .await;
    watched.handle.accept_history();
    watched.uses(0).await;
    p1.exec("DROP DATABASE baton").unwrap();
    watched.until_against(0, "no-database").await;
}

/// A port that does something else.
fn stranger(behave: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            behave(stream);
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_do_not_behave_delay_no_other() {
    baton_sandbox::require!(Flavor::MariaDb);
    let (_sandbox, topology) = start(Flavor::MariaDb, "p1");
    let silent = stranger(std::mem::forget);
    let web = stranger(|mut stream| {
        stream
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            .unwrap_or_default();
    });
    let local = |login: &str, port| format!("mysql://{login}@127.0.0.1:{port}/baton");
    let nodes = [
        local("baton:baton", silent),
        local("baton:baton", web),
        local("baton:baton", free_port().unwrap()),
        local("baton:wrong", topology["p1"].port()),
        url(&topology["p1"]),
    ];
    let begun = Instant::now();
    let watched = watch(vec![cluster(BackendKind::MasterMaster, &nodes)]);
    watched.uses(4).await;
    println!(
        "beside four nodes that do not behave: in use after {:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    for (at, word) in [
        (0, "timeout-handshake"),
        (1, "not-mysql"),
        (2, "refused"),
        (3, "authentication"),
    ] {
        let what = format!("node {at} fails with {word}");
        let status = watched.until(&what, |status| {
            let node = &status.clusters[0].nodes[at];
            node.probe.failure.as_deref() == Some(word) && has(node, "unreachable")
        });
        let status = status.await;
        let node = &status.clusters[0].nodes[at];
        assert_eq!(node.probe.state, Reach::Silent);
        assert!(
            node.against[0].text.starts_with(&node.address),
            "{}",
            node.against[0].text
        );
        assert!(!format!("{status:?}").contains("wrong@"));
    }
    // The good one is read about twice a second all the while.
    let node = &watched.status().clusters[0].nodes[4];
    assert_eq!(node.probe.failures, 0);
}
