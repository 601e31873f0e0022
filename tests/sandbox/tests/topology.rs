//! The sandbox against real servers of both flavours.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use anyhow::Result;
use baton_sandbox::{
    Account, Flavor, Sandbox, SemiSync, Server, ServerOptions, Topology, TopologySpec, Writer,
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(20);
const CHAIN: &str = "
    p1
    r1 <- p1
    r2 <- p1
    r3 <- p1
    c1 <- r1
";

fn started(flavor: Flavor) -> Result<(Sandbox, Topology)> {
    let sandbox = Sandbox::new("topology")?;
    let begun = Instant::now();
    let topology = sandbox.topology(flavor, &TopologySpec::parse(CHAIN)?)?;
    println!(
        "{flavor}: five servers replicate after {:?}",
        begun.elapsed()
    );
    for server in topology.servers() {
        println!("{server}: {} MB resident", server.resident_bytes()? >> 20);
    }
    Ok((sandbox, topology))
}

/// What Baton does to a replica, in the least form, with Baton's own account.
fn promote(server: &Server) -> Result<()> {
    let statements = match server.flavor() {
        Flavor::MariaDb => "STOP ALL SLAVES; SET GLOBAL read_only = 0",
        Flavor::MySql => "STOP REPLICA; SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0",
    };
    server.query_as(Account::Baton, statements).map(drop)
}

fn kill_and_promote(flavor: Flavor) -> Result<()> {
    let (_sandbox, topology) = started(flavor)?;
    let names = |servers: Vec<&Server>| {
        servers
            .iter()
            .map(|server| server.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(topology.writable()), ["p1"]);

    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(100, LIMIT)?;
    assert_eq!(writer.server_in_use().as_deref(), Some("p1"));
    let killed = topology["p1"].kill9()?;
    promote(&topology["r1"])?;
    writer.wait_for_other_than("p1", LIMIT)?;
    writer.wait_for_rows(100, LIMIT)?;
    let report = writer.stop()?;

    let gap = report.handover_after(killed).unwrap();
    println!(
        "kill to writable {:?}, gap {:?}",
        gap.ended - killed,
        gap.length()
    );
    assert_eq!((gap.from.as_str(), gap.to.as_str()), ("p1", "r1"));
    assert!(gap.length() < LIMIT / 2);
    let after = report
        .acknowledged()
        .iter()
        .filter(|row| report.server_of(row) == "r1")
        .count();
    topology["c1"].wait_for(&topology["r1"], LIMIT)?;
    assert_eq!(
        report.lost_on(&topology["c1"])?,
        report.lost_on(&topology["r1"])?
    );
    // r2 reads from the dead server: it lacks exactly what r1 acknowledged.
    assert!(report.lost_on(&topology["r2"])?.len() >= after);

    topology["p1"].restart()?;
    assert_eq!(names(topology.writable()), ["p1", "r1"]);
    Ok(())
}

fn freeze_and_thaw(flavor: Flavor) -> Result<()> {
    let (_sandbox, topology) = started(flavor)?;
    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(50, LIMIT)?;
    let frozen = topology["p1"].freeze()?;
    promote(&topology["r2"])?;
    writer.wait_for_other_than("p1", LIMIT)?;
    topology["p1"].thaw()?;
    let report = writer.stop()?;
    let gap = report.handover_after(frozen).unwrap();
    println!("gap {:?}", gap.length());
    assert_eq!(gap.to, "r2");
    assert!(topology["p1"].is_writable()?);
    Ok(())
}

fn semi_sync_waits_for_a_replica(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("semi-sync")?;
    let spec = TopologySpec::parse("p1\n r1 <- p1\n c1 <- r1")?.with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(flavor, &spec)?;
    let writer = Writer::start(topology.servers())?;
    writer.wait_for_rows(50, LIMIT)?;
    let frozen = topology["r1"].freeze()?;
    let silence = Duration::from_millis(500);
    wait_until("the freeze has lasted", LIMIT, || {
        Ok(frozen.elapsed() > silence)
    })?;
    topology["r1"].thaw()?;
    writer.wait_for_rows(50, LIMIT)?;
    let report = writer.stop()?;
    let gap = report.longest_gap_after(frozen).unwrap();
    assert!(gap.length() > silence / 2, "{:?}", gap.length());
    assert_eq!(gap.to, "p1");
    topology["c1"].wait_for(&topology["p1"], LIMIT)?;
    assert_eq!(report.lost_on(&topology["c1"])?, [0_u64; 0]);
    Ok(())
}

fn co_primaries_and_several_sources(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("several")?;
    let spec = TopologySpec::parse("p1 <- p2 writable\n p2 <- p1\n q1\n m1 <- p1, q1")?;
    let spec = match flavor {
        // Two streams into one server need domains of their own.
        Flavor::MariaDb => spec.with_options("q1", |options| {
            options.extra.push("--gtid-domain-id=7".into());
        }),
        Flavor::MySql => spec,
    };
    let topology = sandbox.topology(flavor, &spec)?;
    topology["q1"].exec("CREATE TABLE app.other (id INT PRIMARY KEY)")?;
    wait_until("m1 has both tables", LIMIT, || {
        let tables = topology["m1"].query("SHOW TABLES IN app")?;
        Ok(tables.len() == 2)
    })?;
    let channels = topology["m1"].replica_status()?;
    let column = match flavor {
        Flavor::MariaDb => "Connection_name",
        Flavor::MySql => "Channel_Name",
    };
    let names: Vec<_> = channels
        .iter()
        .filter_map(|channel| channel.get(column))
        .collect();
    assert_eq!(names, ["p1", "q1"]);
    assert!(topology["p1"].is_replicating()?);
    Ok(())
}

/// Each statement Baton may send, on a replica and on a primary.
fn batons_privileges_suffice(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("privileges")?;
    let spec = TopologySpec::parse("p1\n r1 <- p1")?.with_semi_sync(SemiSync::default());
    let topology = sandbox.topology(flavor, &spec)?;
    let both: &[&str] = match flavor {
        Flavor::MariaDb => &[
            "SHOW ALL SLAVES STATUS",
            "SHOW SLAVE HOSTS",
            "SHOW MASTER STATUS",
            "SHOW BINARY LOGS",
            "SHOW FULL PROCESSLIST",
            "SELECT @@gtid_slave_pos, @@gtid_binlog_state, @@gtid_current_pos",
            "SELECT GET_LOCK('baton:test', 0)",
            "SET GLOBAL rpl_semi_sync_master_enabled = 1",
            "SET GLOBAL rpl_semi_sync_master_timeout = 1000",
            "SET GLOBAL rpl_semi_sync_slave_enabled = 1",
            "SET SESSION sql_log_bin = 0",
            "FLUSH BINARY LOGS",
            "SET GLOBAL read_only = IF(1, 0, (SELECT 1 UNION SELECT 2))",
        ],
        Flavor::MySql => &[
            "SHOW REPLICA STATUS",
            "SHOW REPLICAS",
            "SHOW BINARY LOG STATUS",
            "SHOW BINARY LOGS",
            "SHOW FULL PROCESSLIST",
            "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged",
            "SELECT LAST_HEARTBEAT_TIMESTAMP FROM performance_schema.replication_connection_status",
            "SELECT * FROM performance_schema.replication_applier_status_by_worker",
            "SELECT GET_LOCK('baton:test', 0)",
            "SET GLOBAL rpl_semi_sync_source_enabled = 1",
            "SET GLOBAL rpl_semi_sync_source_timeout = 1000",
            "SET GLOBAL rpl_semi_sync_replica_enabled = 1",
            "FLUSH BINARY LOGS",
            "SET GLOBAL super_read_only = IF(1, 0, (SELECT 1 UNION SELECT 2))",
            "SET GLOBAL read_only = 0",
            "SET GLOBAL super_read_only = 1",
        ],
    };
    let replica: &[&str] = match flavor {
        Flavor::MariaDb => &[
            "STOP SLAVE IO_THREAD",
            "STOP SLAVE",
            "CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 1",
            "START SLAVE UNTIL master_gtid_pos = '0-1-1'",
            "SELECT MASTER_GTID_WAIT('0-1-1', 5)",
            "STOP SLAVE; SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos",
            "RESET SLAVE ALL",
        ],
        Flavor::MySql => &[
            "STOP REPLICA IO_THREAD",
            "STOP REPLICA",
            "CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 1",
            "START REPLICA UNTIL SQL_AFTER_MTS_GAPS",
            "SELECT WAIT_FOR_EXECUTED_GTID_SET(@@GLOBAL.gtid_executed, 5)",
            "STOP REPLICA; RESET REPLICA ALL",
        ],
    };
    topology["p1"].query("SELECT 1")?;
    for statement in both {
        topology["p1"].query_as(Account::Baton, statement)?;
    }
    for statement in both.iter().chain(replica) {
        topology["r1"].query_as(Account::Baton, statement)?;
    }
    let client = topology["p1"].clone();
    let sleeper = std::thread::spawn(move || client.query_as(Account::App, "SELECT SLEEP(30)"));
    wait_until("baton has ended the client", LIMIT, || {
        let found = "SELECT id FROM information_schema.processlist WHERE user = 'app'";
        let rows = topology["p1"].query_as(Account::Baton, found)?;
        let Some(id) = rows.first().and_then(|row| row.at(0)) else {
            return Ok(false);
        };
        topology["p1"].query_as(Account::Baton, &format!("KILL {id}"))?;
        Ok(true)
    })?;
    assert!(sleeper.join().unwrap().is_err());
    Ok(())
}

fn a_single_server_restarts_with_its_data(flavor: Flavor) -> Result<()> {
    let sandbox = Sandbox::new("single")?;
    let begun = Instant::now();
    let server = sandbox.server(flavor, "s1", ServerOptions::default())?;
    println!("{flavor}: one server answers after {:?}", begun.elapsed());
    server.query_as(Account::App, "CREATE TABLE app.t (a INT PRIMARY KEY)")?;
    let (pid, port) = (server.pid(), server.port());
    let begun = Instant::now();
    server.restart_with(&["--max-connections=33"])?;
    println!("{flavor}: restarted in {:?}", begun.elapsed());
    assert_ne!(server.pid(), pid);
    assert_eq!(server.port(), port);
    assert_eq!(server.scalar("SELECT @@max_connections")?, "33");
    assert_eq!(server.scalar("SELECT COUNT(*) FROM app.t")?, "0");
    let refused = sandbox.server(
        flavor,
        "s2",
        ServerOptions {
            extra: vec!["--no-such-option".into()],
            ..ServerOptions::default()
        },
    );
    let error = format!("{:#}", refused.unwrap_err());
    assert!(
        error.contains("no-such-option"),
        "the log is shown: {error}"
    );
    let folder = sandbox.folder().to_path_buf();
    drop(sandbox);
    assert!(!folder.exists());
    assert!(server.query("SELECT 1").is_err());
    Ok(())
}

macro_rules! on_both_flavors {
    ($($test:ident),+ $(,)?) => {
        mod mariadb {
            $(#[test] fn $test() {
                baton_sandbox::require!(baton_sandbox::Flavor::MariaDb);
                super::$test(baton_sandbox::Flavor::MariaDb).unwrap();
            })+
        }
        mod mysql {
            $(#[test] fn $test() {
                baton_sandbox::require!(baton_sandbox::Flavor::MySql);
                super::$test(baton_sandbox::Flavor::MySql).unwrap();
            })+
        }
    };
}

on_both_flavors!(
    kill_and_promote,
    freeze_and_thaw,
    semi_sync_waits_for_a_replica,
    co_primaries_and_several_sources,
    batons_privileges_suffice,
    a_single_server_restarts_with_its_data,
);
