//! MySQL NDB Cluster: two data nodes, a management node that arbitrates, two SQL nodes.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::{BackendOptions, Part, READY_LIMIT, Timers, at_once, prepare_all};
use crate::wait::wait_until;
use crate::{Host, Installation, Sandbox, Server, ServerOptions, free_port, places};

/// How to get it: no distribution has a package.
pub(super) const REMEDY: &str = "no package has it: set NDB_BASEDIR to an installation of MySQL \
                                 NDB Cluster, with bin/ndbd, bin/ndb_mgmd and bin/mysqld";

/// The management node's port on a host.
const MANAGEMENT_PORT: u16 = 1186;
/// A data node's port on a host.
const DATA_PORT: u16 = 2202;
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// Reading it takes the whole way to the data nodes.
const PROBE: &str = "SELECT COUNT(*) FROM sandbox.probe";

/// The parts of a cluster that speak no SQL.
#[derive(Debug)]
pub struct Ndb {
    /// The management node, which is also the arbitrator; in a network on a host of its own.
    pub management: Part,
    /// The two data nodes, each in a network on the host of the SQL node of the same number.
    pub data: Vec<Part>,
    waiter: Waiter,
}

/// The program that waits until all data nodes have started.
#[derive(Debug)]
struct Waiter {
    program: PathBuf,
    connect: String,
    host: Option<Host>,
}

/// Where the parts listen.
struct Places {
    management: (Option<Host>, SocketAddr),
    data: Vec<(Option<Host>, SocketAddr)>,
}

/// Finds an installation: `NDB_BASEDIR`, else what `cargo xtask setup` unpacked.
pub(crate) fn find() -> Result<PathBuf> {
    let unpacked = places::cache()?.join("ndb");
    let named = env::var_os("NDB_BASEDIR").map(PathBuf::from);
    let is_whole = |folder: &PathBuf| {
        ["ndbd", "ndb_mgmd", "ndb_waiter", "mysqld"]
            .iter()
            .all(|program| folder.join("bin").join(program).is_file())
    };
    named
        .into_iter()
        .chain([unpacked])
        .find(is_whole)
        .ok_or_else(|| anyhow!("no ndbd"))
}

/// Whether a table of the cluster can be read through this node.
pub(super) fn is_ready(server: &Server) -> Result<bool> {
    server.query(PROBE).map(|_| true)
}

impl Ndb {
    pub(super) fn prepare(
        sandbox: &Sandbox,
        prefix: &str,
        names: &[String],
        options: &BackendOptions,
    ) -> Result<(Self, Vec<Server>)> {
        let base = find()?;
        let management_name = format!("{prefix}-mgm");
        let places = Places::find(&management_name, names, options)?;
        let (host, address) = &places.management;
        let connect = address.to_string();
        let folder = sandbox.folder().join(&management_name);
        let config = write_config(&folder, sandbox.folder(), names, &places, options)?;
        let management = Part::new(
            sandbox,
            &management_name,
            &base.join("bin/ndb_mgmd"),
            vec![
                format!("--config-file={}", config.display()),
                format!("--configdir={}", folder.display()),
                "--nodaemon".into(),
            ],
            host.clone(),
        );
        let mut data = Vec::new();
        for (number, (host, _)) in (1..).zip(&places.data) {
            data.push(Part::new(
                sandbox,
                &format!("{prefix}-data{number}"),
                &base.join("bin/ndbd"),
                vec![
                    format!("--ndb-connectstring={connect}"),
                    format!("--ndb-nodeid={}", data_id(number)),
                    "--foreground".into(),
                    "--connect-retry-delay=1".into(),
                ],
                host.clone(),
            ));
        }
        let installation = Installation::ndb(&base)?;
        let servers = prepare_all(sandbox, &installation, names, |index| {
            let (host, _) = places.data.get(index).context("a node without a place")?;
            let mut extra = arguments(&connect, index + 1);
            extra.extend(options.extra.iter().cloned());
            Ok(ServerOptions {
                host: host.clone(),
                performance_schema: Some(false),
                extra,
                ..ServerOptions::default()
            })
        })?;
        let waiter = Waiter {
            program: base.join("bin/ndb_waiter"),
            connect,
            host: host.clone(),
        };
        let ndb = Self {
            management,
            data,
            waiter,
        };
        Ok((ndb, servers))
    }

    /// Starts what does not run. All at once, once the management node has the
    /// configuration: each part waits for those it needs.
    pub(super) fn start_all(&self, servers: &[Server]) -> Result<()> {
        if !self.management.is_running()? {
            self.launch_management()?;
        }
        for part in &self.data {
            if !part.is_running()? {
                part.launch()?;
            }
        }
        for server in servers.iter().filter(|server| server.pid().is_none()) {
            server.launch(&[])?;
        }
        self.wait_for_data(READY_LIMIT)?;
        for server in servers {
            server.require_answer(READY_LIMIT)?;
        }
        let first = servers.first().context("a cluster without SQL nodes")?;
        wait_until("a table can be created", READY_LIMIT, || {
            first.require_running()?;
            first.exec(
                "CREATE DATABASE IF NOT EXISTS sandbox; \
                 CREATE TABLE IF NOT EXISTS sandbox.probe (id INT PRIMARY KEY) ENGINE=NDBCLUSTER",
            )?;
            Ok(true)
        })
        .map(drop)
    }

    /// Starts the management node and waits until it answers: whoever asks it before, asks
    /// again only 5 s later.
    pub fn launch_management(&self) -> Result<()> {
        self.management.launch()?;
        let address: SocketAddr = self.waiter.connect.parse().context("its own address")?;
        let connect = || TcpStream::connect_timeout(&address, CONNECT_LIMIT).map(drop);
        wait_until("the management node answers", READY_LIMIT, || {
            match self.management.host() {
                Some(host) => host.run(connect)??,
                None => connect()?,
            }
            Ok(true)
        })
        .map(drop)
        .with_context(|| format!("its log ends with:\n{}", self.management.log_tail(20)))
    }

    /// A data node.
    ///
    /// # Panics
    /// When there is no such node: a mistake in the test.
    pub fn data_node(&self, node: usize) -> &Part {
        match self.data.get(node) {
            Some(part) => part,
            None => panic!("no data node {node}"),
        }
    }

    /// Starts a data node that was killed, or that ended because it lost the others, and
    /// waits until it has its data again.
    pub fn restart_data(&self, node: usize) -> Result<()> {
        let part = self.data_node(node);
        part.launch()?;
        self.wait_for_data(READY_LIMIT)
            .with_context(|| format!("its log ends with:\n{}", part.log_tail(20)))
    }

    /// Waits until all data nodes are started.
    pub fn wait_for_data(&self, limit: Duration) -> Result<()> {
        self.waiter.wait(limit)
    }

    pub(super) fn stop(&self) -> Result<()> {
        // Together: a node that is left alone asks the arbitrator, which may be gone.
        at_once(&self.data, Part::stop)?;
        self.management.stop()
    }

    pub(super) fn kill_all(&self) -> Result<()> {
        let kill = |part: &Part| {
            if part.is_running()? {
                part.kill9()?;
            }
            Ok(())
        };
        at_once(&self.data, kill)?;
        kill(&self.management)
    }
}

impl Waiter {
    fn wait(&self, limit: Duration) -> Result<()> {
        let mut command =
            crate::spawner::bound_command(self.host.as_ref(), self.program.as_os_str());
        command.arg(format!("--ndb-connectstring={}", self.connect));
        command.arg(format!("--timeout={}", limit.as_secs()));
        run(&mut command)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stdout);
        bail!("not all data nodes have started:\n{told}");
    }
    Ok(())
}

impl Places {
    fn find(management: &str, names: &[String], options: &BackendOptions) -> Result<Self> {
        let place = |name: &str, usual: u16| {
            let host = options.host(name)?;
            let address = match &host {
                Some(host) => SocketAddr::from((host.address(), usual)),
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            };
            Ok((host, address))
        };
        Ok(Self {
            management: place(management, MANAGEMENT_PORT)?,
            data: names
                .iter()
                .map(|name| place(name, DATA_PORT))
                .collect::<Result<Vec<_>>>()?,
        })
    }
}

/// Node numbers: the management node is 1, data nodes are 2 and 3, SQL nodes 51 and 52.
fn data_id(number: usize) -> usize {
    number + 1
}

fn sql_id(number: usize) -> usize {
    number + 50
}

fn write_config(
    folder: &Path,
    sandbox: &Path,
    names: &[String],
    places: &Places,
    options: &BackendOptions,
) -> Result<PathBuf> {
    let create =
        |path: &Path| fs::create_dir(path).with_context(|| format!("create {}", path.display()));
    create(folder)?;
    let (_, management) = &places.management;
    let timers = match options.timers {
        Timers::Fast => FAST,
        Timers::AsShipped => "",
    };
    let mut sections = vec![format!(
        "[ndbd default]\n{SIZES}{timers}\
         [ndb_mgmd]\nNodeId=1\nHostName={}\nPortNumber={}\nDataDir={}\n",
        management.ip(),
        management.port(),
        folder.display()
    )];
    for ((number, name), (_, address)) in (1..).zip(names).zip(&places.data) {
        let data = sandbox.join(format!("{name}-data"));
        create(&data)?;
        sections.push(format!(
            "[ndbd]\nNodeId={}\nHostName={}\nServerPort={}\nDataDir={}\n\
             [mysqld]\nNodeId={}\nHostName={}\n",
            data_id(number),
            address.ip(),
            address.port(),
            data.display(),
            sql_id(number),
            address.ip()
        ));
    }
    let path = folder.join("config.ini");
    fs::write(&path, sections.concat()).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// About 255 MB resident in each data node.
const SIZES: &str = "NoOfReplicas=2\nDataMemory=32M\nSharedGlobalMemory=20M\n\
    TransactionMemory=12M\nMaxNoOfConcurrentOperations=4096\nFragmentLogFileSize=4M\n\
    NoOfFragmentLogFiles=4\nRedoBuffer=4M\nLongMessageBuffer=4M\nDiskPageBufferMemory=4M\n";

/// A data node is dead after four missed beats.
const FAST: &str = "HeartbeatIntervalDbDb=500\nHeartbeatIntervalDbApi=500\n";

/// An SQL node has nothing of its own to replicate, and so no binary log.
fn arguments(connect: &str, number: usize) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--skip-log-bin",
        "--log-replica-updates=OFF",
        "--gtid-mode=OFF",
        "--enforce-gtid-consistency=OFF",
        "--ndbcluster",
        "--ndb-wait-connected=60",
        "--ndb-wait-setup=60",
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    arguments.push(format!("--ndb-connectstring={connect}"));
    arguments.push(format!("--ndb-nodeid={}", sql_id(number)));
    arguments
}
