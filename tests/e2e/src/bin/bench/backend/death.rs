//! The backend's active node is killed: how long until the next durable write.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_core::policy::backend::BackendKind as Kind;
use baton_e2e::rounds::{ROLES, create_roles_account};
use baton_sandbox::{
    BackendBed, BackendKind, BackendOptions, Haproxy, HealthCheck, Sandbox, first_available,
    free_port, wait_until,
};
use tokio::runtime::Runtime;

use super::client::{Client, prepare};
use super::{Options, print_line, print_title};

/// For writing to begin.
const START_LIMIT: Duration = Duration::from_secs(60);
/// For writing to go on; the slowest, a proxy with its usual checks, needs 8 s.
const LIMIT: Duration = Duration::from_secs(30);
/// What is written before the node dies, and after.
const STEADY: Duration = Duration::from_secs(2);

/// The clients of one run, in the order of [`NAMES`].
struct Clients(Vec<Option<Client>>);

const NAMES: [&str; 4] = [
    "Baton's store, its own watch and selection",
    "the same store through HAProxy first, inter 2s fall 3",
    "the same store through HAProxy first, inter 200ms fall 1",
    "the same store on a surviving node: the cluster's own stall",
];

pub(super) fn measure(options: &Options) -> Result<()> {
    let mut columns: [Vec<Option<f64>>; 4] = Default::default();
    for number in 1..=options.runs {
        let gaps = run(options.kind).with_context(|| format!("run {number}"))?;
        for (column, gap) in columns.iter_mut().zip(gaps) {
            column.extend(gap);
        }
    }
    print_title("active node killed, ms without a durable write");
    for (name, column) in NAMES.iter().zip(&columns) {
        if !column.is_empty() {
            print_line(name, column);
        }
    }
    Ok(())
}

/// The gap of each client, or nothing for one that does not take part.
fn run(kind: BackendKind) -> Result<Vec<Vec<Option<f64>>>> {
    let sandbox = Sandbox::new("bench-backend")?;
    let bed = sandbox.backend(kind, &BackendOptions::default())?;
    if let BackendKind::MasterMaster(flavor) = kind {
        create_roles_account(&bed, flavor)?;
    }
    if kind == BackendKind::GroupReplication {
        // The proxy knows nothing of who is elected: let it be the next in its order.
        bed[1].exec("SET GLOBAL group_replication_member_weight = 90")?;
    }
    let proxies = [
        proxy(&sandbox, "usual", &bed, &HealthCheck::usual())?,
        proxy(&sandbox, "fast", &bed, &HealthCheck::fast())?,
    ];
    let runtime = Runtime::new().context("start a runtime")?;
    let clients = Clients::start(&runtime, &bed, &proxies)?;
    clients.wait_after(Instant::now() + STEADY, START_LIMIT)?;
    let killed = bed[0].kill9()?;
    // One that never writes again is told as such.
    clients.wait_after(killed + LIMIT / 10, LIMIT).ok();
    let gap = |client: &Client| {
        let is_back = client.last().is_some_and(|last| last > killed);
        client.gap_after(killed).filter(|_| is_back)
    };
    let gaps = clients.0.iter().map(|client| client.iter().map(gap));
    Ok(gaps.map(Iterator::collect).collect())
}

impl Clients {
    fn start(runtime: &Runtime, bed: &BackendBed, proxies: &[Haproxy]) -> Result<Self> {
        let kind = Kind::from_word(bed.kind().config_name()).context("a kind of backend")?;
        prepare(runtime, kind, bed[0].address())?;
        let is_pair = kind == Kind::MasterMaster;
        let roles = is_pair.then_some(ROLES);
        let own = Client::on_nodes(runtime, kind, &bed.urls(), roles)?;
        let mut clients = vec![Some(own)];
        for proxy in proxies {
            clients.push(Some(Client::at(runtime, kind, proxy.address())));
        }
        // Elsewhere no other node takes writes.
        let is_multi = [Kind::Galera, Kind::Ndb].contains(&kind);
        clients.push(is_multi.then(|| Client::at(runtime, kind, bed[1].address())));
        Ok(Self(clients))
    }

    /// Waits until each has written after a moment.
    fn wait_after(&self, moment: Instant, limit: Duration) -> Result<()> {
        wait_until("every client writes", limit, || {
            let mut clients = self.0.iter().flatten();
            Ok(clients.all(|client| client.last().is_some_and(|last| last > moment)))
        })
        .map(drop)
    }
}

fn proxy(sandbox: &Sandbox, name: &str, bed: &BackendBed, check: &HealthCheck) -> Result<Haproxy> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let servers: Vec<(&str, SocketAddr)> = bed
        .nodes()
        .iter()
        .map(|server| (server.name(), server.address()))
        .collect();
    let config = first_available(listen, &servers, check);
    Haproxy::start(sandbox, &format!("proxy-{name}"), &config, listen, None)
}
