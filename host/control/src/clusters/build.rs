//! Building the loop of a cluster from the parts of the node.

use std::sync::{Arc, Mutex};

use baton_core::ids::ClusterId;
use baton_ports::{Clock, Policies, Servers, Store};
use tokio::sync::mpsc;

use super::decide::{ClusterLoop, LoopLinks, Published};
use super::members::Members;
use super::policy::PolicyClient;
use super::records::Records;
use super::recover::{Driver, Performer, Repairs};
use super::sessions::Sessions;
use super::table::ClusterHandle;
use crate::clusters::quorum::ClusterQuorum;
use crate::counters::Counters;
use crate::inventory::{Operators, Registry};
use crate::leadership::LeaseKeeper;
use crate::leadership::PeerTable;

/// Requests waiting for one cluster; a person's orders, so a few are plenty.
const REQUESTS: usize = 16;

/// Builds loops. It knows the node's parts so that no loop has to.
pub(crate) struct ClusterFactory {
    pub(crate) registry: Arc<Registry>,
    pub(crate) operators: Arc<Operators>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) servers: Arc<dyn Servers>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
}

impl ClusterFactory {
    /// The loop of a cluster, to be run, and the way to reach it; `None` if the cluster is gone.
    pub(crate) fn build(&self, id: &ClusterId) -> Option<(ClusterLoop, ClusterHandle)> {
        let wake = {
            let inventory = self.registry.latest();
            Arc::clone(&inventory.clusters.get(id)?.wake)
        };
        let members = Arc::new(self.members(id));
        let quorum = Arc::new(ClusterQuorum {
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock),
            lease: Arc::clone(&self.lease),
            sessions: Arc::clone(&members.sessions),
            cluster: id.clone(),
            checks: Mutex::default(),
        });
        let records = Arc::new(Records {
            cluster: id.clone(),
            store: Arc::clone(&self.store),
            operators: Arc::clone(&self.operators),
            counters: Arc::clone(&self.counters),
        });
        let policy = Arc::new(PolicyClient {
            node: self.registry.settings.node.clone(),
            policies: Arc::clone(&self.policies),
            counters: Arc::clone(&self.counters),
        });
        let performer = Arc::new(Performer {
            members: Arc::clone(&members),
            quorum: Arc::clone(&quorum),
            records: Arc::clone(&records),
        });
        let repairs = Arc::new(Repairs::new(Arc::clone(&performer)));
        let driver = Arc::new(Driver {
            members: Arc::clone(&members),
            quorum: Arc::clone(&quorum),
            records: Arc::clone(&records),
            policy: Arc::clone(&policy),
            performer,
        });
        let published = Arc::new(Published::default());
        let (sender, requests) = mpsc::channel(REQUESTS);
        let handle = ClusterHandle {
            published: Arc::clone(&published),
            requests: sender,
            policy: Arc::clone(&policy),
        };
        let links = LoopLinks {
            published,
            wake,
            requests,
        };
        let peers = Arc::clone(&self.peers);
        let built = ClusterLoop::new(
            (members, quorum),
            (records, policy),
            (driver, repairs),
            peers,
            links,
        );
        Some((built, handle))
    }

    fn members(&self, id: &ClusterId) -> Members {
        Members {
            cluster: id.clone(),
            registry: Arc::clone(&self.registry),
            sessions: Arc::new(Sessions::new(
                Arc::clone(&self.registry),
                Arc::clone(&self.servers),
                (Arc::clone(&self.lease), Arc::clone(&self.clock)),
                id,
            )),
            clock: Arc::clone(&self.clock),
        }
    }
}
