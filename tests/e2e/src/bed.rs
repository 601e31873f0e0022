//! A topology and a node that looks after it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use baton_sandbox::{
    Flavor, Process, Sandbox, SemiSync, Server, Topology, TopologySpec, Writer, WriterOptions,
    find_baton, free_port, wait_until,
};
use serde_json::Value;

use crate::{Api, Cables};

/// How a bed is made.
#[derive(Clone, Debug)]
pub struct BedOptions {
    /// Name, for its directory.
    pub name: String,
    /// Flavour of all servers.
    pub flavor: Flavor,
    /// Topology, see [`TopologySpec::parse`].
    pub sketch: String,
    /// Semi-synchronous replication.
    pub semi_sync: bool,
    /// Replicas that must have received a commit, with it.
    pub wait_for: u32,
    /// Every server, Baton and the clients on a host of its own: see [`Bed::cables`].
    pub network: bool,
    /// What servers say their host is, instead of their address; empty: they do not say.
    pub report_hosts: Vec<(&'static str, &'static str)>,
    /// What Baton starts from; by default the last server's address.
    pub seeds: Option<Vec<String>>,
    /// Lines added to the end of the configuration, after a `[section]` header of their own.
    pub config: String,
    /// `recovery.automatic`.
    pub automatic: bool,
}

impl BedOptions {
    /// A primary with three replicas and one below the first of them, semi-sync, recovered without
    /// a person.
    pub fn new(name: &str, flavor: Flavor) -> Self {
        Self {
            name: name.to_owned(),
            flavor,
            sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1\nc1 <- r1".to_owned(),
            semi_sync: true,
            wait_for: 1,
            network: false,
            report_hosts: Vec::new(),
            seeds: None,
            config: String::new(),
            automatic: true,
        }
    }

    /// The topology that the sketch and the other options describe.
    ///
    /// # Errors
    /// If the sketch cannot be read.
    pub fn spec(&self) -> Result<TopologySpec> {
        let mut spec = TopologySpec::parse(&self.sketch)?;
        if self.semi_sync {
            spec = spec.with_semi_sync(SemiSync {
                wait_for: self.wait_for,
                ..SemiSync::default()
            });
        }
        for (name, host) in &self.report_hosts {
            spec = spec.with_options(name, |server| server.report_host = Some((*host).to_owned()));
        }
        Ok(spec)
    }
}

/// A topology and a node that looks after it. Dropping it ends everything.
#[derive(Debug)]
pub struct Bed {
    /// The node, while it runs.
    pub baton: Option<Process>,
    /// Its API.
    pub api: Api,
    /// The servers.
    pub topology: Topology,
    /// Owner of everything.
    pub sandbox: Sandbox,
    cables: Option<Cables>,
    options: BedOptions,
    port: u16,
}

impl Bed {
    /// Starts the servers and the node, and waits until the node has found all of them.
    ///
    /// # Errors
    /// If something does not start.
    pub fn start(options: &BedOptions) -> Result<Self> {
        let mut bed = Self::servers_only(options)?;
        bed.start_baton()?;
        bed.wait_for_discovery(bed.topology.servers().len())?;
        Ok(bed)
    }

    /// Starts the servers and writes the configuration.
    ///
    /// # Errors
    /// If something does not start.
    pub fn servers_only(options: &BedOptions) -> Result<Self> {
        let sandbox = Sandbox::new(&options.name)?;
        let mut spec = options.spec()?;
        let cables = options.network.then(Cables::new).transpose()?;
        if let Some(cables) = &cables {
            spec = spec.with_network(cables.network());
        }
        let topology = sandbox.topology(options.flavor, &spec)?;
        let mut bed = Self::around(sandbox, topology, options)?;
        if let Some(cables) = cables {
            bed.port = Cables::BATON_PORT;
            bed.api = Api::new(&format!("http://{}", cables.api()));
            bed.cables = Some(cables);
        }
        Ok(bed)
    }

    /// A bed of servers that run already; the node is not started.
    ///
    /// # Errors
    /// If no port is free.
    pub fn around(sandbox: Sandbox, topology: Topology, options: &BedOptions) -> Result<Self> {
        let port = free_port()?;
        Ok(Self {
            baton: None,
            api: Api::new(&format!("http://127.0.0.1:{port}")),
            topology,
            sandbox,
            cables: None,
            options: options.clone(),
            port,
        })
    }

    /// What connects the servers, the node and the clients, if the options asked for a network.
    ///
    /// # Errors
    /// If they did not.
    pub fn cables(&self) -> Result<&Cables> {
        self.cables.as_ref().context("a bed without a network")
    }

    /// A client that writes to whichever server takes it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn writer(&self) -> Result<Writer> {
        let options = WriterOptions {
            host: self.cables.as_ref().map(|cables| cables.client().clone()),
            ..WriterOptions::default()
        };
        Writer::start_with(self.topology.servers(), options)
    }

    /// Replaces the lines added to the configuration; the node reads them when it is started again.
    pub fn set_config(&mut self, lines: &str) {
        lines.clone_into(&mut self.options.config);
    }

    /// Replaces what the node starts from, like [`Self::set_config`].
    pub fn set_seeds(&mut self, seeds: &[&str]) {
        let addresses = seeds
            .iter()
            .map(|name| self.topology[name].address().to_string());
        self.options.seeds = Some(addresses.collect());
    }

    fn write_config(&self) -> Result<PathBuf> {
        let path = self.sandbox.folder().join("baton.toml");
        let last = self.topology.servers().last();
        let seeds = match &self.options.seeds {
            Some(seeds) => seeds.clone(),
            None => vec![last.context("an empty topology")?.address().to_string()],
        };
        let listen = match &self.cables {
            Some(cables) => cables.baton().address(),
            None => Ipv4Addr::LOCALHOST,
        };
        let store = self.sandbox.folder().join("baton.db");
        let automatic = if self.options.automatic {
            r#"["*"]"#
        } else {
            "[]"
        };
        let text = format!(
            "[node]\nname = \"baton-1\"\n[http]\nlisten = \"{listen}:{}\"\n\
             [topology]\nuser = \"baton\"\npassword = \"baton\"\nseeds = {seeds:?}\n\
             [replication]\nuser = \"repl\"\npassword = \"repl\"\n\
             [recovery]\nautomatic = {automatic}\n\
             [backend]\nkind = \"sqlite\"\npath = \"{}\"\n{}\n",
            self.port,
            store.display(),
            self.options.config
        );
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// Starts (again) the node with the same configuration and store.
    ///
    /// # Errors
    /// If it does not start or does not answer.
    pub fn start_baton(&mut self) -> Result<()> {
        // The one that runs, if any, holds the port and the store.
        self.baton = None;
        let mut command = Command::new(find_baton()?);
        command
            .arg("serve")
            .arg("--config")
            .arg(self.write_config()?);
        let host = self.cables.as_ref().map(Cables::baton);
        let process = self.sandbox.run("baton", &command, host)?;
        let api = self.api.clone();
        let answered = wait_until("baton answers", Duration::from_secs(20), || {
            Ok(api.get_any("/livez").is_ok_and(|(status, _)| status == 200))
        });
        let log = process.log_tail(20);
        self.baton = Some(process);
        answered
            .map(drop)
            .with_context(|| format!("its log ends with:\n{log}"))
    }

    /// The node's process.
    ///
    /// # Errors
    /// If it was not started.
    pub fn baton(&self) -> Result<&Process> {
        self.baton.as_ref().context("baton was not started")
    }

    /// Waits until the node's one cluster has `count` members that answer, and a primary.
    ///
    /// # Errors
    /// If that takes too long; with the log's end.
    pub fn wait_for_discovery(&self, count: usize) -> Result<()> {
        let found = wait_until(
            "all servers are discovered",
            Duration::from_secs(30),
            || {
                let Ok(instances) = self.api.get("/api/all-instances") else {
                    return Ok(false);
                };
                let valid = instances.as_array().map_or(0, |list| {
                    list.iter()
                        .filter(|i| i.get("IsLastCheckValid") == Some(&Value::Bool(true)))
                        .count()
                });
                Ok(valid == count && self.cluster().is_ok_and(|(_, primary)| primary.is_some()))
            },
        );
        let log = self.baton()?.log_tail(30);
        found.map(drop).with_context(|| {
            format!(
                "{:?}\nits log ends with:\n{log}",
                self.api.get_any("/api/v1/clusters")
            )
        })
    }

    /// Identity of the one cluster, and its primary's address.
    ///
    /// # Errors
    /// If the node does not answer or has no cluster.
    pub fn cluster(&self) -> Result<(String, Option<String>)> {
        let clusters = self.api.get("/api/v1/clusters")?;
        let list = clusters
            .get("clusters")
            .or_else(|| clusters.get("items"))
            .unwrap_or(&clusters);
        let first = list
            .as_array()
            .and_then(|list| list.first())
            .context("no cluster yet")?;
        let id = first
            .get("id")
            .and_then(Value::as_str)
            .context("a cluster without id")?;
        let primary = first.get("primary").and_then(|primary| {
            primary.as_str().map(str::to_owned).or_else(|| {
                primary
                    .get("address")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            })
        });
        Ok((id.to_owned(), primary))
    }

    /// Waits until a condition holds; the failure shows the end of the node's log.
    ///
    /// # Errors
    /// If it takes too long.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Result<()> {
        let reached = wait_until(what, limit, || Ok(condition()));
        let log = self
            .baton
            .as_ref()
            .map(|baton| baton.log_tail(60))
            .unwrap_or_default();
        reached
            .map(drop)
            .with_context(|| format!("the log of baton ends with:\n{log}"))
    }

    /// How often the node has looked at its clusters.
    ///
    /// # Errors
    /// If its metrics cannot be read.
    pub fn rounds_done(&self) -> Result<u64> {
        let metrics = self.api.get("/metrics")?;
        let text = metrics.as_str().context("metrics are text")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("baton_analyses_total "));
        let count = line.context("the metrics count analyses")?;
        count.trim().parse().context("read the count")
    }

    /// The server that takes writes, if it is the only one.
    pub fn only_writable(&self) -> Option<&Server> {
        match self.topology.writable().as_slice() {
            [server] => Some(*server),
            _ => None,
        }
    }

    /// Sets the promotion rule of a server, as an operator would.
    ///
    /// # Errors
    /// If the node refuses.
    pub fn set_promotion_rule(&self, name: &str, rule: &str) -> Result<()> {
        let address = self.topology.server(name)?.address();
        let (host, port) = (address.ip(), address.port());
        let path = format!("/api/register-candidate/{host}/{port}/{rule}");
        self.api.get(&path).map(drop)
    }

    /// Recoveries, newest first.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn recoveries(&self) -> Result<Vec<Value>> {
        let answer = self.api.get("/api/v1/recoveries")?;
        let list = answer
            .get("recoveries")
            .or_else(|| answer.get("items"))
            .unwrap_or(&answer);
        Ok(list.as_array().cloned().unwrap_or_default())
    }

    /// Waits until a recovery of that kind ended, and gives it.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_for_recovery(&self, kind: &str, limit: Duration) -> Result<Value> {
        let find = || {
            let rows = self.recoveries().unwrap_or_default();
            rows.into_iter().find(|row| {
                row.get("kind").and_then(Value::as_str) == Some(kind)
                    && row.get("outcome").and_then(Value::as_str) != Some("running")
            })
        };
        self.wait(&format!("a {kind} ends"), limit, || find().is_some())?;
        find().context("the recovery is gone again")
    }
}
