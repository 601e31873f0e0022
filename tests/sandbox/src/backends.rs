//! Clusters in which Baton itself keeps its state, of each kind that it supports.
//!
//! [`Sandbox::backend`] starts one. Every SQL node is a [`Server`], which can be killed,
//! frozen, thawed, stopped and asked; what differs between the kinds is how a node comes
//! back, and that is what [`BackendBed`] knows. Numbers and traps: MariaDB's and MySQL's
//! manuals, and measurements on the versions the sandbox runs.
//!
//! ```no_run
//! use std::time::Duration;
//! use baton_sandbox::{BackendKind, BackendOptions, Sandbox};
//! # fn main() -> anyhow::Result<()> {
//! let sandbox = Sandbox::new("example")?;
//! let bed = sandbox.backend(BackendKind::Galera, &BackendOptions::default())?;
//! println!("{}", bed.config("state")); // [[backend.cluster]] ...
//! bed[0].kill9()?;
//! bed[1].exec("CREATE TABLE baton.t (id INT PRIMARY KEY) ENGINE=InnoDB")?;
//! bed.restart(0)?; // recovers its position, joins, is synchronous again
//! # Ok(())
//! # }
//! ```

mod galera;
mod group;
mod ndb;
mod pair;
mod part;

use std::ops::Index;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::wait::wait_until;
use crate::{Account, Flavor, Host, Installation, Network, Sandbox, SemiSync, Server};

pub use ndb::Ndb;
pub(crate) use ndb::find as find_ndb;
pub use part::Part;

/// For a node to come back. The slowest of all, a killed member of a group whose old
/// incarnation has first to be expelled, took 22 s.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A kind of cluster, as in `kind` of `[[backend.cluster]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendKind {
    /// Three synchronous nodes of MariaDB.
    Galera,
    /// Two asynchronous nodes, each a replica of the other, one of them writable.
    MasterMaster(Flavor),
    /// Two data nodes, a management node that arbitrates, and two SQL nodes.
    Ndb,
    /// Three members of MySQL Group Replication, one of them writable.
    GroupReplication,
}

impl BackendKind {
    /// All, for tests that run on each.
    pub const ALL: [Self; 5] = [
        Self::Galera,
        Self::MasterMaster(Flavor::MariaDb),
        Self::MasterMaster(Flavor::MySql),
        Self::Ndb,
        Self::GroupReplication,
    ];

    /// The value of `kind` in Baton's configuration.
    pub fn config_name(self) -> &'static str {
        match self {
            Self::Galera => "galera",
            Self::MasterMaster(_) => "master-master",
            Self::Ndb => "ndb",
            Self::GroupReplication => "group-replication",
        }
    }

    /// The storage engine that makes a table survive its node here.
    pub fn table_engine(self) -> &'static str {
        match self {
            Self::Ndb => "NDBCLUSTER",
            Self::Galera | Self::MasterMaster(_) | Self::GroupReplication => "InnoDB",
        }
    }

    /// What the names of nodes begin with: `galera1`, `galera2`, ...
    fn default_prefix(self) -> &'static str {
        match self {
            Self::Galera => "galera",
            Self::MasterMaster(_) => "pair",
            Self::Ndb => "ndb",
            Self::GroupReplication => "group",
        }
    }

    /// Why this machine cannot run it, if it cannot, and how to get what is missing.
    pub(crate) fn find_obstacle(self) -> Option<(String, &'static str)> {
        let told = |checked: Result<()>, remedy| {
            checked
                .err()
                .map(|error| (format!("{} cluster: {error:#}", self.config_name()), remedy))
        };
        match self {
            Self::Galera => told(galera::find().map(drop), "cargo xtask setup"),
            Self::MasterMaster(flavor) => {
                told(Installation::find(flavor).map(drop), "cargo xtask setup")
            }
            Self::GroupReplication => told(
                Installation::find(Flavor::MySql).map(drop),
                "cargo xtask setup",
            ),
            Self::Ndb => told(find_ndb().map(drop), ndb::REMEDY),
        }
    }
}

impl std::fmt::Display for BackendKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MasterMaster(flavor) => write!(formatter, "{} {flavor}", self.config_name()),
            Self::Galera | Self::Ndb | Self::GroupReplication => {
                formatter.write_str(self.config_name())
            }
        }
    }
}

/// How soon nodes notice that another one is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timers {
    /// As tests like it: Galera after 1 s, NDB after 2 s, a group after 6 s.
    #[default]
    Fast,
    /// As the servers come: Galera after 6 s, NDB after 20 s, a group after 22 s.
    AsShipped,
}

/// How a cluster is started.
#[derive(Clone, Debug, Default)]
pub struct BackendOptions {
    /// What the names of nodes begin with, by default a word for the kind. Two clusters of
    /// one kind in one sandbox need different ones.
    pub prefix: Option<String>,
    /// How soon nodes notice that another one is gone.
    pub timers: Timers,
    /// Gives each node a host of this network, named after it, so that nodes can be cut off
    /// from each other. Only hosts of the network reach them then.
    pub network: Option<Network>,
    /// Semi-synchronous replication, of a master-master pair only.
    pub semi_sync: Option<SemiSync>,
    /// Options for every SQL node, stronger than all others.
    pub extra: Vec<String>,
}

impl BackendOptions {
    /// The same, with each node on a host of its own.
    #[must_use]
    pub fn with_network(mut self, network: &Network) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// The same, with other names.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    fn host(&self, name: &str) -> Result<Option<Host>> {
        self.network
            .as_ref()
            .map(|network| network.host(name))
            .transpose()
    }
}

/// A running cluster. Nodes are numbered from 0, in the order of [`Self::urls`]: `bed[0]` is
/// the first one's [`Server`], with `kill9`, `freeze`, `thaw`, `stop`, `query` (as root,
/// over its socket, which no network fault cuts), `address` and `name`.
///
/// Everything is killed when the sandbox is dropped or this process dies. Declare it after
/// the sandbox.
#[derive(Debug)]
pub struct BackendBed {
    kind: BackendKind,
    servers: Vec<Server>,
    network: Option<Network>,
    engine: Engine,
}

/// What only one kind has.
#[derive(Debug)]
enum Engine {
    Galera(galera::Galera),
    MasterMaster(pair::Pair),
    Ndb(Box<Ndb>),
    GroupReplication(group::Group),
}

impl Sandbox {
    /// Starts a cluster for Baton's state, with an empty schema `baton` and an account of
    /// the same name, and waits until every node is ready. On a pair, the first node is the
    /// writable one, and in a group too.
    pub fn backend(&self, kind: BackendKind, options: &BackendOptions) -> Result<BackendBed> {
        BackendBed::start(self, kind, options).with_context(|| format!("start a {kind} cluster"))
    }
}

impl BackendBed {
    fn start(sandbox: &Sandbox, kind: BackendKind, options: &BackendOptions) -> Result<Self> {
        let prefix = options.prefix.as_deref().unwrap_or(kind.default_prefix());
        let prepared = |count: usize| (1..=count).map(|number| format!("{prefix}{number}"));
        let names = |count| prepared(count).collect::<Vec<_>>();
        let (engine, servers) = match kind {
            BackendKind::Galera => {
                let (engine, servers) = galera::Galera::prepare(sandbox, &names(3), options)?;
                (Engine::Galera(engine), servers)
            }
            BackendKind::MasterMaster(flavor) => {
                let (engine, servers) = pair::Pair::prepare(sandbox, flavor, &names(2), options)?;
                (Engine::MasterMaster(engine), servers)
            }
            BackendKind::Ndb => {
                let (engine, servers) = Ndb::prepare(sandbox, prefix, &names(2), options)?;
                (Engine::Ndb(Box::new(engine)), servers)
            }
            BackendKind::GroupReplication => {
                let (engine, servers) = group::Group::prepare(sandbox, &names(3), options)?;
                (Engine::GroupReplication(engine), servers)
            }
        };
        let bed = Self {
            kind,
            servers,
            network: options.network.clone(),
            engine,
        };
        bed.start_all()?;
        Ok(bed)
    }

    /// What it is.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// The SQL nodes.
    pub fn nodes(&self) -> &[Server] {
        &self.servers
    }

    /// The URL with which Baton reaches a node.
    ///
    /// # Panics
    /// When there is no such node: a mistake in the test.
    pub fn url(&self, node: usize) -> String {
        format!("{}baton", self[node].url(Account::Baton))
    }

    /// The URLs of all nodes, in order.
    pub fn urls(&self) -> Vec<String> {
        (0..self.servers.len()).map(|node| self.url(node)).collect()
    }

    /// The section of Baton's configuration that names this cluster.
    pub fn config(&self, name: &str) -> String {
        let urls: Vec<String> = self.urls().iter().map(|url| format!("{url:?}")).collect();
        format!(
            "[[backend.cluster]]\nname = \"{name}\"\nkind = \"{}\"\nnodes = [{}]\n",
            self.kind.config_name(),
            urls.join(", ")
        )
    }

    /// Starts a node that was stopped or killed, as its supervisor would, and waits until it
    /// is ready: on Galera with position recovery, in a group after its old incarnation was
    /// expelled. A node of a pair comes back read-only, whatever it was.
    pub fn restart(&self, node: usize) -> Result<()> {
        self.launch(node)?;
        self.wait_ready(node, READY_LIMIT).map(drop)
    }

    /// Starts a node that was stopped or killed and does not wait for it: without a quorum
    /// it would not get ready.
    pub fn launch(&self, node: usize) -> Result<()> {
        let server = self.node(node)?;
        ensure!(server.pid().is_none(), "{server} runs already");
        match &self.engine {
            Engine::Galera(galera) => galera.launch(server),
            Engine::MasterMaster(_) | Engine::Ndb(_) => server.launch(&[]),
            Engine::GroupReplication(_) => group::launch(server),
        }
    }

    /// Like [`Self::launch`], without the care that a good supervisor takes: a killed node of
    /// Galera starts without its position. When all nodes of a cluster do that at once, it
    /// forms again under a UUID of zeroes, and looks healthy while its nodes may differ.
    pub fn launch_carelessly(&self, node: usize) -> Result<()> {
        self.node(node)?.launch(&[])
    }

    /// Whether a node takes part: Galera's is synced, a pair's replicates (or has nobody to
    /// replicate from), NDB's reaches its tables, a group's is online.
    pub fn is_ready(&self, node: usize) -> Result<bool> {
        let server = self.node(node)?;
        match &self.engine {
            Engine::Galera(_) => galera::is_ready(server),
            Engine::MasterMaster(_) => pair::is_ready(&self.servers, server),
            Engine::Ndb(_) => ndb::is_ready(server),
            Engine::GroupReplication(_) => group::is_ready(server),
        }
    }

    /// Waits until a node [is ready](Self::is_ready) and says how long that took. Fails at
    /// once if its process has ended.
    pub fn wait_ready(&self, node: usize, limit: Duration) -> Result<Duration> {
        let server = self.node(node)?;
        let mut ended = None;
        let waited = wait_until(&format!("{server} is ready"), limit, || {
            ended = server.require_running().err();
            Ok(ended.is_some() || self.is_ready(node)?)
        });
        if let Some(ended) = ended {
            return Err(ended);
        }
        waited.with_context(|| format!("its log ends with:\n{}", server.log_tail(20)))
    }

    /// Starts all nodes that do not run, after a loss of the whole cluster, and waits until
    /// all are ready: the order, and who begins, are what the kind needs to keep its data.
    /// On NDB, data nodes and the management node are started as well.
    pub fn start_all(&self) -> Result<()> {
        match &self.engine {
            Engine::Galera(galera) => galera.start_all(&self.servers)?,
            Engine::MasterMaster(pair) => pair.start_all(&self.servers)?,
            Engine::Ndb(ndb) => ndb.start_all(&self.servers)?,
            Engine::GroupReplication(group) => group.start_all(&self.servers)?,
        }
        for node in 0..self.servers.len() {
            self.wait_ready(node, READY_LIMIT)?;
        }
        Ok(())
    }

    /// Shuts all nodes down cleanly, the first one last; on NDB the data nodes too.
    pub fn stop_all(&self) -> Result<()> {
        let (first, others) = self.servers.split_first().context("no nodes")?;
        match &self.engine {
            // Of two that leave a Galera cluster together, the third may take one for lost, and is
            // then not safe to begin with.
            Engine::Galera(_) => others.iter().try_for_each(Server::stop)?,
            Engine::MasterMaster(_) | Engine::Ndb(_) | Engine::GroupReplication(_) => {
                at_once(others, Server::stop)?;
            }
        }
        first.stop()?;
        match &self.engine {
            Engine::Ndb(ndb) => ndb.stop(),
            Engine::Galera(_) | Engine::MasterMaster(_) | Engine::GroupReplication(_) => Ok(()),
        }
    }

    /// Kills all nodes at once, on NDB also the data nodes and the management node.
    pub fn kill_all(&self) -> Result<()> {
        let running = self.servers.iter().filter(|server| server.pid().is_some());
        let running: Vec<&Server> = running.collect();
        if let Engine::Ndb(ndb) = &self.engine {
            ndb.kill_all()?;
        }
        at_once(&running, |server| server.kill9().map(drop))
    }

    /// The first node that takes writes of ordinary accounts now.
    pub fn find_writable(&self) -> Option<usize> {
        (0..self.servers.len()).find(|node| self.is_writable(*node).unwrap_or(false))
    }

    fn is_writable(&self, node: usize) -> Result<bool> {
        let server = self.node(node)?;
        // A pair's active node takes writes whether or not it replicates from the other one.
        let is_pair = matches!(self.engine, Engine::MasterMaster(_));
        Ok(server.pid().is_some() && (is_pair || self.is_ready(node)?) && server.is_writable()?)
    }

    /// Makes a node of a pair writable, nothing else: the other one stays as it is.
    pub fn activate(&self, node: usize) -> Result<()> {
        match &self.engine {
            Engine::MasterMaster(pair) => pair.activate(&self.servers, node),
            Engine::Galera(_) | Engine::Ndb(_) | Engine::GroupReplication(_) => {
                bail!("a {} cluster has no node to activate", self.kind)
            }
        }
    }

    /// Makes a node of a pair read-only, as an operator's fence would on any kind.
    pub fn fence(&self, node: usize) -> Result<()> {
        let server = self.node(node)?;
        server.exec(match server.flavor() {
            Flavor::MariaDb => "SET GLOBAL read_only = 1",
            Flavor::MySql => "SET GLOBAL super_read_only = 1",
        })
    }

    /// Cuts a node off from the other SQL nodes (on NDB its host, with the data node there);
    /// clients, and NDB's arbitrator, still reach all. Needs a network.
    pub fn isolate(&self, node: usize) -> Result<()> {
        self.with_peers(node, Network::cut)
    }

    /// Undoes [`Self::isolate`].
    pub fn reconnect(&self, node: usize) -> Result<()> {
        self.with_peers(node, Network::heal)
    }

    /// NDB's data nodes and management node.
    pub fn ndb(&self) -> Option<&Ndb> {
        match &self.engine {
            Engine::Ndb(ndb) => Some(ndb),
            Engine::Galera(_) | Engine::MasterMaster(_) | Engine::GroupReplication(_) => None,
        }
    }

    fn with_peers(
        &self,
        node: usize,
        action: impl Fn(&Network, &Host, &Host) -> Result<()>,
    ) -> Result<()> {
        let own = self.node(node)?.host();
        let (Some(network), Some(own)) = (&self.network, own) else {
            bail!("only nodes on hosts of a network can be cut off");
        };
        let others = self.servers.iter().filter_map(Server::host);
        for peer in others.filter(|peer| peer.name() != own.name()) {
            action(network, own, peer)?;
        }
        Ok(())
    }

    fn node(&self, node: usize) -> Result<&Server> {
        let count = self.servers.len();
        self.servers
            .get(node)
            .with_context(|| format!("no node {node} among {count}"))
    }
}

impl Index<usize> for BackendBed {
    type Output = Server;

    /// # Panics
    /// When there is no such node: a mistake in the test.
    fn index(&self, node: usize) -> &Server {
        match self.servers.get(node) {
            Some(server) => server,
            None => panic!("no node {node} in a {} cluster", self.kind),
        }
    }
}

/// Does something to each at the same time, in a thread each.
fn at_once<T: Sync>(items: &[T], action: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(|| action(item)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| bail!("a thread of the sandbox panicked"))
        })
    })
}

/// Prepares the servers of a cluster, one for each name, with options that may depend on
/// where the server will be.
fn prepare_all(
    sandbox: &Sandbox,
    installation: &Installation,
    names: &[String],
    options: impl Fn(usize) -> Result<crate::ServerOptions>,
) -> Result<Vec<Server>> {
    let prepare = |(index, name): (usize, &String)| {
        sandbox.prepared_server(installation.clone(), name, options(index)?)
    };
    names.iter().enumerate().map(prepare).collect()
}
