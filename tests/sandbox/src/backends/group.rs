//! Three members of MySQL Group Replication, in single-primary mode.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};

use super::{BackendOptions, READY_LIMIT, Timers, at_once, prepare_all};
use crate::{Account, Flavor, Installation, Sandbox, Server, ServerOptions, free_port};

/// The port for the group's own messages on a host.
const GROUP_PORT: u16 = 33061;

/// At a restart, a member is read-only from its first moment on and joins by itself.
const JOIN_BY_ITSELF: &str = "--group-replication-start-on-boot=ON";

#[derive(Debug)]
pub(super) struct Group;

/// Starts a member that was in the group before.
pub(super) fn launch(server: &Server) -> Result<()> {
    server.launch(&[JOIN_BY_ITSELF])
}

/// Whether the member is online; one that could not join is told to try again.
pub(super) fn is_ready(server: &Server) -> Result<bool> {
    match own_state(server)?.as_str() {
        "ONLINE" => Ok(true),
        "OFFLINE" | "ERROR" => {
            // Refused while the last attempt has not ended; the next look tries again.
            server
                .query_within("START GROUP_REPLICATION", READY_LIMIT)
                .ok();
            Ok(own_state(server)? == "ONLINE")
        }
        _ => Ok(false),
    }
}

impl Group {
    pub(super) fn prepare(
        sandbox: &Sandbox,
        names: &[String],
        options: &BackendOptions,
    ) -> Result<(Self, Vec<Server>)> {
        let installation = Installation::find(Flavor::MySql)?;
        let hosts = names
            .iter()
            .map(|name| options.host(name))
            .collect::<Result<Vec<_>>>()?;
        let mut members = Vec::new();
        for host in &hosts {
            members.push(match host {
                Some(host) => SocketAddr::from((host.address(), GROUP_PORT)),
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            });
        }
        let seeds: Vec<String> = members.iter().map(ToString::to_string).collect();
        let seeds = seeds.join(",");
        let servers = prepare_all(sandbox, &installation, names, |index| {
            let (host, own) = hosts
                .get(index)
                .zip(members.get(index))
                .context("a member without a place")?;
            Ok(ServerOptions {
                host: host.clone(),
                extra: arguments(*own, &seeds, options),
                ..ServerOptions::default()
            })
        })?;
        Ok((Self, servers))
    }

    /// The first start, or the one after a loss of all members: the one that executed most
    /// begins, which only a person may decide in earnest, and the others join it.
    pub(super) fn start_all(&self, servers: &[Server]) -> Result<()> {
        let mut missing: Vec<&Server> = servers.iter().filter(|s| s.pid().is_none()).collect();
        if missing.len() < servers.len() {
            return missing.into_iter().try_for_each(launch);
        }
        for server in &missing {
            server.launch(&[])?;
        }
        for server in &missing {
            server.require_answer(READY_LIMIT)?;
            set_credentials(server)?;
        }
        let first = find_most_advanced(servers)?;
        first.exec(
            "SET GLOBAL group_replication_bootstrap_group = ON; START GROUP_REPLICATION; \
             SET GLOBAL group_replication_bootstrap_group = OFF",
        )?;
        missing.retain(|server| server.name() != first.name());
        at_once(&missing, |server| join(server))
    }
}

fn join(server: &Server) -> Result<()> {
    server
        .query_within("START GROUP_REPLICATION", READY_LIMIT)
        .map(drop)
}

/// Those with which a member reads from another what it lacks.
fn set_credentials(server: &Server) -> Result<()> {
    let account = Account::Repl.name();
    server.exec(&format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_USER='{account}', SOURCE_PASSWORD='{account}' \
         FOR CHANNEL 'group_replication_recovery'"
    ))
}

/// The one that has all that any other has. If there is none, members wrote on their own, and
/// whoever began would make the others differ.
fn find_most_advanced(servers: &[Server]) -> Result<&Server> {
    let sets = servers.iter().map(Server::executed);
    let sets = sets.collect::<Result<Vec<_>>>()?;
    for (server, own) in servers.iter().zip(&sets) {
        let mut has_all = true;
        for other in &sets {
            let subset = format!("SELECT GTID_SUBSET('{other}', '{own}')");
            has_all &= server.scalar(&subset)? == "1";
        }
        if has_all {
            return Ok(server);
        }
    }
    bail!("each member has what another lacks: {sets:?}")
}

fn own_state(server: &Server) -> Result<String> {
    let rows = server.query(
        "SELECT MEMBER_STATE FROM performance_schema.replication_group_members \
         WHERE MEMBER_ID = @@server_uuid OR MEMBER_STATE = 'OFFLINE'",
    )?;
    ensure!(rows.len() < 2, "{server} shows itself twice");
    let state = rows.first().and_then(|row| row.at(0)).unwrap_or("OFFLINE");
    Ok(state.to_owned())
}

fn arguments(own: SocketAddr, seeds: &str, options: &BackendOptions) -> Vec<String> {
    let mut arguments: Vec<String> = FIXED.iter().map(ToString::to_string).collect();
    arguments.extend([
        format!("--group-replication-local-address={own}"),
        format!("--group-replication-group-seeds={seeds}"),
    ]);
    match options.timers {
        Timers::Fast => arguments.extend(FAST.iter().map(ToString::to_string)),
        Timers::AsShipped => {}
    }
    arguments.extend(options.extra.iter().cloned());
    arguments
}

const FIXED: &[&str] = &[
    "--plugin-load-add=group_replication.so",
    "--group-replication-group-name=ba700000-0000-4000-8000-000000000001",
    "--group-replication-ip-allowlist=127.0.0.0/8,10.213.0.0/24",
    "--group-replication-start-on-boot=OFF",
    "--group-replication-recovery-get-public-key=ON",
    "--group-replication-ssl-mode=DISABLED",
    // Members keep certified transactions in memory; a gigabyte by default.
    "--group-replication-message-cache-size=134217728",
];

/// Expels a silent member as soon as it is noticed, and ends a minority's hanging writes.
const FAST: &[&str] = &[
    "--group-replication-member-expel-timeout=0",
    "--group-replication-unreachable-majority-timeout=3",
];
