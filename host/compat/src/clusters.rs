//! Finding servers and clusters by what a caller of the predecessor writes.

use std::net::Ipv4Addr;
use std::sync::Arc;

use baton_control::{ClusterView, Control};
use baton_core::ids::{Address, ServerId};

use crate::answer::{Failure, failed};
use crate::cluster::{LegacyCluster, cluster_name};

/// The port of a hint that has none.
const DEFAULT_PORT: u16 = 3306;

/// All clusters as they were when the request came in.
pub(crate) struct Clusters {
    views: Vec<Arc<ClusterView>>,
}

/// A server and its cluster.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) view: Arc<ClusterView>,
    pub(crate) server: ServerId,
    pub(crate) address: Address,
}

impl Clusters {
    pub(crate) fn of(control: &dyn Control) -> Self {
        Self {
            views: control.clusters(),
        }
    }

    /// In the order of the predecessor's names.
    pub(crate) fn all(&self) -> Vec<LegacyCluster<'_>> {
        let mut clusters: Vec<LegacyCluster<'_>> = self
            .views
            .iter()
            .map(|view| LegacyCluster::of(view))
            .collect();
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        clusters
    }

    /// A server by one of its addresses, or else by a part of its host name, if only one server
    /// matches.
    pub(crate) fn find_server(&self, host: &str, port: &str) -> Option<Found> {
        let address = address(host, port).ok()?;
        self.find_exact(&address)
            .or_else(|| self.find_alike(&address))
    }

    /// As [`Self::find_server`], refusing what is not known.
    pub(crate) fn require_server(&self, host: &str, port: &str) -> Result<Found, Failure> {
        let address = address(host, port)?;
        self.find_exact(&address)
            .or_else(|| self.find_alike(&address))
            .ok_or_else(|| failed(format!("Cannot read instance: {address}")))
    }

    /// A server by one of its addresses.
    pub(crate) fn find_exact(&self, address: &Address) -> Option<Found> {
        let found = |view: &Arc<ClusterView>| {
            let server = view.snapshot.server_at(address)?;
            Some(Found {
                view: Arc::clone(view),
                server: server.id.clone(),
                address: server.address.clone(),
            })
        };
        self.views.iter().find_map(found)
    }

    fn find_alike(&self, wanted: &Address) -> Option<Found> {
        if wanted.host.parse::<Ipv4Addr>().is_ok() {
            return None;
        }
        let mut alike = self.views.iter().flat_map(|view| {
            let servers = view.snapshot.servers.values();
            servers.map(move |server| (view, server))
        });
        let is_alike =
            |address: &Address| address.port == wanted.port && address.host.contains(&wanted.host);
        let mut alike = alike
            .by_ref()
            .filter(|(_, server)| is_alike(&server.address));
        let (view, server) = alike.next()?;
        alike.next().is_none().then(|| Found {
            view: Arc::clone(view),
            server: server.id.clone(),
            address: server.address.clone(),
        })
    }

    /// A cluster by the predecessor's name, Baton's name or identity, or a member.
    pub(crate) fn find_cluster(&self, hint: &str) -> Option<Arc<ClusterView>> {
        let by = |is_it: &dyn Fn(&ClusterView) -> bool| {
            self.views.iter().find(|view| is_it(view)).cloned()
        };
        by(&|view| cluster_name(view) == hint)
            .or_else(|| self.find_alias(hint))
            .or_else(|| by(&|view| view.snapshot.cluster.id.as_str() == hint))
            .or_else(|| {
                let address = Address::parse(hint, Some(DEFAULT_PORT)).ok()?;
                self.find_exact(&address)
                    .or_else(|| self.find_alike(&address))
                    .map(|found| found.view)
            })
    }

    /// A cluster by Baton's name of it.
    pub(crate) fn find_alias(&self, alias: &str) -> Option<Arc<ClusterView>> {
        self.views
            .iter()
            .find(|view| view.snapshot.cluster.name == alias)
            .cloned()
    }

    /// As [`Self::find_cluster`], refusing what is not known.
    pub(crate) fn require_cluster(&self, hint: &str) -> Result<Arc<ClusterView>, Failure> {
        self.find_cluster(hint).ok_or_else(|| {
            failed(format!(
                "Unable to determine cluster name. clusterHint={hint}"
            ))
        })
    }

    /// As [`Self::find_alias`], refusing what is not known.
    pub(crate) fn require_alias(&self, alias: &str) -> Result<Arc<ClusterView>, Failure> {
        self.find_alias(alias)
            .ok_or_else(|| failed(format!("Unable to determine cluster name. alias={alias}")))
    }
}

/// An address from two path segments.
pub(crate) fn address(host: &str, port: &str) -> Result<Address, Failure> {
    let number = port
        .parse::<u16>()
        .map_err(|_| failed(format!("Invalid port: {port}")))?;
    Address::new(host, number).map_err(|_| failed(format!("Invalid instance key: {host}:{port}")))
}
