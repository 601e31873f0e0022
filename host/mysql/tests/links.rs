//! What a channel has besides its source survives, on real servers: a change of source, and the way
//! from a replica to a primary and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use baton_mysql::{MysqlServers, ReplicationTls, ReplicationTlsMode};
use baton_ports::{ServerCommand, Servers as _, Session};
use baton_sandbox::{Certificates, Flavor, Sandbox, Server, Topology, TopologySpec, wait_until};
use common::{LIMIT, LOCK, address, clock, perform, settings};

on_both!(options_of_a_channel_survive);

/// An account that must use TLS, and a channel with everything that can be set.
fn set_up(flavor: Flavor, topology: &Topology, certificates: &Certificates) {
    let (p1, r1) = (&topology["p1"], &topology["r1"]);
    p1.exec("ALTER USER 'repl'@'%' REQUIRE SSL").unwrap();
    r1.wait_for(p1, LIMIT).unwrap();
    let (ca, cert, key) = (
        certificates.ca.display(),
        certificates.cert.display(),
        certificates.key.display(),
    );
    let common = |prefix: &str| {
        format!(
            "{prefix}_SSL=1, {prefix}_SSL_CA='{ca}', {prefix}_SSL_CERT='{cert}', \
             {prefix}_SSL_KEY='{key}', {prefix}_SSL_VERIFY_SERVER_CERT=1, \
             {prefix}_SSL_CIPHER='ECDHE-ECDSA-AES256-GCM-SHA384', {prefix}_DELAY=2, \
             {prefix}_CONNECT_RETRY=3, {prefix}_HEARTBEAT_PERIOD=2.5"
        )
    };
    r1.exec(&match flavor {
        Flavor::MariaDb => format!(
            "STOP SLAVE; CHANGE MASTER TO {}, IGNORE_DOMAIN_IDS=(7); \
             SET GLOBAL replicate_wild_ignore_table='scratch.%'; START SLAVE",
            common("MASTER")
        ),
        Flavor::MySql => format!(
            "SET GLOBAL super_read_only=0; SET sql_log_bin=0; CREATE USER applier@localhost; \
             GRANT ALL ON *.* TO applier@localhost; SET GLOBAL super_read_only=1; STOP REPLICA; \
             CHANGE REPLICATION SOURCE TO {}, SOURCE_RETRY_COUNT=77, SOURCE_BIND='127.0.0.1', \
             SOURCE_COMPRESSION_ALGORITHMS='zstd,uncompressed', SOURCE_ZSTD_COMPRESSION_LEVEL=5, \
             SOURCE_TLS_VERSION='TLSv1.2', GTID_ONLY=1, REQUIRE_ROW_FORMAT=1, \
             REQUIRE_TABLE_PRIMARY_KEY_CHECK=ON, PRIVILEGE_CHECKS_USER=applier@localhost, \
             GET_SOURCE_PUBLIC_KEY=0; \
             CHANGE REPLICATION FILTER REPLICATE_WILD_IGNORE_TABLE=('scratch.%'); START REPLICA",
            common("SOURCE")
        ),
    })
    .unwrap();
    if flavor == Flavor::MySql {
        let account = "SET sql_log_bin=0; CREATE USER applier@localhost; GRANT ALL ON *.* TO applier@localhost";
        p1.exec(account).unwrap();
    }
    replicates(r1);
}

fn replicates(server: &Server) {
    wait_until("it replicates", LIMIT, || server.is_replicating())
        .unwrap_or_else(|error| panic!("{error}: {:?}", server.replica_status()));
}

/// Every option that a server shows of its only channel.
fn shown(server: &Server, whose: fn(&str) -> bool) -> Vec<String> {
    let mut queries = vec![match server.flavor() {
        Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
        Flavor::MySql => "SHOW REPLICA STATUS",
    }];
    if server.flavor() == Flavor::MySql {
        queries.push("SELECT * FROM performance_schema.replication_connection_configuration");
        queries.push("SELECT * FROM performance_schema.replication_applier_configuration");
    }
    let mut all = Vec::new();
    for query in queries {
        let rows = server.query(query).unwrap();
        let columns = rows[0].columns().to_vec();
        let wanted = columns.iter().filter(|name| whose(name));
        all.extend(wanted.map(|name| format!("{name}: {:?}", rows[0].get(name))));
    }
    all
}

fn of_the_link(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    let parts = [
        "ssl",
        "tls",
        "compression",
        "retry",
        "heartbeat_p",
        "heartbeat_i",
    ];
    let names = [
        "privilege_checks_user",
        "require_",
        "gtid_only",
        "public_key",
    ];
    parts.iter().chain(&names).any(|part| column.contains(part)) && column != "retried_transactions"
}

fn of_anything(column: &str) -> bool {
    let own = [
        "SQL_Delay",
        "DESIRED_DELAY",
        "Source_Bind",
        "NETWORK_INTERFACE",
    ];
    of_the_link(column) || own.contains(&column) || column.starts_with("Replicate_")
}

async fn session(servers: &MysqlServers, server: &Server) -> Session {
    let mut session = servers.act(&address(server), LOCK, LIMIT).await.unwrap();
    session.read(LIMIT).await.unwrap();
    session
}

fn point(at: &Server) -> ServerCommand {
    ServerCommand::PointAt {
        channel: String::new(),
        source: address(at),
        start: true,
        configured_account: true,
    }
}

fn forget() -> ServerCommand {
    ServerCommand::ForgetReplication { channel: None }
}

async fn options_of_a_channel_survive(flavor: Flavor) {
    let sandbox = Sandbox::new("baton-links").unwrap();
    let certificates = Certificates::create(&sandbox).unwrap();
    let mut spec = TopologySpec::parse("p1\nr1 <- p1\nr2 <- p1").unwrap();
    for member in &mut spec.members {
        member.options.extra.extend(certificates.server_arguments());
    }
    let topology = sandbox.topology(flavor, &spec).unwrap();
    set_up(flavor, &topology, &certificates);
    let (p1, r1, r2) = (&topology["p1"], &topology["r1"], &topology["r2"]);
    let servers = MysqlServers::new(settings(), clock());
    let (mut old, mut new) = (session(&servers, p1).await, session(&servers, r1).await);

    // Another source: nothing but that changes.
    let before = shown(r1, of_anything);
    perform(new.as_mut(), point(r2)).await;
    replicates(r1);
    assert_eq!(shown(r1, of_anything), before);
    perform(new.as_mut(), point(p1)).await;
    replicates(r1);
    assert_eq!(shown(r1, of_anything), before);
    new.read(LIMIT).await.unwrap();

    // The two change places: the link is what it was, and the replica's own delay and filters are
    // not handed on.
    let link = shown(r1, of_the_link);
    perform(new.as_mut(), forget()).await;
    perform(old.as_mut(), point(r1)).await;
    replicates(p1);
    assert_eq!(shown(p1, of_the_link), link);
    let own = |column: &str| column == "SQL_Delay" || column == "Replicate_Wild_Ignore_Table";
    let none = [
        "SQL_Delay: Some(\"0\")",
        "Replicate_Wild_Ignore_Table: Some(\"\")",
    ];
    let mut told = shown(p1, own);
    told.sort_by_key(|text| !text.starts_with("SQL"));
    assert_eq!(told, none);

    // Nothing is known of any link: it is encrypted all the same, or as the configuration says.
    perform(old.as_mut(), forget()).await;
    drop(old);
    let strange = MysqlServers::new(settings(), clock());
    let mut old = session(&strange, p1).await;
    perform(old.as_mut(), point(r1)).await;
    replicates(p1);
    perform(old.as_mut(), forget()).await;
    drop(old);
    let mut configured = settings();
    configured.replication_tls = Some(ReplicationTls {
        mode: ReplicationTlsMode::VerifyCa,
        ca: Some(certificates.ca.display().to_string()),
        ca_path: None,
        cert: None,
        key: None,
        cipher: None,
        crl: None,
        versions: None,
    });
    let configured = MysqlServers::new(configured, clock());
    let mut old = session(&configured, p1).await;
    perform(old.as_mut(), point(r1)).await;
    replicates(p1);
    let ca = shown(p1, |column| column.ends_with("_SSL_CA_File"));
    assert!(ca[0].contains("ca.pem"), "{ca:?}");
}
