//! Each kind of failure is its own fact, and comes in time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail in any way"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_mysql::{MysqlServers, Settings, Tls};
use baton_ports::Servers as _;
use baton_sandbox::{Flavor, free_port};
use common::{LIMIT, address, clock, read, servers, settings, sketch};

on_both!(
    a_killed_server_is_noticed_at_once,
    a_frozen_server_times_out,
    a_clean_stop_is_noticed,
    a_killed_session_is_noticed,
    wrong_credentials,
    too_many_connections,
    an_account_without_rights,
    tls_modes,
);

/// Of a small number of seconds the tests wait for.
const SHORT: Duration = Duration::from_millis(600);
/// What does not wait for a longer limit takes less: by itself a probe waits so long for a server's
/// greeting.
const PROMPT: Duration = Duration::from_secs(2);

fn quick() -> MysqlServers {
    let mut settings = settings();
    settings.connect_timeout = Duration::from_millis(200);
    settings.handshake_timeout = Duration::from_millis(400);
    MysqlServers::new(settings, clock())
}

async fn failure(servers: &MysqlServers, address: &Address, limit: Duration) -> ProbeFailure {
    match servers.watch(address, limit).await {
        Ok(_) => panic!("{address} let us in"),
        Err(failure) => failure,
    }
}

fn local(port: u16) -> Address {
    Address::new("127.0.0.1", port).unwrap()
}

async fn a_killed_server_is_noticed_at_once(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = topology["p1"].clone();
    let mut watch = servers().watch(&address(&p1), LIMIT).await.unwrap();
    watch.read(Duration::ZERO, LIMIT).await.unwrap();
    let watching = tokio::spawn(async move {
        let outcome = watch.read(Duration::from_secs(10), LIMIT).await;
        (outcome, Instant::now())
    });
    baton_sandbox::wait_until("the server sleeps for us", LIMIT, || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP(3.3%'";
        Ok(p1.scalar(sql)? == "1")
    })
    .unwrap();
    let killed = p1.kill9().unwrap();
    let (outcome, noticed) = watching.await.unwrap();
    assert_eq!(outcome.unwrap_err(), ProbeFailure::Reset);
    let took = noticed.saturating_duration_since(killed);
    println!("{flavor}: killed server noticed after {took:?}");
    assert!(took < PROMPT, "{took:?}");
    assert_eq!(
        failure(&servers(), &address(&p1), LIMIT).await,
        ProbeFailure::Refused
    );
}

async fn a_frozen_server_times_out(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    let servers = quick();
    let mut watch = servers.watch(&address(p1), LIMIT).await.unwrap();
    watch.read(Duration::ZERO, LIMIT).await.unwrap();
    p1.freeze().unwrap();
    let begun = Instant::now();
    let outcome = watch
        .read(Duration::from_millis(100), Duration::from_millis(200))
        .await;
    assert_eq!(
        outcome.unwrap_err(),
        ProbeFailure::Timeout(TimeoutPhase::Statement)
    );
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < PROMPT,
        "{took:?}"
    );
    let begun = Instant::now();
    let outcome = failure(&servers, &address(p1), SHORT).await;
    assert_eq!(outcome, ProbeFailure::Timeout(TimeoutPhase::Handshake));
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    p1.thaw().unwrap();
    read(p1).await;
}

async fn a_clean_stop_is_noticed(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = topology["p1"].clone();
    let mut watch = servers().watch(&address(&p1), LIMIT).await.unwrap();
    let watching = tokio::spawn(async move { watch.read(Duration::from_mins(1), LIMIT).await });
    baton_sandbox::wait_until("the server sleeps for us", LIMIT, || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP(20%'";
        Ok(p1.scalar(sql)? == "1")
    })
    .unwrap();
    p1.stop().unwrap();
    let outcome = watching.await.unwrap().unwrap_err();
    println!("{flavor}: a clean stop is {outcome:?}");
    assert!(
        matches!(outcome, ProbeFailure::ShuttingDown | ProbeFailure::Reset),
        "{outcome:?}"
    );
}

async fn a_killed_session_is_noticed(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = topology["p1"].clone();
    let mut watch = servers().watch(&address(&p1), LIMIT).await.unwrap();
    let watching = tokio::spawn(async move { watch.read(Duration::from_mins(1), LIMIT).await });
    let sql = "SELECT ID FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP(20%'";
    baton_sandbox::wait_until("the server sleeps for us", LIMIT, || {
        Ok(!p1.query(sql)?.is_empty())
    })
    .unwrap();
    let id = p1.scalar(sql).unwrap();
    p1.exec(&format!("KILL {id}")).unwrap();
    assert_eq!(watching.await.unwrap().unwrap_err(), ProbeFailure::Reset);
}

async fn wrong_credentials(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let servers = MysqlServers::new(Settings::new("baton", "wrong"), clock());
    let outcome = failure(&servers, &address(&topology["p1"]), LIMIT).await;
    assert_eq!(outcome, ProbeFailure::Authentication { number: 1045 });
    assert!(outcome.shows_life());
}

async fn too_many_connections(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    // Without the right to the reserved connection. MariaDB takes no less than 10.
    p1.exec(
        "SET GLOBAL max_connections=10; CREATE USER few@'%' IDENTIFIED BY 'few'; \
             GRANT REPLICATION SLAVE, PROCESS ON *.* TO few@'%'",
    )
    .unwrap();
    let few = MysqlServers::new(Settings::new("few", "few"), clock());
    let mut held = Vec::new();
    let begun = Instant::now();
    let outcome = loop {
        match mysql_conn(p1.opts(baton_sandbox::Account::App)).await {
            Some(conn) => held.push(conn),
            None => break failure(&few, &address(p1), LIMIT).await,
        }
        assert!(begun.elapsed() < LIMIT && held.len() < 50, "never full");
    };
    assert_eq!(outcome, ProbeFailure::TooManyConnections);
}

async fn mysql_conn(opts: mysql_async::Opts) -> Option<mysql_async::Conn> {
    mysql_async::Conn::new(opts).await.ok()
}

async fn an_account_without_rights(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    p1.exec("CREATE USER poor@'%' IDENTIFIED BY 'poor'")
        .unwrap();
    let servers = MysqlServers::new(Settings::new("poor", "poor"), clock());
    assert_eq!(
        failure(&servers, &address(p1), LIMIT).await,
        ProbeFailure::Statement { number: 1227 }
    );
}

async fn tls_modes(flavor: Flavor) {
    let (_sandbox, topology) = sketch(flavor, "p1");
    let p1 = &topology["p1"];
    let with = |tls: Tls| MysqlServers::new(Settings { tls, ..settings() }, clock());
    let required = with(Tls::Required {
        ca: None,
        verify_host: false,
    });
    // MySQL makes itself a certificate, MariaDB 10.11 does not.
    match (flavor, required.watch(&address(p1), LIMIT).await) {
        (Flavor::MySql, Ok(mut watch)) => {
            watch.read(Duration::ZERO, LIMIT).await.unwrap();
            let ca = p1.datadir().join("ca.pem");
            // Its certificate is signed by that one, but names no host.
            let verified = with(Tls::Required {
                ca: Some(ca),
                verify_host: true,
            });
            assert_eq!(
                failure(&verified, &address(p1), LIMIT).await,
                ProbeFailure::Tls
            );
        }
        (Flavor::MariaDb, Err(failure)) => assert_eq!(failure, ProbeFailure::Tls),
        (flavor, outcome) => panic!("{flavor}: {:?}", outcome.err()),
    }
    let mut watch = with(Tls::Preferred)
        .watch(&address(p1), LIMIT)
        .await
        .unwrap();
    watch.read(Duration::ZERO, LIMIT).await.unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let port = free_port().unwrap();
    assert_eq!(
        failure(&quick(), &local(port), LIMIT).await,
        ProbeFailure::Refused
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let address = Address::new("no-such-host.invalid", 3306).unwrap();
    assert_eq!(failure(&quick(), &address, LIMIT).await, ProbeFailure::Dns);
    assert!(quick().resolve("no-such-host.invalid").await.is_empty());
    assert_eq!(quick().resolve("127.0.0.1").await, ["127.0.0.1"]);
    assert!(
        quick()
            .resolve("localhost")
            .await
            .iter()
            .any(|ip| ip == "127.0.0.1" || ip == "::1")
    );
}

#[tokio::test]
async fn a_port_that_accepts_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = local(listener.local_addr().unwrap().port());
    let begun = Instant::now();
    let outcome = failure(&quick(), &address, SHORT).await;
    assert_eq!(outcome, ProbeFailure::Timeout(TimeoutPhase::Handshake));
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn packets_that_vanish() {
    // A full backlog: the kernel drops what comes, as a black hole would.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let at = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(at),
    )
    .await
    {
        held.push(stream);
        assert!(held.len() < 100, "the backlog never fills");
    }
    let outcome = failure(&quick(), &local(at.port()), SHORT).await;
    assert_eq!(outcome, ProbeFailure::Timeout(TimeoutPhase::Connect));
}

/// Serves each connection with `answer`, called with the bytes that came first if `listens`.
fn impostor(listens: bool, answer: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut first = [0_u8; 4];
                if !listens || stream.read_exact(&mut first).is_ok() {
                    // The other side may be gone already.
                    let _written = stream.write_all(answer);
                    let mut rest = Vec::new();
                    let _read = stream.read_to_end(&mut rest);
                }
            });
        }
    });
    local(port)
}

#[tokio::test]
async fn an_http_port() {
    let address = impostor(true, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(
        failure(&quick(), &address, SHORT).await,
        ProbeFailure::NotMysql
    );
}

#[tokio::test]
async fn garbage() {
    let wrong = ProbeFailure::NotMysql;
    // What ends too early cannot be told from a connection that does.
    let cut = ProbeFailure::Reset;
    let cases: [(&'static [u8], &ProbeFailure); 6] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n", &wrong),
        (b"220 mail.example ESMTP\r\n", &wrong),
        (b"\x01\x00\x00\x00\x0a", &wrong),
        (b"\x02\x00\x00\x00\xff\x00", &cut),
        (b"\x04\x00\x00\x07\x0a\x39\x00\x00", &wrong),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", &cut),
    ];
    for (case, fact) in cases {
        let address = impostor(false, case);
        let begun = Instant::now();
        assert_eq!(&failure(&quick(), &address, SHORT).await, fact, "{case:?}");
        assert!(begun.elapsed() < PROMPT, "{case:?}: {:?}", begun.elapsed());
    }
}
