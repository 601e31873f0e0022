//! Three nodes of MariaDB with Galera.
//!
//! The first start takes one second instead of the seven that a bootstrap and two joins take:
//! the three copies of one data directory are given the saved state of a cluster in which
//! all three were members at the same position (`grastate.dat`, and the view in
//! `gvwstate.dat`). Started together they find each other, see that nobody lacks anything
//! and form the cluster again, as after a power cut (Galera documentation, `pc.recovery`).

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{BackendOptions, READY_LIMIT, Timers, prepare_all};
use crate::installation::find_program;
use crate::wait::wait_until;
use crate::{Flavor, Host, Installation, Sandbox, Server, ServerOptions, free_port};

/// The package `galera-4` puts it here.
const LIBRARY: &str = "/usr/lib/galera/libgalera_smm.so";

/// Evicts a silent node after a second. All nodes of a cluster need the same.
const FAST: &str = "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.1S;\
    evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S;evs.install_timeout=PT1.5S;\
    evs.join_retrans_period=PT0.2S;evs.delay_margin=PT0.5S;gmcast.peer_timeout=PT1S;\
    pc.announce_timeout=PT1S";

/// The position at which all nodes begin.
const FIRST_POSITION: u64 = 1;

#[derive(Debug)]
pub(super) struct Galera {
    installation: Installation,
}

/// Where one node listens besides SQL.
struct Place {
    host: Option<Host>,
    group: SocketAddr,
    incremental: SocketAddr,
    full: SocketAddr,
}

/// What a node's `grastate.dat` says.
struct SavedState {
    position: i64,
    is_safe_to_bootstrap: bool,
}

/// What it takes to run Galera.
pub(super) fn find() -> Result<Installation> {
    ensure!(Path::new(LIBRARY).exists(), "no {LIBRARY}");
    // State transfers call them.
    find_program("BATON_RSYNC", "rsync")?;
    Installation::find(Flavor::MariaDb).map(Installation::unprivileged)
}

/// Whether the node is synced with a primary component.
pub(super) fn is_ready(server: &Server) -> Result<bool> {
    let rows = server.query(
        "SHOW GLOBAL STATUS WHERE Variable_name IN \
         ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state')",
    )?;
    let has = |name: &str, value: &str| {
        rows.iter()
            .any(|row| row.at(0) == Some(name) && row.at(1) == Some(value))
    };
    Ok(has("wsrep_ready", "ON")
        && has("wsrep_cluster_status", "Primary")
        && has("wsrep_local_state", "4"))
}

impl Galera {
    pub(super) fn prepare(
        sandbox: &Sandbox,
        names: &[String],
        options: &BackendOptions,
    ) -> Result<(Self, Vec<Server>)> {
        let installation = find()?;
        let places = names
            .iter()
            .map(|name| Place::find(options.host(name)?))
            .collect::<Result<Vec<_>>>()?;
        let members: Vec<String> = places.iter().map(|place| place.group.to_string()).collect();
        let cluster = members.join(",");
        let servers = prepare_all(sandbox, &installation, names, |index| {
            let (place, name) = places
                .get(index)
                .zip(names.get(index))
                .context("a node without a place")?;
            Ok(ServerOptions {
                host: place.host.clone(),
                extra: place.arguments(name, &cluster, options),
                ..ServerOptions::default()
            })
        })?;
        let galera = Self { installation };
        galera.write_first_states(&servers)?;
        Ok((galera, servers))
    }

    /// Starts a node with the position it had, which a crash leaves in its tables only: a
    /// node that starts without takes a full transfer, or, if all do, the cluster forgets
    /// who has what.
    pub(super) fn launch(&self, server: &Server) -> Result<()> {
        if SavedState::read(server)?.position >= 0 {
            return server.launch(&[]);
        }
        let position = recover_position(server)?;
        self.installation.hand_over(&server.datadir())?;
        server.launch(&[&format!("--wsrep-start-position={position}")])
    }

    pub(super) fn start_all(&self, servers: &[Server]) -> Result<()> {
        let mut missing = Vec::new();
        for server in servers.iter().filter(|server| server.pid().is_none()) {
            missing.push((server, SavedState::read(server)?));
        }
        let is_lost = missing.len() == servers.len();
        // After clean stops the last one has nobody to find, and says so itself.
        let last = missing
            .iter()
            .position(|(_, state)| is_lost && state.is_safe_to_bootstrap);
        let Some(last) = last else {
            // Together: after a crash they wait for each other.
            return missing
                .iter()
                .try_for_each(|(server, _)| self.launch(server));
        };
        let (first, _) = missing.swap_remove(last);
        first.launch(&["--wsrep-new-cluster"])?;
        wait_synced(first)?;
        for (server, _) in missing {
            self.launch(server)?;
            wait_synced(server)?;
        }
        Ok(())
    }

    /// Makes the copies of a fresh data directory look like members of one cluster that
    /// ended together.
    fn write_first_states(&self, servers: &[Server]) -> Result<()> {
        let cluster = random_uuid();
        let members: Vec<String> = servers.iter().map(|_| random_uuid()).collect();
        let view = members.iter().min().context("a cluster without members")?;
        let list: Vec<String> = members
            .iter()
            .map(|member| format!("member: {member} 0\n"))
            .collect();
        let list = list.concat();
        for (server, own) in servers.iter().zip(&members) {
            let view = format!(
                "my_uuid: {own}\n#vwbeg\nview_id: 3 {view} 1\nbootstrap: 0\n{list}#vwend\n"
            );
            let state = format!(
                "# GALERA saved state\nversion: 2.1\nuuid:    {cluster}\n\
                 seqno:   {FIRST_POSITION}\nsafe_to_bootstrap: 0\n"
            );
            write(&server.datadir().join("gvwstate.dat"), &view)?;
            write(&state_path(server), &state)?;
            self.installation.hand_over(&server.datadir())?;
        }
        Ok(())
    }
}

impl Place {
    /// On a host the usual ports, on this machine free ones.
    fn find(host: Option<Host>) -> Result<Self> {
        let address = |usual: u16| match &host {
            Some(host) => Ok(SocketAddr::from((host.address(), usual))),
            None => free_port().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        };
        let (group, incremental, full) = (address(4567)?, address(4568)?, address(4444)?);
        Ok(Self {
            host,
            group,
            incremental,
            full,
        })
    }

    fn arguments(&self, name: &str, cluster: &str, options: &BackendOptions) -> Vec<String> {
        let Self {
            group,
            incremental,
            full,
            ..
        } = self;
        let timers = match options.timers {
            Timers::Fast => FAST,
            Timers::AsShipped => "",
        };
        let mut arguments: Vec<String> = FIXED.iter().map(ToString::to_string).collect();
        arguments.extend([
            format!("--wsrep-provider={LIBRARY}"),
            format!("--wsrep-node-name={name}"),
            format!("--wsrep-cluster-address=gcomm://{cluster}"),
            format!("--wsrep-node-address={group}"),
            format!("--wsrep-sst-receive-address={full}"),
            format!(
                "--wsrep-provider-options=gcache.size=16M;gmcast.listen_addr=tcp://{group};\
                 ist.recv_addr={incremental};{timers}"
            ),
        ]);
        arguments.extend(options.extra.iter().cloned());
        arguments
    }
}

/// No binary log: a cluster needs none, and its own numbers stay out of the way.
const FIXED: &[&str] = &[
    "--skip-log-bin",
    "--gtid-strict-mode=OFF",
    "--default-storage-engine=InnoDB",
    "--innodb-autoinc-lock-mode=2",
    "--wsrep-on=ON",
    "--wsrep-cluster-name=baton",
    "--wsrep-sst-method=rsync",
];

impl SavedState {
    fn read(server: &Server) -> Result<Self> {
        let path = state_path(server);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let position = value("seqno:").and_then(|value| value.trim().parse().ok());
        Ok(Self {
            position: position.with_context(|| format!("no position in {}", path.display()))?,
            is_safe_to_bootstrap: value("safe_to_bootstrap:").map(str::trim) == Some("1"),
        })
    }
}

/// Asks the server's tables which transactions they have; takes a third of a second.
fn recover_position(server: &Server) -> Result<String> {
    let mut command = server.command(&["--wsrep-cluster-address=gcomm://", "--wsrep-recover"]);
    let output = command.output().context("recover a position")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let found = told
        .lines()
        .find_map(|line| line.split_once("Recovered position: "));
    let Some((_, rest)) = found else {
        bail!("{server} told no position:\n{told}");
    };
    let position = rest.split(',').next().unwrap_or(rest).trim();
    Ok(position.to_owned())
}

fn wait_synced(server: &Server) -> Result<()> {
    wait_until(&format!("{server} is synced"), READY_LIMIT, || {
        server.require_running()?;
        is_ready(server)
    })
    .map(drop)
}

fn state_path(server: &Server) -> PathBuf {
    server.datadir().join("grastate.dat")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// The form of version 1, as Galera's own.
fn random_uuid() -> String {
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-11f1-{:04x}-{:012x}",
        high >> 32,
        high & 0xffff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
