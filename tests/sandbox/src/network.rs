//! Networks of the sandbox's own, which can be cut.
//!
//! Each host is a network namespace with one interface; all are joined by a bridge in one
//! more namespace. The machine's own network is not touched and has no route into them, so
//! nothing can leave. Unix sockets work across, and so does [`Host::expose`].
//!
//! A link between two hosts is cut by telling each a wrong hardware address of the other:
//! packets vanish silently, as with a broken switch, on standing connections too. That needs
//! no packet filter, which many kernels of virtual machines lack.

mod forward;
mod host;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};

pub use forward::Forward;
pub use host::Host;

/// Distinguishes the networks of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Where `ip netns` keeps the names of namespaces.
const NAMESPACES: &str = "/run/netns";
/// All our namespaces are named `baton-PID-...`.
const PREFIX: &str = "baton-";
/// What nobody listens to.
const WRONG_HARDWARE_ADDRESS: &str = "02:d5:ff:ff:ff:ff";

/// A network with hosts. Clones mean the same network; it ends with the last of them and of
/// its hosts.
#[derive(Clone, Debug)]
pub struct Network {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What the names of its namespaces begin with.
    prefix: String,
    /// The namespaces of its hosts, in the order of their addresses.
    hosts: Mutex<Vec<host::Namespace>>,
}

impl Network {
    /// Makes a network. Needs root and `ip`: see [`Need::Namespaces`](crate::Need).
    pub fn new() -> Result<Self> {
        sweep();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{count}-", process::id());
        let network = Self {
            inner: Arc::new(Inner {
                prefix,
                hosts: Mutex::default(),
            }),
        };
        let hub = network.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        Ok(network)
    }

    /// Adds a host, or returns the one of that name.
    pub fn host(&self, name: &str) -> Result<Host> {
        let mut hosts = self.hosts();
        if let Some(namespace) = hosts.iter().find(|host| host.name == name) {
            return Ok(Host::new(self.clone(), namespace.clone()));
        }
        let number = u8::try_from(hosts.len() + 1).context("too many hosts in one network")?;
        let namespace = host::Namespace {
            name: name.to_owned(),
            namespace: format!("{}{name}", self.inner.prefix),
            port: format!("port{number}"),
            address: Ipv4Addr::new(10, 213, 0, number),
            hardware: format!("02:d5:00:00:00:{number:02x}"),
        };
        namespace.create(&self.hub())?;
        for other in hosts.iter() {
            other.know(namespace.address, &namespace.hardware)?;
            namespace.know(other.address, &other.hardware)?;
        }
        hosts.push(namespace.clone());
        Ok(Host::new(self.clone(), namespace))
    }

    /// Cuts what two hosts send each other. Both stay in touch with everybody else.
    pub fn cut(&self, one: &Host, other: &Host) -> Result<()> {
        self.cut_one_way(one, other)?;
        self.cut_one_way(other, one)
    }

    /// Cuts what one host sends to another, but not what it hears from it.
    pub fn cut_one_way(&self, from: &Host, to: &Host) -> Result<()> {
        from.namespace().know(to.address(), WRONG_HARDWARE_ADDRESS)
    }

    /// Undoes what cuts did between two hosts.
    pub fn heal(&self, one: &Host, other: &Host) -> Result<()> {
        one.namespace()
            .know(other.address(), &other.namespace().hardware)?;
        other
            .namespace()
            .know(one.address(), &one.namespace().hardware)
    }

    /// Cuts a host off from all others, as if its cable were pulled.
    pub fn unplug(&self, host: &Host) -> Result<()> {
        ip(&[
            "-n",
            &self.hub(),
            "link",
            "set",
            &host.namespace().port,
            "down",
        ])
    }

    /// Undoes [`Self::unplug`]; cuts stay.
    pub fn plug_in(&self, host: &Host) -> Result<()> {
        ip(&[
            "-n",
            &self.hub(),
            "link",
            "set",
            &host.namespace().port,
            "up",
        ])
    }

    fn hub(&self) -> String {
        format!("{}hub", self.inner.prefix)
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<host::Namespace>> {
        self.inner
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        remove_named(&self.prefix);
    }
}

/// Removes the namespaces of test processes that were killed.
fn sweep() {
    for name in names() {
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let lives = |process: &str| Path::new("/proc").join(process).exists();
        if process.is_some_and(|process| !lives(process)) {
            remove(&name);
        }
    }
}

fn remove_named(prefix: &str) {
    for name in names().iter().filter(|name| name.starts_with(prefix)) {
        remove(name);
    }
}

fn remove(name: &str) {
    // Another process may be sweeping too; what is left over is found by the next sweep.
    ip(&["netns", "del", name]).ok();
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn ip(arguments: &[&str]) -> Result<()> {
    // A user's path often lacks the directory where Debian puts it.
    let program = if Path::new("/usr/sbin/ip").exists() {
        "/usr/sbin/ip"
    } else {
        "ip"
    };
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("ip {} failed: {}", arguments.join(" "), errors.trim());
    }
    Ok(())
}

/// A name that fits into that of a namespace.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(is_plain),
        "{name:?} is no name of a host"
    );
    Ok(())
}
