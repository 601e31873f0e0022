//! Several nodes of one installation, which share a backend.
//!
//! ```no_run
//! use std::time::Duration;
//! use baton_e2e::{Fleet, FleetOptions};
//! use baton_sandbox::{BackendKind, BackendOptions, Flavor, Sandbox, TopologySpec, Writer};
//! # fn main() -> anyhow::Result<()> {
//! let limit = Duration::from_secs(30);
//! let sandbox = Sandbox::new("example")?;
//! let backend = sandbox.backend(BackendKind::Galera, &BackendOptions::default())?;
//! let topology = sandbox.topology(Flavor::MariaDb, &TopologySpec::primary_with_replicas(3))?;
//! let options = FleetOptions::new(3, backend.config("state"), &topology);
//! let fleet = Fleet::start(&sandbox, &options)?;
//! let leader = fleet.wait_for_leader(limit)?;
//! fleet.wait_for_discovery(leader, topology.servers().len(), limit)?;
//! let writer = Writer::start(topology.servers())?;
//! fleet[leader].kill9()?;
//! topology.primary().kill9()?;
//! fleet.wait_for_leader_other_than(leader, limit)?;
//! # Ok(())
//! # }
//! ```

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Index;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use baton_sandbox::{
    Forward, Host, Network, Process, Sandbox, Server, Topology, find_baton, free_port, wait_until,
};
use serde_json::Value;

use crate::Api;

/// The port on a host of a network.
const PORT: u16 = 3000;
/// For an answer; a frozen node gives none.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
const START_LIMIT: Duration = Duration::from_secs(30);
/// A clean stop hands the lease over and ends sessions.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How the nodes are configured; all alike but for name, address and directory.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// How many.
    pub nodes: usize,
    /// The section `[backend]`, or sections `[[backend.cluster]]`, of all of them:
    /// [`BackendBed::config`](baton_sandbox::BackendBed::config).
    pub backend: String,
    /// `topology.seeds`.
    pub seeds: Vec<String>,
    /// `recovery.automatic`.
    pub automatic: bool,
    /// More sections, with their headers.
    pub config: String,
    /// Gives each node a host of this network, named after it.
    pub network: Option<Network>,
}

impl FleetOptions {
    /// Nodes that recover everything by themselves, on this machine.
    pub fn new(nodes: usize, backend: String, topology: &Topology) -> Self {
        let seeds = topology.servers().iter().map(Server::address);
        Self {
            nodes,
            backend,
            seeds: seeds.map(|address| address.to_string()).collect(),
            automatic: true,
            config: String::new(),
            network: None,
        }
    }

    /// The same, on hosts of a network.
    #[must_use]
    pub fn with_network(mut self, network: &Network) -> Self {
        self.network = Some(network.clone());
        self
    }

    fn text(&self, member: &Place, peers: &[String]) -> String {
        let automatic = if self.automatic { "[\"*\"]" } else { "[]" };
        format!(
            "[node]\nname = {:?}\ndata_dir = \"{}\"\npeers = {peers:?}\n\
             [http]\nlisten = \"{}\"\n\
             [topology]\nuser = \"baton\"\npassword = \"baton\"\nseeds = {:?}\n\
             [replication]\nuser = \"repl\"\npassword = \"repl\"\n\
             [recovery]\nautomatic = {automatic}\n{}\n{}\n",
            member.name,
            member.folder.display(),
            member.listen,
            self.seeds,
            self.backend,
            self.config
        )
    }
}

/// Where one node is.
#[derive(Debug)]
struct Place {
    name: String,
    folder: PathBuf,
    listen: SocketAddr,
    host: Option<Host>,
}

/// One node. It can be ended in every way and started again, with the same directory.
#[derive(Debug)]
pub struct Member {
    /// Its API, with a short limit for answers.
    pub api: Api,
    place: Place,
    process: Mutex<Option<Process>>,
    _forward: Option<Forward>,
}

/// Several nodes. Dropping it, or the end of this process, kills them.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
}

impl Fleet {
    /// Starts the nodes, one right after the other, and waits until each serves requests; who
    /// leads is decided later.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(sandbox: &Sandbox, options: &FleetOptions) -> Result<Self> {
        let places = (1..=options.nodes)
            .map(|number| Place::find(sandbox, format!("baton-{number}"), options))
            .collect::<Result<Vec<_>>>()?;
        for place in &places {
            let others = places.iter().filter(|other| other.name != place.name);
            let peers: Vec<String> = others
                .map(|other| format!("http://{}", other.listen))
                .collect();
            let path = place.config();
            fs::write(&path, options.text(place, &peers))
                .with_context(|| format!("write {}", path.display()))?;
        }
        let members = places
            .into_iter()
            .map(Member::new)
            .collect::<Result<Vec<_>>>()?;
        for member in &members {
            member.launch(sandbox)?;
        }
        for member in &members {
            member.wait_for_answer()?;
        }
        Ok(Self { members })
    }

    /// The nodes.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The nodes that say that they lead, now; one that does not answer does not say so.
    pub fn leaders(&self) -> Vec<usize> {
        let leads = |member: &Member| member.is_leader().unwrap_or(false);
        let numbered = self.members.iter().enumerate();
        numbered
            .filter(|(_, member)| leads(member))
            .map(|(number, _)| number)
            .collect()
    }

    /// Waits until exactly one node says that it leads.
    ///
    /// # Errors
    /// If that takes too long; with the ends of all logs.
    pub fn wait_for_leader(&self, limit: Duration) -> Result<usize> {
        self.wait_for_leader_among(limit, |_| true)
    }

    /// Waits until exactly one node says that it leads, and it is not this one.
    ///
    /// # Errors
    /// If that takes too long; with the ends of all logs.
    pub fn wait_for_leader_other_than(&self, node: usize, limit: Duration) -> Result<usize> {
        self.wait_for_leader_among(limit, |leader| leader != node)
    }

    /// Waits until a node knows this many servers that answer.
    ///
    /// # Errors
    /// If that takes too long; with the end of its log.
    pub fn wait_for_discovery(&self, node: usize, servers: usize, limit: Duration) -> Result<()> {
        let member = &self[node];
        let what = format!("{} knows {servers} servers", member.name());
        wait_until(&what, limit, || Ok(member.known_servers()? == servers))
            .map(drop)
            .with_context(|| format!("its log ends with:\n{}", member.log_tail(40)))
    }

    fn wait_for_leader_among(
        &self,
        limit: Duration,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<usize> {
        let mut found = None;
        wait_until("one node leads", limit, || {
            found = match self.leaders().as_slice() {
                [leader] if is_wanted(*leader) => Some(*leader),
                _ => None,
            };
            Ok(found.is_some())
        })
        .with_context(|| self.logs())?;
        found.context("a leader that was found")
    }

    fn logs(&self) -> String {
        let log = |member: &Member| format!("--- {}\n{}", member.name(), member.log_tail(20));
        let logs: Vec<String> = self.members.iter().map(log).collect();
        logs.join("\n")
    }
}

impl Index<usize> for Fleet {
    type Output = Member;

    /// # Panics
    /// When there is no such node: a mistake in the test.
    fn index(&self, node: usize) -> &Member {
        match self.members.get(node) {
            Some(member) => member,
            None => panic!("no node {node} in a fleet of {}", self.members.len()),
        }
    }
}

impl Place {
    fn find(sandbox: &Sandbox, name: String, options: &FleetOptions) -> Result<Self> {
        let folder = sandbox.folder().join(&name);
        fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        let host = options.network.as_ref().map(|network| network.host(&name));
        let host = host.transpose()?;
        let listen = match &host {
            Some(host) => SocketAddr::from((host.address(), PORT)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
        };
        Ok(Self {
            name,
            folder,
            listen,
            host,
        })
    }

    fn config(&self) -> PathBuf {
        self.folder.join("baton.toml")
    }
}

impl Member {
    fn new(place: Place) -> Result<Self> {
        let forward = place.host.as_ref().map(|host| host.expose(PORT));
        let forward = forward.transpose()?;
        let reached = forward.as_ref().map_or(place.listen, Forward::address);
        Ok(Self {
            api: Api::within(&format!("http://{reached}"), ANSWER_LIMIT),
            place,
            process: Mutex::new(None),
            _forward: forward,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Its directory, with `baton.toml`.
    pub fn folder(&self) -> &PathBuf {
        &self.place.folder
    }

    /// The file with what it says, all its starts one after the other.
    pub fn log(&self) -> PathBuf {
        self.place.folder.with_extension("log")
    }

    /// Whether it was started and has not ended by itself.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn is_running(&self) -> Result<bool> {
        match self.process().as_ref() {
            Some(process) => Ok(process.exit_status()?.is_none()),
            None => Ok(false),
        }
    }

    /// The host it runs on, in a network.
    pub fn host(&self) -> Option<&Host> {
        self.place.host.as_ref()
    }

    /// Whether it says that it leads.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn is_leader(&self) -> Result<bool> {
        let node = self.api.get("/api/v1/node")?;
        let told = node.get("is_leader").and_then(Value::as_bool);
        told.context("it does not say whether it leads")
    }

    /// Kills it, and says at what moment.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill9(&self) -> Result<Instant> {
        match self.process().take() {
            Some(process) => process.kill9(),
            None => bail!("{} does not run", self.name()),
        }
    }

    /// Stops it in mid-instruction (SIGSTOP), and says at what moment.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result<Instant> {
        self.require_process(Process::freeze)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.require_process(Process::thaw)
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// If it takes too long or ends with a failure.
    pub fn stop(&self) -> Result<()> {
        let Some(process) = self.process().take() else {
            bail!("{} does not run", self.name());
        };
        let status = process.terminate(STOP_LIMIT)?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name(),
            process.log_tail(20)
        );
        Ok(())
    }

    /// Starts it again after it was killed or stopped, and waits until it serves requests.
    ///
    /// # Errors
    /// If it does not.
    pub fn restart(&self, sandbox: &Sandbox) -> Result<()> {
        self.launch(sandbox)?;
        self.wait_for_answer()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let process = self.process();
        process
            .as_ref()
            .map(|process| process.log_tail(lines))
            .unwrap_or_default()
    }

    fn launch(&self, sandbox: &Sandbox) -> Result<()> {
        ensure!(self.process().is_none(), "{} runs already", self.name());
        let mut command = Command::new(find_baton()?);
        command.args(["serve", "--config"]).arg(self.place.config());
        let process = sandbox.run(self.name(), &command, self.host())?;
        *self.process() = Some(process);
        Ok(())
    }

    fn wait_for_answer(&self) -> Result<()> {
        let mut ended = None;
        let what = format!("{} answers", self.name());
        let answered = wait_until(&what, START_LIMIT, || {
            ended = self.require_process(Process::exit_status)?;
            Ok(ended.is_some()
                || self
                    .api
                    .get_any("/livez")
                    .is_ok_and(|(code, _)| code == 200))
        });
        if let Some(status) = ended {
            bail!(
                "{} ended with {status}:\n{}",
                self.name(),
                self.log_tail(20)
            );
        }
        answered
            .map(drop)
            .with_context(|| format!("its log ends with:\n{}", self.log_tail(20)))
    }

    fn known_servers(&self) -> Result<usize> {
        let instances = self.api.get("/api/all-instances")?;
        let is_valid = |server: &&Value| server.get("IsLastCheckValid") == Some(&Value::Bool(true));
        Ok(instances
            .as_array()
            .map_or(0, |list| list.iter().filter(is_valid).count()))
    }

    fn require_process<T>(&self, action: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
        let process = self.process();
        let Some(process) = process.as_ref() else {
            bail!("{} does not run", self.name());
        };
        action(process)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
