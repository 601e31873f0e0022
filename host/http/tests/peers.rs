//! Two nodes on loopback ports: what one tells the other, and how its end shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_core::ids::NodeName;
use baton_core::policy::Reach;
use baton_http::{HttpPeers, HttpSettings, UrlPrefix};
use baton_ports::{PeerFailure, PeerReport, Peers};
use fixture::Fixture;
use fixture::process::{Process, on_own_runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(40);

fn peers() -> Arc<HttpPeers> {
    Arc::new(HttpPeers::new(&[], UrlPrefix::default()).unwrap())
}

/// Asks and keeps the question waiting; gives the answer, and when it came.
async fn kept_waiting(
    peers: &Arc<HttpPeers>,
    url: &str,
    fixture: &Arc<Fixture>,
) -> tokio::task::JoinHandle<(Result<PeerReport, PeerFailure>, Instant)> {
    peers.report(url, Duration::ZERO, LIMIT).await.unwrap();
    let (peers, url) = (Arc::clone(peers), url.to_owned());
    let waits = fixture.0.lock().unwrap().waits;
    let asked = tokio::spawn(async move {
        let answer = peers.report(&url, LONG, LIMIT).await;
        (answer, Instant::now())
    });
    while fixture.0.lock().unwrap().waits == waits {
        tokio::task::yield_now().await;
    }
    asked
}

#[test]
fn a_report_comes_over_as_it_is() {
    use baton_control::Control;
    let fixture = Fixture::usual();
    let node = Process::start(&fixture, HttpSettings::default());
    let report = on_own_runtime(async { peers().report(&node.url(), Duration::ZERO, LIMIT).await });
    assert_eq!(report, Ok(fixture.peer_report()));
}

#[test]
fn a_change_is_told_at_once_and_only_once() {
    let fixture = Fixture::usual();
    let node = Process::start(&fixture, HttpSettings::default());
    on_own_runtime(async {
        let peers = peers();
        let asked = kept_waiting(&peers, &node.url(), &fixture).await;
        let changed = Instant::now();
        fixture.set(|state| state.leads = false);
        let (answer, answered) = asked.await.unwrap();
        let report = answer.unwrap();
        assert!(!report.acts);
        assert_eq!(report.leader, Some(NodeName::new("baton-2")));
        assert!(answered - changed < LIMIT);

        let short = Duration::from_millis(60);
        let asked = Instant::now();
        peers.report(&node.url(), short, LIMIT).await.unwrap();
        assert!(
            asked.elapsed() >= short,
            "the same report was told as if it were new"
        );
    });
}

#[test]
fn the_end_of_a_process_shows_at_once() {
    let fixture = Fixture::usual();
    let mut node = Process::start(&fixture, HttpSettings::default());
    on_own_runtime(async {
        let peers = peers();
        let asked = kept_waiting(&peers, &node.url(), &fixture).await;
        let killed = Instant::now();
        node.kill();
        let (answer, answered) = asked.await.unwrap();
        assert_eq!(answer, Err(PeerFailure::Gone));
        assert!(answered - killed < LIMIT);
        // And still, when asked anew.
        let again = peers.report(&node.url(), Duration::ZERO, LIMIT).await;
        assert_eq!(again, Err(PeerFailure::Gone));
    });
}

#[test]
fn a_lost_connection_is_no_lost_process() {
    let fixture = Fixture::usual();
    let node = Process::start(&fixture, HttpSettings::default());
    on_own_runtime(async {
        // Something between the nodes that drops the first connection in the middle of a question,
        // and passes the others on.
        let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", between.local_addr().unwrap());
        let target = node.address;
        let passing = tokio::spawn(async move {
            let (mut first, _) = between.accept().await.unwrap();
            let _ = first.read(&mut [0; 1024]).await.unwrap();
            drop(first);
            let (mut client, _) = between.accept().await.unwrap();
            let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
            // Either side may hang up first.
            drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
        });
        let answer = peers().report(&url, LONG, LIMIT).await;
        assert!(answer.is_ok(), "{answer:?}");
        passing.abort();
    });
}

#[test]
fn silence_and_strange_answers_are_told_apart() {
    on_own_runtime(async {
        let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", mute.local_addr().unwrap());
        let limit = Duration::from_millis(50);
        let answer = peers().report(&url, Duration::ZERO, limit).await;
        assert_eq!(answer, Err(PeerFailure::Silent));

        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", other.local_addr().unwrap());
            let answering = tokio::spawn(async move {
                let (mut client, _) = other.accept().await.unwrap();
                let _ = client.read(&mut [0; 1024]).await.unwrap();
                client.write_all(text.as_bytes()).await.unwrap();
            });
            let answer = peers().report(&url, Duration::ZERO, LIMIT).await;
            assert_eq!(answer, Err(PeerFailure::Strange), "{text:?}");
            answering.await.unwrap();
        }
    });
}

#[test]
fn sightings_need_no_user_and_leave_out_what_is_not_watched() {
    let fixture = Fixture::usual();
    let settings = HttpSettings {
        read_only: true,
        users: vec![("ann".into(), "secret".into())],
        url_prefix: "/baton".parse().unwrap(),
    };
    let node = Process::start(&fixture, settings);
    on_own_runtime(async {
        let peers = HttpPeers::new(&[], "/baton".parse().unwrap()).unwrap();
        let asked = ["shop-1:3306".parse().unwrap(), "else:1".parse().unwrap()];
        let seen = peers.sightings(&node.url(), &asked, LIMIT).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].address.to_string(), "shop-1:3306");
        assert_eq!(seen[0].reach, Reach::Silent);
        assert_eq!(seen[0].answered_age, Some(Duration::from_millis(1500)));
        assert_eq!(seen[0].attempt_age, None);
        assert_eq!(seen[0].failures, 3);
    });
}
