//! One real server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use mysql_async::Opts;

use crate::options::{Home, ServerOptions};
use crate::process::Process;
use crate::seed::{self, Purpose};
use crate::{Account, Flavor, Host, Installation, Rows, Sandbox, sql};

/// Hosts of a network have all ports to themselves.
const PORT_ON_HOST: u16 = 3306;
/// Longest start seen is 4 s; a machine with other work to do gets ten times that.
const START_LIMIT: Duration = Duration::from_secs(40);
/// A clean end flushes everything; on a memory file system that takes a second.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// For statements: long enough for any that is not stuck.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// A running (or killed, or frozen) server. Clones mean the same server.
#[derive(Clone, Debug)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    address: SocketAddr,
    folder: PathBuf,
    installation: Installation,
    options: ServerOptions,
    process: Mutex<Option<Process>>,
}

impl Server {
    /// Copies a data directory and starts a server in it.
    pub(crate) fn start(
        sandbox: &Sandbox,
        flavor: Flavor,
        name: &str,
        options: ServerOptions,
    ) -> Result<Self> {
        let installation = Installation::find(flavor)?;
        let server = Self::prepare(sandbox, installation, Purpose::Managed, name, options)?;
        server.begin(&[])?;
        Ok(server)
    }

    /// Copies a data directory, but starts nothing in it yet.
    pub(crate) fn prepare(
        sandbox: &Sandbox,
        installation: Installation,
        purpose: Purpose,
        name: &str,
        mut options: ServerOptions,
    ) -> Result<Self> {
        let seed = seed::require(&installation, purpose)?;
        let folder = sandbox.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        seed::copy(&seed, &folder.join("data"))?;
        installation.hand_over(&folder)?;
        options
            .server_id
            .get_or_insert_with(|| sandbox.next_server_id());
        let address = match &options.host {
            Some(host) => SocketAddr::from((host.address(), PORT_ON_HOST)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, crate::free_port()?)),
        };
        let inner = Inner {
            name: name.to_owned(),
            address,
            folder,
            installation,
            options,
            process: Mutex::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Its name in the sandbox.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its family.
    pub fn flavor(&self) -> Flavor {
        self.inner.installation.flavor()
    }

    /// The host it runs on, if that is not this machine.
    pub fn host(&self) -> Option<&Host> {
        self.inner.options.host.as_ref()
    }

    /// Where it listens, and only there.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.inner.address.port()
    }

    /// Its `server_id`.
    pub fn server_id(&self) -> u32 {
        self.inner.options.server_id.unwrap_or_default()
    }

    /// Its data directory.
    pub fn datadir(&self) -> PathBuf {
        self.inner.folder.join("data")
    }

    /// Its socket, which works whatever happens to networks.
    pub fn socket(&self) -> PathBuf {
        self.inner.folder.join("socket")
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// Memory resident in the process, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let pid = self.pid().context("the server does not run")?;
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("no VmRSS in {path}"))?;
        Ok(kilobytes * 1024)
    }

    /// How an account reaches it over TCP, as a URL for clients, from where that can be reached.
    pub fn url(&self, account: Account) -> String {
        let name = account.name();
        format!("mysql://{name}:{name}@{}/", self.address())
    }

    /// Connection options of an account over TCP, from where that can be reached.
    pub fn opts(&self, account: Account) -> Opts {
        sql::account_opts(self.address(), account)
    }

    /// Runs statements as root over the socket; the first one's rows, as text.
    pub fn query(&self, statements: &str) -> Result<Rows> {
        self.query_within(statements, STATEMENT_LIMIT)
    }

    /// Like [`Self::query`], for statements that take longer, or must not take as long.
    pub fn query_within(&self, statements: &str, limit: Duration) -> Result<Rows> {
        let opts = sql::socket_opts(&self.socket(), None);
        sql::query(opts, statements, limit).with_context(|| format!("on {self}"))
    }

    /// Runs statements as an account, over TCP unless the server is on a host of a network;
    /// the first one's rows, as text.
    pub fn query_as(&self, account: Account, statements: &str) -> Result<Rows> {
        let opts = match self.host() {
            Some(_) => sql::socket_opts(&self.socket(), Some(account)),
            None => self.opts(account),
        };
        sql::query(opts, statements, STATEMENT_LIMIT)
            .with_context(|| format!("on {self} as {}", account.name()))
    }

    /// Runs statements as root over the socket.
    pub fn exec(&self, statements: &str) -> Result<()> {
        self.query(statements).map(drop)
    }

    /// The first value of the first row, as root over the socket.
    pub fn scalar(&self, statement: &str) -> Result<String> {
        let rows = self.query(statement)?;
        let value = rows.first().and_then(|row| row.at(0));
        value
            .map(str::to_owned)
            .with_context(|| format!("{statement:?} on {self} gave no value"))
    }

    /// Whether ordinary accounts may write.
    pub fn is_writable(&self) -> Result<bool> {
        Ok(self.scalar("SELECT @@GLOBAL.read_only")? == "0")
    }

    /// Kills it as a crash would, and says at what moment.
    pub fn kill9(&self) -> Result<Instant> {
        match self.process().take() {
            Some(process) => process.kill9(),
            None => bail!("{self} does not run"),
        }
    }

    /// Stops it in mid-instruction (SIGSTOP) and says at what moment: connections stay open
    /// and the kernel accepts new ones, but nothing answers.
    pub fn freeze(&self) -> Result<Instant> {
        self.require_process(Process::freeze)
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) -> Result<()> {
        self.require_process(Process::thaw)
    }

    /// Shuts it down cleanly.
    pub fn stop(&self) -> Result<()> {
        let Some(process) = self.process().take() else {
            return Ok(());
        };
        let status = process.terminate(STOP_LIMIT)?;
        if !status.success() {
            bail!("{self} ended with {status}:\n{}", process.log_tail(20));
        }
        Ok(())
    }

    /// Starts it again, stopping it first if it runs: same data, port and options.
    pub fn restart(&self) -> Result<()> {
        self.restart_with(&[])
    }

    /// Like [`Self::restart`], with options for this start only.
    pub fn restart_with(&self, extra: &[&str]) -> Result<()> {
        self.stop()?;
        self.begin(extra)
    }

    /// Starts it again as a server that may have been a primary should start: closed to ordinary
    /// accounts, with the replica's side of semi-synchronous replication on.
    pub fn restart_closed(&self) -> Result<()> {
        let arguments = self.inner.options.closed_arguments(self.flavor());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.restart_with(&arguments)
    }

    /// Whether it was started and has not ended by itself.
    pub fn is_running(&self) -> Result<bool> {
        match self.process().as_ref() {
            Some(process) => Ok(process.exit_status()?.is_none()),
            None => Ok(false),
        }
    }

    /// Replaces its data with a copy of a replica's, as one rebuilds a server from a backup.
    /// Both are stopped for it and started closed; the copy follows whom the replica follows.
    pub fn rebuild_from(&self, replica: &Self) -> Result<()> {
        if self.pid().is_some() {
            self.kill9()?;
        }
        replica.stop()?;
        let data = self.datadir();
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        seed::copy(&replica.datadir(), &data)?;
        self.inner.installation.hand_over(&data)?;
        replica.restart_closed()?;
        self.restart_closed()
    }

    /// Replaces its data with those of a server that nobody has written to yet, and starts it
    /// closed: another server at its address.
    pub fn replace_with_empty(&self) -> Result<()> {
        if self.pid().is_some() {
            self.kill9()?;
        }
        let data = self.datadir();
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        let seed = seed::require(&self.inner.installation, Purpose::Managed)?;
        seed::copy(&seed, &data)?;
        self.inner.installation.hand_over(&data)?;
        self.restart_closed()
    }

    /// The last lines of its error log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.process()
            .as_ref()
            .map(|process| process.log_tail(lines))
            .unwrap_or_default()
    }

    fn begin(&self, extra: &[&str]) -> Result<()> {
        self.launch(extra)?;
        let answered = self.require_answer(START_LIMIT);
        if answered.is_err() {
            // What does not start is not left to start later.
            drop(self.process().take());
        }
        answered
    }

    /// Starts it and returns at once; members of a cluster may have to wait for each other.
    pub(crate) fn launch(&self, extra: &[&str]) -> Result<()> {
        // MySQL does not start while the process that the file names lives; after a kill that may
        // be anybody's.
        fs::remove_file(self.inner.folder.join("socket.lock")).ok();
        let command = self.command(extra);
        let process = Process::start(self.name(), command, &self.inner.folder.join("log"))?;
        *self.process() = Some(process);
        Ok(())
    }

    /// The command that starts it, here or where it belongs.
    pub(crate) fn command(&self, extra: &[&str]) -> Command {
        let inner = &self.inner;
        let home = Home {
            folder: &inner.folder,
            address: inner.address,
            server_id: self.server_id(),
        };
        let mut command = inner.installation.command(inner.options.host.as_ref());
        command
            .args(inner.options.arguments(self.flavor(), &home))
            .args(extra);
        command
    }

    /// Waits for the first answer; a server that ends instead is reported with its log.
    pub(crate) fn require_answer(&self, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        let opts = sql::socket_opts(&self.socket(), None);
        while sql::query(opts.clone(), "SELECT 1", STATEMENT_LIMIT).is_err() {
            self.require_running()?;
            if begun.elapsed() > limit {
                bail!(
                    "{self} did not start within {limit:?}:\n{}",
                    self.log_tail(20)
                );
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// An error with the end of its log if it has ended by itself.
    pub(crate) fn require_running(&self) -> Result<()> {
        let process = self.process();
        let process = process
            .as_ref()
            .ok_or_else(|| anyhow!("{self} does not run"))?;
        if let Some(status) = process.exit_status()? {
            let log = process.log_tail(20);
            bail!("{self} ended with {status} instead of starting:\n{log}");
        }
        Ok(())
    }

    fn require_process<T>(&self, action: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
        let process = self.process();
        action(
            process
                .as_ref()
                .ok_or_else(|| anyhow!("{self} does not run"))?,
        )
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.inner
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} ({} at {})",
            self.name(),
            self.flavor(),
            self.address()
        )
    }
}
