//! Clusters for Baton's state: each starts, loses a node, and gets it back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;
use baton_sandbox::{
    Account, BackendBed, BackendKind, BackendOptions, Flavor, Haproxy, HealthCheck, Need, Network,
    Sandbox, SemiSync, Server, first_available, free_port, wait_until,
};

const LIMIT: Duration = Duration::from_secs(30);

fn started(kind: BackendKind, options: &BackendOptions) -> Result<(Sandbox, BackendBed)> {
    let sandbox = Sandbox::new("backend")?;
    let begun = Instant::now();
    let bed = sandbox.backend(kind, options)?;
    println!("{kind}: ready after {:?}", begun.elapsed());
    for server in bed.nodes() {
        println!("{server}: {} MB resident", server.resident_bytes()? >> 20);
    }
    let table = format!(
        "CREATE TABLE baton.row_of (id INT PRIMARY KEY) ENGINE={}",
        kind.table_engine()
    );
    // With Baton's own account: its rights suffice for its schema.
    bed[0].query_as(Account::Baton, &table)?;
    Ok((sandbox, bed))
}

fn insert(server: &Server, id: u32) -> Result<Duration> {
    let begun = Instant::now();
    server.query_within(&format!("INSERT INTO baton.row_of VALUES ({id})"), LIMIT)?;
    Ok(begun.elapsed())
}

/// Waits until a row is seen; on some kinds it is at once.
fn wait_for_row(server: &Server, id: u32) -> Result<()> {
    let query = format!("SELECT COUNT(*) FROM baton.row_of WHERE id = {id}");
    wait_until(&format!("{server} has row {id}"), LIMIT, || {
        Ok(server.scalar(&query)? == "1")
    })
    .map(drop)
}

fn back(bed: &BackendBed, node: usize, what: &str) -> Result<()> {
    let begun = Instant::now();
    bed.restart(node)?;
    println!("{}: {what}, ready after {:?}", bed.kind(), begun.elapsed());
    Ok(())
}

fn lose_and_regain_a_galera_node() -> Result<()> {
    let (_sandbox, bed) = started(BackendKind::Galera, &BackendOptions::default())?;
    wait_for_row_of_each(&bed)?;
    bed[2].kill9()?;
    println!("galera: killed, survivors stall {:?}", insert(&bed[0], 10)?);
    back(&bed, 2, "killed")?;
    wait_for_row(&bed[2], 10)?;
    let seen = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'";
    let identity = |node: usize| {
        let rows = bed[node].query(seen)?;
        anyhow::Ok(rows.first().and_then(|row| row.at(1)).map(str::to_owned))
    };
    assert_eq!(identity(0)?, identity(2)?);

    let frozen = bed[1].freeze()?;
    insert(&bed[0], 11)?;
    println!("galera: frozen, survivors stall {:?}", frozen.elapsed());
    bed[1].thaw()?;
    bed.wait_ready(1, LIMIT)?;
    wait_for_row(&bed[1], 11)?;

    bed[2].stop()?;
    back(&bed, 2, "stopped")?;
    bed.kill_all()?;
    let begun = Instant::now();
    bed.start_all()?;
    println!("galera: all killed, ready after {:?}", begun.elapsed());
    wait_for_row(&bed[2], 11)?;
    assert!(!identity(1)?.unwrap().starts_with("00000000"));
    bed.stop_all()?;
    let begun = Instant::now();
    bed.start_all()?;
    println!("galera: all stopped, ready after {:?}", begun.elapsed());
    insert(&bed[2], 12)?;
    wait_for_row(&bed[0], 12)?;
    bed.kill_all()?;
    (0..3).try_for_each(|node| bed.launch_carelessly(node))?;
    bed.wait_ready(1, LIMIT)?;
    assert!(identity(1)?.unwrap().starts_with("00000000-0000"));
    Ok(())
}

/// Every node sees the others' writes, if it may write at all.
fn wait_for_row_of_each(bed: &BackendBed) -> Result<()> {
    for (id, server) in (1..).zip(bed.nodes()) {
        insert(server, id)?;
        for other in bed.nodes() {
            wait_for_row(other, id)?;
        }
    }
    Ok(())
}

#[test]
fn a_galera_node_is_lost_and_regained() {
    baton_sandbox::require!(BackendKind::Galera);
    lose_and_regain_a_galera_node().unwrap();
}

fn cut_off_a_galera_node() -> Result<()> {
    let network = Network::new()?;
    let options = BackendOptions::default().with_network(&network);
    let (_sandbox, bed) = started(BackendKind::Galera, &options)?;
    let client = network.host("client")?;
    let connects = || client.run(|| TcpStream::connect(bed[2].address()).is_ok());
    let cut = Instant::now();
    bed.isolate(2)?;
    insert(&bed[0], 1)?;
    println!("galera: cut off, survivors stall {:?}", cut.elapsed());
    wait_until("the minority notices", LIMIT, || Ok(!bed.is_ready(2)?))?;
    assert!(connects()?, "a client still reaches it");
    assert!(insert(&bed[2], 2).is_err(), "but not to write");
    bed.reconnect(2)?;
    let healed = bed.wait_ready(2, LIMIT)?;
    println!("galera: healed, ready after {healed:?}");
    wait_for_row(&bed[2], 1)
}

#[test]
fn a_galera_node_is_cut_off_from_its_peers_only() {
    baton_sandbox::require!(BackendKind::Galera, Need::Namespaces);
    cut_off_a_galera_node().unwrap();
}

fn choose_the_first_through_haproxy() -> Result<()> {
    let sandbox = Sandbox::new("haproxy")?;
    let bed = sandbox.backend(BackendKind::Galera, &BackendOptions::default())?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let servers: Vec<_> = bed
        .nodes()
        .iter()
        .map(|node| (node.name(), node.address()))
        .collect();
    let check = HealthCheck::fast().with_option("option mysql-check user haproxy");
    let config = first_available(listen, &servers, &check);
    let proxy = Haproxy::start(&sandbox, "proxy", &config, listen, None)?;
    let node_behind = || proxy.query_as(Account::Baton, "SELECT @@wsrep_node_name");
    let is_behind = |name: &str| {
        let rows = node_behind()?;
        anyhow::Ok(rows.first().and_then(|row| row.at(0)) == Some(name))
    };
    assert!(is_behind("galera1")?);
    let killed = bed[0].kill9()?;
    wait_until("the second node is behind it", LIMIT, || {
        is_behind("galera2")
    })?;
    println!(
        "haproxy: first node killed, next after {:?}",
        killed.elapsed()
    );
    Ok(())
}

#[test]
fn haproxy_sends_to_the_first_node_that_is_up() {
    baton_sandbox::require!(BackendKind::Galera, Need::Haproxy);
    choose_the_first_through_haproxy().unwrap();
}

fn swap_a_pair(flavor: Flavor) -> Result<()> {
    let options = BackendOptions {
        semi_sync: Some(SemiSync::default()),
        ..BackendOptions::default()
    };
    let (_sandbox, bed) = started(BackendKind::MasterMaster(flavor), &options)?;
    assert_eq!(bed.find_writable(), Some(0));
    assert!(
        bed[1]
            .query_as(Account::Baton, "INSERT INTO baton.row_of VALUES (99)")
            .is_err(),
        "the passive node refuses Baton's writes"
    );
    insert(&bed[0], 1)?;
    wait_for_row(&bed[1], 1)?;
    bed[0].kill9()?;
    bed.activate(1)?;
    bed.restart(0)?;
    assert_eq!(bed.find_writable(), Some(1), "it came back read-only");
    insert(&bed[1], 2)?;
    wait_for_row(&bed[0], 2)?;
    bed.fence(1)?;
    assert_eq!(bed.find_writable(), None);
    bed.kill_all()?;
    bed.start_all()?;
    assert_eq!(bed.find_writable(), Some(1));
    wait_for_row(&bed[0], 2)
}

#[test]
fn a_mariadb_pair_swaps_roles() {
    baton_sandbox::require!(BackendKind::MasterMaster(Flavor::MariaDb));
    swap_a_pair(Flavor::MariaDb).unwrap();
}

#[test]
fn a_mysql_pair_swaps_roles() {
    baton_sandbox::require!(BackendKind::MasterMaster(Flavor::MySql));
    swap_a_pair(Flavor::MySql).unwrap();
}

fn lose_and_regain_ndb_nodes() -> Result<()> {
    let (_sandbox, bed) = started(BackendKind::Ndb, &BackendOptions::default())?;
    wait_for_row_of_each(&bed)?;
    let ndb = bed.ndb().unwrap();
    let killed = ndb.data_node(0).kill9()?;
    // The statement in flight may be told so; then it is repeated.
    wait_until("the other data node takes writes", LIMIT, || {
        insert(&bed[0], 10).map(|_| true)
    })?;
    println!("ndb: data node killed, stall {:?}", killed.elapsed());
    let begun = Instant::now();
    ndb.restart_data(0)?;
    println!("ndb: data node back after {:?}", begun.elapsed());
    let frozen = bed[0].freeze()?;
    insert(&bed[1], 11)?;
    println!(
        "ndb: SQL node frozen, the other writes after {:?}",
        frozen.elapsed()
    );
    bed[0].kill9()?;
    back(&bed, 0, "SQL node killed")?;
    wait_for_row(&bed[0], 11)
}

#[test]
fn ndb_nodes_are_lost_and_regained() {
    baton_sandbox::require!(BackendKind::Ndb);
    lose_and_regain_ndb_nodes().unwrap();
}

fn lose_and_regain_a_member() -> Result<()> {
    let (_sandbox, bed) = started(BackendKind::GroupReplication, &BackendOptions::default())?;
    assert_eq!(bed.find_writable(), Some(0));
    insert(&bed[0], 1)?;
    wait_for_row(&bed[2], 1)?;
    let killed = bed[0].kill9()?;
    wait_until("another member takes writes", LIMIT, || {
        Ok(bed.find_writable().is_some())
    })?;
    println!("group: primary killed, next after {:?}", killed.elapsed());
    let primary = bed.find_writable().unwrap();
    insert(&bed[primary], 2)?;
    back(&bed, 0, "killed")?;
    wait_for_row(&bed[0], 2)?;
    bed.kill_all()?;
    let begun = Instant::now();
    bed.start_all()?;
    println!("group: all killed, ready after {:?}", begun.elapsed());
    bed.nodes()
        .iter()
        .try_for_each(|server| wait_for_row(server, 2))
}

#[test]
fn a_member_of_a_group_is_lost_and_regained() {
    baton_sandbox::require!(BackendKind::GroupReplication);
    lose_and_regain_a_member().unwrap();
}
