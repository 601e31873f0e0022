//! The port to the other nodes, simulated: a node that died closes its connections, one that is
//! frozen or cut off says nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use baton_control::{Control, Handle};
use baton_core::ids::{Address, LeaseEpoch};
use baton_ports::{PeerFailure, PeerReport, PeerSighting, Peers};
use tokio::time::{Instant, sleep};

use crate::network::NodeId;
use crate::server::Process;
use crate::world::World;

/// How often an asker looks whether there is an answer.
const LOOK: Duration = Duration::from_millis(3);

/// What a node shows to the others.
#[derive(Clone, Default)]
pub(crate) struct Mirror {
    /// Its process.
    pub(crate) process: Option<Process>,
    /// What it answers; `None` while it starts.
    pub(crate) report: Option<PeerReport>,
    /// Grows with each change of the report.
    pub(crate) version: u64,
    /// Epoch under which it last acted.
    pub(crate) epoch: LeaseEpoch,
    /// The way to ask it for more.
    pub(crate) handle: Option<Arc<Handle>>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror")
            .field("process", &self.process)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// Where a node is asked.
pub(crate) fn url(node: NodeId) -> String {
    format!("sim://{}", node.0)
}

fn node_at(url: &str) -> Option<NodeId> {
    let number = url.strip_prefix("sim://")?;
    number.parse().ok().map(NodeId)
}

/// A node's way to its peers.
#[derive(Debug)]
pub(crate) struct SimPeers {
    world: Arc<World>,
    node: NodeId,
    /// Versions that this asker was given.
    given: Mutex<BTreeMap<NodeId, u64>>,
}

enum Seen {
    Report(Box<PeerReport>, u64),
    Silent,
    Gone,
}

impl SimPeers {
    pub(crate) fn new(world: Arc<World>, node: NodeId) -> Self {
        Self {
            world,
            node,
            given: Mutex::default(),
        }
    }

    fn look(&self, target: NodeId) -> Seen {
        let state = self.world.lock();
        if !state.network.reaches(self.node, &target) {
            return Seen::Silent;
        }
        let Some(mirror) = state.mirrors.get(&target) else {
            return Seen::Gone;
        };
        match (mirror.process, &mirror.report) {
            (Some(Process::Up), Some(report)) => {
                Seen::Report(Box::new(report.clone()), mirror.version)
            }
            (Some(Process::Frozen), _) => Seen::Silent,
            (Some(Process::Up | Process::Dead) | None, _) => Seen::Gone,
        }
    }

    fn was_given(&self, target: NodeId, version: u64) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get(&target) == Some(&version)
    }

    fn give(&self, target: NodeId, version: u64) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(target, version);
    }
}

#[async_trait]
impl Peers for SimPeers {
    async fn report(
        &self,
        url: &str,
        wait: Duration,
        limit: Duration,
    ) -> Result<PeerReport, PeerFailure> {
        let target = node_at(url).ok_or(PeerFailure::Strange)?;
        let asked = Instant::now();
        sleep(Duration::from_millis(1)).await;
        loop {
            let waited = asked.elapsed();
            match self.look(target) {
                Seen::Gone => return Err(PeerFailure::Gone),
                Seen::Silent if waited >= wait + limit => return Err(PeerFailure::Silent),
                Seen::Report(report, version)
                    if waited >= wait || !self.was_given(target, version) =>
                {
                    self.give(target, version);
                    return Ok(*report);
                }
                Seen::Silent | Seen::Report(..) => {}
            }
            sleep(LOOK).await;
        }
    }

    async fn sightings(
        &self,
        url: &str,
        servers: &[Address],
        limit: Duration,
    ) -> Result<Vec<PeerSighting>, PeerFailure> {
        let target = node_at(url).ok_or(PeerFailure::Strange)?;
        sleep(Duration::from_millis(1)).await;
        match self.look(target) {
            Seen::Gone => Err(PeerFailure::Gone),
            Seen::Silent => {
                sleep(limit).await;
                Err(PeerFailure::Silent)
            }
            Seen::Report(..) => {
                let handle = {
                    let state = self.world.lock();
                    state.mirrors.get(&target).and_then(|m| m.handle.clone())
                };
                let handle = handle.ok_or(PeerFailure::Gone)?;
                Ok(handle.peer_sightings(servers))
            }
        }
    }
}
