//! A topology and a node that looks after it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use baton_sandbox::{
    Flavor, Process, Sandbox, SemiSync, Server, Topology, TopologySpec, find_baton, free_port,
    wait_until,
};
use serde_json::Value;

use crate::Api;

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
    /// Lines added to the configuration, before all sections (`[section]` headers allowed).
    pub config: String,
    /// `recovery.automatic`.
    pub automatic: bool,
}

impl BedOptions {
    /// A primary with three replicas and one below the first of them, semi-sync, recovered without a person.
    pub fn new(name: &str, flavor: Flavor) -> Self {
        Self {
            name: name.to_owned(),
            flavor,
            sketch: "p1\nr1 <- p1\nr2 <- p1\nr3 <- p1\nc1 <- r1".to_owned(),
            semi_sync: true,
            config: String::new(),
            automatic: true,
        }
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
    config: PathBuf,
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
        let mut spec = TopologySpec::parse(&options.sketch)?;
        if options.semi_sync {
            spec = spec.with_semi_sync(SemiSync::default());
        }
        let topology = sandbox.topology(options.flavor, &spec)?;
        let port = free_port()?;
        let config = sandbox.folder().join("baton.toml");
        let seed = topology
            .servers()
            .last()
            .context("an empty topology")?
            .address();
        let store = sandbox.folder().join("baton.db");
        let automatic = if options.automatic { r#"["*"]"# } else { "[]" };
        let text = format!(
            "[node]\nname = \"baton-1\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n\
             [topology]\nuser = \"baton\"\npassword = \"baton\"\nseeds = [\"{seed}\"]\n\
             [replication]\nuser = \"repl\"\npassword = \"repl\"\n\
             [recovery]\nautomatic = {automatic}\n\
             [backend]\nkind = \"sqlite\"\npath = \"{}\"\n{}\n",
            store.display(),
            options.config
        );
        fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
        let api = Api::new(&format!("http://127.0.0.1:{port}"));
        Ok(Self {
            baton: None,
            api,
            topology,
            sandbox,
            config,
        })
    }

    /// Starts (again) the node with the same configuration and store.
    ///
    /// # Errors
    /// If it does not start or does not answer.
    pub fn start_baton(&mut self) -> Result<()> {
        let mut command = Command::new(find_baton()?);
        command.arg("serve").arg("--config").arg(&self.config);
        let process = self.sandbox.run("baton", &command, None)?;
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

    /// The server that takes writes, if it is the only one.
    pub fn only_writable(&self) -> Option<&Server> {
        match self.topology.writable().as_slice() {
            [server] => Some(*server),
            _ => None,
        }
    }

    /// Recoveries that ended, newest first.
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
