//! Two servers, each an asynchronous replica of the other, one of them writable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{BackendOptions, READY_LIMIT, prepare_all};
use crate::wait::wait_until;
use crate::{Access, Channel, Flavor, Installation, Sandbox, SemiSync, Server, ServerOptions};

/// A source that is silent this long is gone; heartbeats come four times as often.
const RECEIVER_TIMEOUT_SECONDS: u32 = 4;
const HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pair {
    /// The node that [`Pair::start_all`] makes writable.
    active: AtomicUsize,
    semi_sync: Option<SemiSync>,
}

/// Whether the node answers and, if the other one runs, replicates from it.
pub(super) fn is_ready(servers: &[Server], server: &Server) -> Result<bool> {
    let is_alone = servers
        .iter()
        .filter(|other| other.name() != server.name())
        .all(|other| other.pid().is_none());
    if is_alone {
        return server.query("SELECT 1").map(|_| true);
    }
    server.is_replicating()
}

impl Pair {
    pub(super) fn prepare(
        sandbox: &Sandbox,
        flavor: Flavor,
        names: &[String],
        options: &BackendOptions,
    ) -> Result<(Self, Vec<Server>)> {
        let installation = Installation::find(flavor)?;
        let servers = prepare_all(sandbox, &installation, names, |index| {
            let name = names.get(index).context("a node without a name")?;
            let mut extra = arguments(flavor, index + 1);
            extra.extend(options.extra.iter().cloned());
            Ok(ServerOptions {
                access: Access::ReadOnly,
                host: options.host(name)?,
                semi_sync: options.semi_sync.clone(),
                extra,
                ..ServerOptions::default()
            })
        })?;
        let pair = Self {
            active: AtomicUsize::new(0),
            semi_sync: options.semi_sync.clone(),
        };
        Ok((pair, servers))
    }

    /// Starts what does not run; the node that was active last becomes writable again.
    pub(super) fn start_all(&self, servers: &[Server]) -> Result<()> {
        for server in servers.iter().filter(|server| server.pid().is_none()) {
            server.launch(&[])?;
        }
        for server in servers {
            server.require_answer(READY_LIMIT)?;
        }
        let sources = servers.iter().rev();
        for (server, source) in servers.iter().zip(sources) {
            if server.replica_status()?.is_empty() {
                let channel = Channel {
                    heartbeat: Some(HEARTBEAT),
                    ..Channel::default()
                };
                server.replicate_from(source, &channel)?;
            }
            wait_until(&format!("{server} replicates"), READY_LIMIT, || {
                server.is_replicating()
            })?;
        }
        self.activate(servers, self.active.load(Ordering::Relaxed))
    }

    pub(super) fn activate(&self, servers: &[Server], node: usize) -> Result<()> {
        let server = servers.get(node).context("no such node")?;
        if self.semi_sync.is_some() {
            // Only here: the passive node's applier would wait for acknowledgements too.
            server.exec(match server.flavor() {
                Flavor::MariaDb => "SET GLOBAL rpl_semi_sync_master_enabled = ON",
                Flavor::MySql => "SET GLOBAL rpl_semi_sync_source_enabled = ON",
            })?;
        }
        self.active.store(node, Ordering::Relaxed);
        server.exec(match server.flavor() {
            Flavor::MariaDb => "SET GLOBAL read_only = 0",
            Flavor::MySql => "SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0",
        })
    }
}

fn arguments(flavor: Flavor, number: usize) -> Vec<String> {
    let mut arguments = vec![
        "--auto-increment-increment=2".into(),
        format!("--auto-increment-offset={number}"),
        "--relay-log-recovery=ON".into(),
    ];
    match flavor {
        Flavor::MariaDb => arguments.extend([
            format!("--gtid-domain-id={number}"),
            format!("--slave-net-timeout={RECEIVER_TIMEOUT_SECONDS}"),
        ]),
        Flavor::MySql => {
            arguments.push(format!("--replica-net-timeout={RECEIVER_TIMEOUT_SECONDS}"));
        }
    }
    arguments
}
