//! A directory, and everything started in it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, ensure};

use crate::process::Process;
use crate::seed::Purpose;
use crate::spawner::bound_command;
use crate::{Flavor, Host, Installation, Server, ServerOptions, Topology, TopologySpec, places};

/// The file whose lock says that a sandbox's owner lives.
const OWNER: &str = "owner.lock";
/// The file, beside the sandboxes, that is locked while one is made or others are removed: a
/// directory that has no locked [`OWNER`] yet is not to be taken for an abandoned one.
const CHANGING: &str = "changing.lock";

/// The file that says that a sandbox's logs are to be kept after its owner's end.
const KEPT: &str = "kept";
/// For how long.
const KEPT_MAX: Duration = Duration::from_hours(24);

/// Owner of a working directory and of the servers and programs started in it.
///
/// Dropping it kills them and removes the directory, unless `BATON_SANDBOX_KEEP=1` or a test
/// is failing: then the logs stay and their place is printed.
#[derive(Debug)]
pub struct Sandbox {
    folder: PathBuf,
    servers: Mutex<Vec<Server>>,
    next_server_id: AtomicU32,
    _owner: File,
}

impl Sandbox {
    /// Makes a sandbox; `name` is for people who look at the machine.
    pub fn new(name: &str) -> Result<Self> {
        ensure!(
            name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "a sandbox is named with up to 40 letters, digits and hyphens, not {name:?}"
        );
        let working = places::working()?;
        let changing = File::create(working.join(CHANGING)).context("create the common lock")?;
        changing.lock().context("take the common lock")?;
        sweep(&working)?;
        let folder = new_folder(&working, name)?;
        let owner = File::create(folder.join(OWNER)).context("create the owner's lock")?;
        owner.lock().context("take the owner's lock")?;
        Ok(Self {
            folder,
            servers: Mutex::default(),
            next_server_id: AtomicU32::new(1),
            _owner: owner,
        })
    }

    /// Its directory; a test may put files there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a server.
    pub fn server(&self, flavor: Flavor, name: &str, options: ServerOptions) -> Result<Server> {
        let server = Server::start(self, flavor, name, options)?;
        self.adopt(&server);
        Ok(server)
    }

    /// Makes a node of a cluster, not yet started.
    pub(crate) fn prepared_server(
        &self,
        installation: Installation,
        name: &str,
        options: ServerOptions,
    ) -> Result<Server> {
        let server = Server::prepare(self, installation, Purpose::Backend, name, options)?;
        self.adopt(&server);
        Ok(server)
    }

    /// Starts a MariaDB server.
    pub fn mariadb(&self, name: &str, options: ServerOptions) -> Result<Server> {
        self.server(Flavor::MariaDb, name, options)
    }

    /// Starts a MySQL server.
    pub fn mysql(&self, name: &str, options: ServerOptions) -> Result<Server> {
        self.server(Flavor::MySql, name, options)
    }

    /// Starts servers and makes them replicate; returns when all replicas follow.
    pub fn topology(&self, flavor: Flavor, spec: &TopologySpec) -> Result<Topology> {
        Topology::start(self, flavor, spec)
    }

    /// Starts any other program, on a host if given; its output goes to a log in the sandbox's
    /// directory, where it also runs unless the command says otherwise.
    pub fn run(&self, name: &str, command: &Command, host: Option<&Host>) -> Result<Process> {
        let mut bound = bound_command(host, command.get_program());
        bound.args(command.get_args());
        bound.current_dir(command.get_current_dir().unwrap_or(&self.folder));
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => bound.env(variable, value),
                None => bound.env_remove(variable),
            };
        }
        Process::start(name, bound, &self.folder.join(format!("{name}.log")))
    }

    fn adopt(&self, server: &Server) {
        self.servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(server.clone());
    }

    pub(crate) fn next_server_id(&self) -> u32 {
        self.next_server_id.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let servers = self
            .servers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for server in servers.drain(..) {
            // It may have been killed already.
            server.kill9().ok();
        }
        let is_wanted = env::var("BATON_SANDBOX_KEEP").is_ok_and(|value| value == "1");
        if is_wanted || thread::panicking() {
            keep_logs(&self.folder);
        } else if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("could not remove {}: {error}", self.folder.display());
        }
    }
}

/// A directory that nobody has used before: process numbers come again, and logs that are kept, or
/// what could not be removed, may still lie under the one of a process that has ended.
fn new_folder(working: &Path, name: &str) -> Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name}-{}-", process::id()))
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(working)
        .with_context(|| format!("create a directory in {}", working.display()))?;
    Ok(folder.keep())
}

/// Keeps what a person reads and removes the data, which lies in memory.
fn keep_logs(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // Without the mark the next sandbox removes them; nothing else depends on it.
    File::create(folder.join(KEPT)).ok();
    for entry in entries {
        // Nobody is left to tell that one could not be removed.
        fs::remove_dir_all(entry.path().join("data")).ok();
    }
    eprintln!("logs of the sandbox are in {}", folder.display());
}

/// Removes what killed processes left behind, directories whose owner's lock is free, and
/// kept logs that are old.
fn sweep(working: &Path) -> Result<()> {
    let entries = fs::read_dir(working)
        .with_context(|| format!("list {}", working.display()))?
        .flatten();
    for entry in entries {
        let is_abandoned = File::open(entry.path().join(OWNER))
            .is_ok_and(|owner| owner.try_lock().is_ok() && !is_kept(&entry.path()));
        if is_abandoned || is_older_than(&entry, KEPT_MAX) {
            // What is still in use is removed by a later sweep.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(())
}

fn is_kept(folder: &Path) -> bool {
    folder.join(KEPT).exists()
}

fn is_older_than(entry: &fs::DirEntry, age: Duration) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|elapsed| elapsed > age))
}
