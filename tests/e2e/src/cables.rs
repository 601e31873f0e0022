//! The network between the servers, the node and the clients of a bed.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use baton_sandbox::{Forward, Host, Network};

/// Every server on a host of its own, named after it, and the hosts `baton` and `client`.
#[derive(Clone, Debug)]
pub struct Cables {
    network: Network,
    baton: Host,
    client: Host,
    /// The way to the node's API, which no cut touches.
    api: Arc<Forward>,
}

impl Cables {
    /// Where the node listens on its host.
    pub(crate) const BATON_PORT: u16 = 3000;

    pub(crate) fn new() -> Result<Self> {
        let network = Network::new()?;
        let baton = network.host("baton")?;
        let client = network.host("client")?;
        let api = baton.expose(Self::BATON_PORT)?;
        Ok(Self {
            network,
            baton,
            client,
            api: Arc::new(api),
        })
    }

    /// Cuts what passes between two hosts, silently.
    ///
    /// # Errors
    /// If the network's tools fail.
    pub fn cut(&self, one: &str, other: &str) -> Result<()> {
        self.network
            .cut(&self.network.host(one)?, &self.network.host(other)?)
    }

    /// Cuts what one host sends to another, but not what it hears from it.
    ///
    /// # Errors
    /// If the network's tools fail.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<()> {
        self.network
            .cut_one_way(&self.network.host(from)?, &self.network.host(to)?)
    }

    /// Undoes [`Self::cut`] and [`Self::cut_one_way`].
    ///
    /// # Errors
    /// If the network's tools fail.
    pub fn heal(&self, one: &str, other: &str) -> Result<()> {
        self.network
            .heal(&self.network.host(one)?, &self.network.host(other)?)
    }

    /// Pulls a host's only cable.
    ///
    /// # Errors
    /// If the network's tools fail.
    pub fn unplug(&self, name: &str) -> Result<()> {
        self.network.unplug(&self.network.host(name)?)
    }

    /// Undoes [`Self::unplug`].
    ///
    /// # Errors
    /// If the network's tools fail.
    pub fn plug_in(&self, name: &str) -> Result<()> {
        self.network.plug_in(&self.network.host(name)?)
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn baton(&self) -> &Host {
        &self.baton
    }

    pub(crate) fn client(&self) -> &Host {
        &self.client
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.api.address()
    }
}
