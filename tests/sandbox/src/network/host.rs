//! One host of a sandbox's network.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Forward, NAMESPACES, Network, check_name, ip};

/// A host: a network namespace with one address. Clones mean the same host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Keeps the network while somebody uses the host.
    _network: Network,
    namespace: Namespace,
}

/// What makes a host.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) namespace: String,
    /// The bridge's side of its cable.
    pub(super) port: String,
    pub(super) address: Ipv4Addr,
    pub(super) hardware: String,
}

impl Host {
    pub(super) fn new(network: Network, namespace: Namespace) -> Self {
        Self {
            _network: network,
            namespace,
        }
    }

    /// Its name in the network.
    pub fn name(&self) -> &str {
        &self.namespace.name
    }

    /// Its address, which only hosts of the same network reach.
    pub fn address(&self) -> Ipv4Addr {
        self.namespace.address
    }

    /// Runs a function on a thread whose new sockets belong to this host.
    pub fn run<T: Send>(&self, function: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                Ok(function())
            });
            inside
                .join()
                .map_err(|_| anyhow!("a function on {} panicked", self.name()))?
        })
    }

    /// Makes a port of this host reachable from the machine's own loopback interface, until
    /// the answer is dropped.
    pub fn expose(&self, port: u16) -> Result<Forward> {
        Forward::start(self.clone(), port)
    }

    /// Moves the calling thread to this host for good.
    pub(crate) fn enter(&self) -> Result<()> {
        let path = Path::new(NAMESPACES).join(&self.namespace.namespace);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("enter {}", path.display()))
    }

    /// The namespace's name for `ip` and `nsenter`.
    pub(crate) fn namespace_name(&self) -> &str {
        &self.namespace.namespace
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Namespace {
    pub(super) fn create(&self, hub: &str) -> Result<()> {
        check_name(&self.name)?;
        let (own, port, hardware) = (&self.namespace, &self.port, &self.hardware);
        let address = format!("{}/24", self.address);
        ip(&["netns", "add", own])?;
        ip(&[
            "-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own,
        ])?;
        ip(&["-n", hub, "link", "set", port, "master", "br0", "up"])?;
        ip(&["-n", own, "link", "set", "lo", "up"])?;
        ip(&["-n", own, "link", "set", "eth0", "address", hardware, "up"])?;
        ip(&["-n", own, "addr", "add", &address, "dev", "eth0"])
    }

    /// Says where an address is to be sought: no asking around, and so no way around a cut.
    pub(super) fn know(&self, address: Ipv4Addr, hardware: &str) -> Result<()> {
        let address = address.to_string();
        ip(&[
            "-n",
            &self.namespace,
            "neigh",
            "replace",
            &address,
            "lladdr",
            hardware,
            "nud",
            "permanent",
            "dev",
            "eth0",
        ])
    }
}
