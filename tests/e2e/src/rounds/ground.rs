//! What a row of rounds is played on.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use baton_sandbox::{
    BackendBed, BackendKind, BackendOptions, Flavor, Host, Network, Sandbox, SemiSync, Server,
    Topology, TopologySpec, Writer, WriterOptions, wait_until,
};
use serde_json::{Value, json};

use crate::{Fleet, FleetOptions, Member, word};

/// For everything to be in order again; a node of NDB takes 20 s to come back.
pub(super) const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Longer than a woken node believes that it still takes part (1.5 s seen on Galera).
const WHOLE_FOR: Duration = Duration::from_secs(2);

/// The account that changes roles on a pair.
pub const ROLES: &str = "roles";

/// Added to the section of a pair. A shorter patience than the default, for shorter rounds.
const PAIR: &str = "promote_after = \"2s\"\nadmin_user = \"roles\"\nadmin_password = \"roles\"\n";

/// How the nodes are configured besides what all fleets are: failovers may follow each other.
const CONFIG: &str = "[policy.failover.settings]\ncooldown-ms = 0\n";

/// Three nodes on a backend, a managed cluster of three servers, all on hosts of a network.
#[derive(Debug)]
pub struct Ground {
    /// The nodes.
    pub fleet: Fleet,
    /// The managed cluster: `p1`, `r1`, `r2`, of which any may be the primary.
    pub topology: Topology,
    /// Where the nodes keep their state.
    pub backend: BackendBed,
    /// Owner of everything.
    pub sandbox: Sandbox,
    network: Network,
    client: Host,
}

impl Ground {
    /// Starts all of it and waits until it is in order.
    ///
    /// # Errors
    /// If something does not start.
    pub fn start(kind: BackendKind, flavor: Flavor) -> Result<Self> {
        let sandbox = Sandbox::new("rounds")?;
        let network = Network::new()?;
        let client = network.host("client")?;
        let backend = sandbox.backend(kind, &BackendOptions::default().with_network(&network))?;
        let spec = TopologySpec::primary_with_replicas(2)
            .with_semi_sync(SemiSync::default())
            .with_network(&network);
        let topology = sandbox.topology(flavor, &spec)?;
        let mut section = backend.config("state");
        if let BackendKind::MasterMaster(flavor) = kind {
            create_roles_account(&backend, flavor)?;
            section.push_str(PAIR);
        }
        let mut options = FleetOptions::new(3, section, &topology).with_network(&network);
        CONFIG.clone_into(&mut options.config);
        let fleet = Fleet::start(&sandbox, &options)?;
        let ground = Self {
            fleet,
            topology,
            backend,
            sandbox,
            network,
            client,
        };
        ground.wait_for_leader()?;
        for node in 0..ground.fleet.members().len() {
            let servers = ground.topology.servers().len();
            ground
                .fleet
                .wait_for_discovery(node, servers, SETTLE_LIMIT)?;
        }
        Ok(ground)
    }

    /// A client that writes to whichever server takes it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn writer(&self) -> Result<Writer> {
        let options = WriterOptions {
            host: Some(self.client.clone()),
            ..WriterOptions::default()
        };
        Writer::start_with(self.topology.servers(), options)
    }

    /// Waits until one node leads.
    ///
    /// # Errors
    /// If none does, or several.
    pub fn wait_for_leader(&self) -> Result<usize> {
        self.fleet.wait_for_leader(SETTLE_LIMIT)
    }

    /// The one server that takes writes.
    ///
    /// # Errors
    /// If several or no servers do.
    pub fn primary(&self) -> Result<&Server> {
        match self.topology.writable().as_slice() {
            [server] => Ok(server),
            several => {
                let names: Vec<&str> = several.iter().map(|server| server.name()).collect();
                bail!("one server takes writes, not {names:?}")
            }
        }
    }

    /// The backend's node that a member uses, as its log says.
    ///
    /// # Errors
    /// If it uses none.
    pub fn node_in_use(&self, member: &Member) -> Result<usize> {
        let text = fs::read(member.log()).context("read a node's log")?;
        let text = String::from_utf8_lossy(&text);
        let chosen = text
            .lines()
            .rfind(|line| line.contains("backend node chosen"));
        let chosen = chosen.context("no node of the backend was chosen yet")?;
        let named = |server: &Server| chosen.contains(&server.address().to_string());
        let found = self.backend.nodes().iter().position(named);
        found.with_context(|| format!("no known node in {chosen:?}"))
    }

    /// Cuts or heals what passes between a member's host and others.
    pub(super) fn between(
        &self,
        member: &Member,
        others: &[&Host],
        action: impl Fn(&Network, &Host, &Host) -> Result<()>,
    ) -> Result<()> {
        let own = member.host().context("a node on a host")?;
        others
            .iter()
            .filter(|other| other.name() != own.name())
            .try_for_each(|other| action(&self.network, own, other))
    }

    /// The network all are in.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The hosts of the nodes.
    pub(super) fn member_hosts(&self) -> Vec<&Host> {
        let members = self.fleet.members().iter();
        members.filter_map(Member::host).collect()
    }

    /// Brings back the nodes and their backend, whatever happened to them.
    ///
    /// # Errors
    /// If something does not come back.
    pub fn heal_baton(&self) -> Result<()> {
        self.heal_network()?;
        self.heal_backend().context("bring the backend back")?;
        for member in self.fleet.members() {
            if member.is_running()? {
                member.thaw()?;
            } else {
                // One that ended by itself still counts as started.
                member.kill9().ok();
                member.restart(&self.sandbox)?;
            }
        }
        Ok(())
    }

    /// Brings back the servers of the managed cluster, those that died closed.
    ///
    /// # Errors
    /// If one does not start.
    pub fn heal_cluster(&self) -> Result<()> {
        let servers: Vec<&Host> = self.server_hosts();
        let others = servers.iter().copied().chain(self.member_hosts());
        self.heal_between(&servers, &others.collect::<Vec<_>>())?;
        for server in self.topology.servers() {
            if server.is_running()? {
                server.thaw()?;
            } else {
                server.restart_closed()?;
            }
        }
        Ok(())
    }

    fn server_hosts(&self) -> Vec<&Host> {
        let servers = self.topology.servers().iter();
        servers.filter_map(Server::host).collect()
    }

    fn heal_between(&self, ones: &[&Host], others: &[&Host]) -> Result<()> {
        for one in ones {
            for other in others.iter().filter(|other| other.name() != one.name()) {
                self.network.heal(one, other)?;
            }
        }
        Ok(())
    }

    fn heal_network(&self) -> Result<()> {
        let nodes: Vec<&Host> = self
            .backend
            .nodes()
            .iter()
            .filter_map(Server::host)
            .collect();
        let members = self.member_hosts();
        self.heal_between(&members, &members)?;
        self.heal_between(&nodes, &nodes)?;
        self.heal_between(&members, &nodes)
    }

    fn heal_backend(&self) -> Result<()> {
        for server in self.backend.nodes() {
            if server.is_running()? {
                server.thaw()?;
            } else if server.pid().is_some() {
                // It ended by itself, as a cut-off member may.
                server.kill9()?;
            }
        }
        if matches!(self.backend.kind(), BackendKind::MasterMaster(_)) {
            // Who is to take writes is Baton's to say.
            for node in 0..self.backend.nodes().len() {
                if self.backend[node].pid().is_none() {
                    self.backend.launch(node)?;
                }
            }
        } else {
            self.backend.start_all()?;
        }
        self.wait_for_backend()
    }

    /// Waits until every node of the backend has taken part for a while: one that wakes up says
    /// that it does before it has noticed that it was left behind.
    fn wait_for_backend(&self) -> Result<()> {
        let mut since = None;
        wait_until("the backend is whole", SETTLE_LIMIT, || {
            let is_whole = self.is_backend_whole().unwrap_or(false);
            if !is_whole && matches!(self.backend.kind(), BackendKind::MasterMaster(_)) {
                self.join_fork()?;
            }
            since = since.filter(|_| is_whole);
            let since = since.get_or_insert_with(Instant::now);
            Ok(is_whole && since.elapsed() > WHOLE_FOR)
        })
        .map(drop)
        .with_context(|| self.describe_backend())
    }

    /// What a person would do with a pair whose nodes both wrote the same line, one of them before
    /// it could send it: replication goes on over it. The state is Baton's own, and either line
    /// will do.
    fn join_fork(&self) -> Result<()> {
        const DUPLICATE_KEY: &str = "1062";
        const KEY_NOT_FOUND: &str = "1032";
        let forked = [Some(DUPLICATE_KEY), Some(KEY_NOT_FOUND)];
        for server in self.backend.nodes() {
            let channels = server.replica_status()?;
            let mut errors = channels.iter().map(|row| row.get("Last_SQL_Errno"));
            if errors.any(|error| forked.contains(&error)) {
                pass_over_fork(server)?;
            }
        }
        Ok(())
    }

    /// For people who look for the reason why it is not whole.
    fn describe_backend(&self) -> String {
        let nodes = self.backend.nodes().iter().enumerate();
        let lines = nodes.map(|(node, server)| {
            let (ready, writable) = (self.backend.is_ready(node), server.is_writable());
            let tail = server.log_tail(12);
            format!("{server}: ready {ready:?}, writable {writable:?}; its log ends with:\n{tail}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_backend_whole(&self) -> Result<bool> {
        let count = self.backend.nodes().len().to_string();
        for (node, server) in self.backend.nodes().iter().enumerate() {
            let seen = match self.backend.kind() {
                BackendKind::Galera => server
                    .query("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'")?
                    .first()
                    .and_then(|row| row.at(1).map(str::to_owned))
                    .unwrap_or_default(),
                BackendKind::GroupReplication => server.scalar(
                    "SELECT COUNT(*) FROM performance_schema.replication_group_members \
                     WHERE MEMBER_STATE = 'ONLINE'",
                )?,
                BackendKind::MasterMaster(_) | BackendKind::Ndb => count.clone(),
            };
            if seen != count || !self.backend.is_ready(node)? {
                return Ok(false);
            }
        }
        Ok(self.backend.find_writable().is_some())
    }

    /// Identity of the one cluster, from the leader.
    ///
    /// # Errors
    /// If it does not say.
    pub fn cluster(&self, leader: usize) -> Result<String> {
        let clusters = self.fleet[leader].api.get("/api/v1/clusters")?;
        let list = clusters.get("items").unwrap_or(&clusters);
        let id = list.pointer("/0/id").and_then(Value::as_str);
        id.map(str::to_owned).context("a cluster")
    }

    /// Recoveries as the leader tells them, newest first.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn recoveries(&self, leader: usize) -> Result<Vec<Value>> {
        let answer = self.fleet[leader].api.get("/api/v1/recoveries?limit=50")?;
        let list = answer.get("items").unwrap_or(&answer);
        let list = list.as_array().cloned();
        list.context("a list of recoveries")
    }

    /// Says that people have seen what happened, and empties the table for the next round.
    ///
    /// # Errors
    /// If the leader or the primary refuses.
    pub fn clear(&self, leader: usize) -> Result<()> {
        let path = "/api/v1/recoveries/acknowledge";
        let seen = json!({ "comment": "seen" });
        let (status, answer) = self.fleet[leader].api.post_any(path, &seen)?;
        ensure!(status < 500, "not acknowledged: {status} {answer}");
        self.primary()?.exec("TRUNCATE TABLE app.writes")
    }

    /// Asks the leader to do something with a server.
    pub(super) fn tell(&self, what: &str, server: SocketAddr) -> Result<()> {
        let path = format!("/api/{what}/{}/{}", server.ip(), server.port());
        let leader = self.wait_for_leader()?;
        self.fleet[leader].api.get(&path).map(drop)
    }

    /// Tells the leader of a server. One that does not answer in time is watched all the same.
    pub(super) fn discover(&self, server: SocketAddr) -> Result<()> {
        match self.tell("discover", server) {
            Err(error) if error.to_string().contains("it is watched from now on") => Ok(()),
            told => told,
        }
    }

    /// Whether no recovery is under way.
    pub(super) fn is_quiet(&self, leader: usize) -> Result<bool> {
        let rows = self.recoveries(leader)?;
        Ok(rows.iter().all(|row| word(row, "outcome") != "running"))
    }
}

/// Lets a stopped applier take the lines that it cannot apply for its own.
fn pass_over_fork(server: &Server) -> Result<()> {
    let (mode, start) = match server.flavor() {
        Flavor::MariaDb => ("slave_exec_mode", "START SLAVE"),
        Flavor::MySql => ("replica_exec_mode", "START REPLICA"),
    };
    server.exec(&format!("SET GLOBAL {mode} = 'IDEMPOTENT'"))?;
    server.exec(start)?;
    wait_until(&format!("{server} follows again"), SETTLE_LIMIT, || {
        server.is_replicating()
    })?;
    server.exec(&format!("SET GLOBAL {mode} = 'STRICT'"))
}

/// Creates [`ROLES`] on both nodes of a pair. The account for the state may not change roles, so
/// that it cannot write on a closed node.
///
/// # Errors
/// If the active node refuses, or the other one does not follow.
pub fn create_roles_account(backend: &BackendBed, flavor: Flavor) -> Result<()> {
    // Both read-only flags forbid it to root, too, where one of them is set for all.
    let rights = match flavor {
        Flavor::MariaDb => {
            "READ ONLY ADMIN, CONNECTION ADMIN, REPLICATION SLAVE ADMIN, REPLICA MONITOR, PROCESS"
        }
        Flavor::MySql => {
            "SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, REPLICATION_SLAVE_ADMIN, REPLICATION CLIENT, \
             PROCESS"
        }
    };
    let active = backend.find_writable().context("an active node")?;
    backend[active].exec(&format!(
        "CREATE USER '{ROLES}'@'%' IDENTIFIED BY '{ROLES}'; GRANT {rights} ON *.* TO '{ROLES}'@'%'"
    ))?;
    let passive = &backend[1 - active];
    passive.wait_for(&backend[active], SETTLE_LIMIT)
}
