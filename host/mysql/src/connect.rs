//! Opening a connection, with each phase's failure told apart.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use futures::FutureExt as _;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::failure::{Stage, probe_failure};
use crate::session::Session;
use crate::settings::{Settings, Tls};

/// Largest packet we take; a GTID set with many gaps can be long.
const PACKET_MAX: usize = 64 * 1024 * 1024;
/// How long a port that never greeted may take to show that it speaks something else.
const STRANGER_LIMIT: Duration = Duration::from_millis(200);
/// A request that every HTTP server answers and that means nothing to a MySQL server.
const STRANGER_QUESTION: &[u8] = b"HEAD / HTTP/1.0\r\n\r\n";

/// Whether something at the address has ever spoken the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    /// Yes: a silent port is a hung server.
    Known,
    /// No: a silent port may as well be something else, and is asked.
    Stranger,
}

/// Opens a connection within `limit`.
///
/// Dropped midway it leaves nothing behind.
pub(crate) async fn open(
    settings: &Settings,
    address: &Address,
    acquaintance: Acquaintance,
    limit: Duration,
) -> Result<Session, ProbeFailure> {
    let deadline = Instant::now() + limit;
    let connect_limit = settings.connect_timeout.min(limit);
    let addresses = resolve(address, connect_limit).await?;
    let attempt = Attempt {
        addresses,
        acquaintance,
        connect_limit,
        deadline,
        handshake: settings.handshake_timeout,
    };
    let plain = options(settings, address, &attempt.addresses);
    let Some(tls) = tls(&settings.tls) else {
        return attempt
            .run(plain, Stage::Connecting)
            .await
            .map_err(Refusal::into_failure);
    };
    let encrypted = plain.clone().ssl_opts(tls);
    match attempt.run(encrypted, Stage::ConnectingTls).await {
        Err(Refusal::NoTls) if settings.tls == Tls::Preferred => attempt
            .run(plain, Stage::Connecting)
            .await
            .map_err(Refusal::into_failure),
        result => result.map_err(Refusal::into_failure),
    }
}

async fn resolve(address: &Address, limit: Duration) -> Result<Vec<SocketAddr>, ProbeFailure> {
    match timeout(limit, lookup_host((address.host.as_str(), address.port))).await {
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                Err(ProbeFailure::Dns)
            } else {
                Ok(found)
            }
        }
        Ok(Err(_)) | Err(_) => Err(ProbeFailure::Dns),
    }
}

fn options(settings: &Settings, address: &Address, addresses: &[SocketAddr]) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(address.host.clone())
        .tcp_port(address.port)
        .resolved_ips(Some(
            addresses.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
        ))
        .user(Some(settings.account.user.clone()))
        .pass(Some(settings.account.password.reveal()))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .stmt_cache_size(0)
        // Given here, they need not be asked from the server: one round trip less.
        .max_allowed_packet(Some(PACKET_MAX))
        .wait_timeout(Some(28_800))
}

fn tls(tls: &Tls) -> Option<SslOpts> {
    match tls {
        Tls::Off => None,
        Tls::Preferred | Tls::Required { ca: None, .. } => Some(
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        Tls::Required {
            ca: Some(ca),
            verify_host,
        } => Some(
            SslOpts::default()
                .with_root_certs(vec![ca.clone().into()])
                .with_disable_built_in_roots(true)
                .with_danger_skip_domain_validation(!verify_host),
        ),
    }
}

/// Why there is no connection.
enum Refusal {
    /// The server cannot encrypt.
    NoTls,
    /// Anything else.
    Failure(ProbeFailure),
}

impl Refusal {
    fn into_failure(self) -> ProbeFailure {
        match self {
            Self::NoTls => ProbeFailure::Tls,
            Self::Failure(failure) => failure,
        }
    }
}

struct Attempt {
    addresses: Vec<SocketAddr>,
    acquaintance: Acquaintance,
    connect_limit: Duration,
    handshake: Duration,
    deadline: Instant,
}

impl Attempt {
    /// Connects. The library hides when TCP is established, and a connection of our own before each
    /// attempt would count against us at the server (`max_connect_errors`). So only an attempt that
    /// takes too long is looked into.
    async fn run(&self, options: OptsBuilder, stage: Stage) -> Result<Session, Refusal> {
        let mut connecting =
            std::pin::pin!(AssertUnwindSafe(Conn::new(Opts::from(options))).catch_unwind());
        let started = Instant::now();
        let tcp_deadline =
            (started + self.connect_limit).min(started + (self.deadline - started) / 2);
        if let Ok(done) = timeout_at(tcp_deadline, &mut connecting).await {
            return finish(done, stage);
        }
        let end = self.deadline.min(tcp_deadline + self.handshake);
        let mut stream = tokio::select! {
            done = &mut connecting => return finish(done, stage),
            stream = tcp(&self.addresses, end.min(tcp_deadline + self.connect_limit)) => stream.map_err(Refusal::Failure)?,
        };
        let patience = match self.acquaintance {
            Acquaintance::Known => end,
            Acquaintance::Stranger => end.checked_sub(STRANGER_LIMIT).unwrap_or(end),
        };
        match timeout_at(patience, &mut connecting).await {
            Ok(done) => finish(done, stage),
            Err(_) => Err(Refusal::Failure(self.silence(&mut stream, end).await)),
        }
    }

    /// What a port is that accepted a connection and completed no handshake.
    async fn silence(&self, stream: &mut TcpStream, end: Instant) -> ProbeFailure {
        let silent = ProbeFailure::Timeout(TimeoutPhase::Handshake);
        if self.acquaintance == Acquaintance::Known {
            return silent;
        }
        let mut answer = [0_u8; 5];
        let asked = async {
            stream.write_all(STRANGER_QUESTION).await?;
            stream.read_exact(&mut answer).await
        };
        match timeout_at(end, asked).await {
            // A greeting of protocol version 10, or an error packet: the real thing, but slow.
            Ok(Ok(_)) if matches!(answer, [.., 0, 10 | 0xff]) => silent,
            Ok(Ok(_)) => ProbeFailure::NotMysql,
            Ok(Err(_)) | Err(_) => silent,
        }
    }
}

async fn tcp(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ProbeFailure> {
    match timeout_at(deadline, TcpStream::connect(addresses)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(probe_failure(&Error::from(error), Stage::Connecting)),
        Err(_) => Err(ProbeFailure::Timeout(TimeoutPhase::Connect)),
    }
}

fn finish<P>(done: Result<Result<Conn, Error>, P>, stage: Stage) -> Result<Session, Refusal> {
    match done {
        Ok(Ok(conn)) => Ok(Session::new(conn)),
        Ok(Err(Error::Driver(DriverError::NoClientSslFlagFromServer))) => Err(Refusal::NoTls),
        Ok(Err(error)) => Err(Refusal::Failure(probe_failure(&error, stage))),
        // The library ran into something that no server should send.
        Err(_panic) => Err(Refusal::Failure(ProbeFailure::NotMysql)),
    }
}

/// The addresses of a host name as IP literals; empty if there are none.
pub(crate) async fn literals(host: &str, limit: Duration) -> Vec<String> {
    let found: io::Result<Vec<SocketAddr>> = match timeout(limit, lookup_host((host, 0))).await {
        Ok(found) => found.map(Iterator::collect),
        Err(_) => Ok(Vec::new()),
    };
    let mut texts: Vec<_> = found
        .unwrap_or_default()
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    texts.sort();
    texts.dedup();
    texts
}
