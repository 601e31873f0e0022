//! Making faults, and taking back those that end by themselves.

use std::time::Instant;

use anyhow::{Context as _, Result};
use baton_sandbox::{Host, Network, Server};

use super::{Draw, Fault, Ground, Trigger};
use crate::Member;

/// Who plays which part in a round, as it began.
pub(super) struct Cast<'a> {
    pub(super) ground: &'a Ground,
    pub(super) draw: &'a Draw,
    pub(super) leader: usize,
    /// The backend's node that the leader used.
    pub(super) node: usize,
    pub(super) primary: &'a Server,
}

impl Cast<'_> {
    /// What has to be so before the round begins.
    pub(super) fn prepare(&self) -> Result<()> {
        if self.draw.fault == Fault::NodeRejoins {
            self.ground.backend[self.other_node()].kill9()?;
        }
        Ok(())
    }

    /// Something happens to the primary; a switchover is asked for elsewhere.
    pub(super) fn trigger(&self) -> Result<Instant> {
        match self.draw.trigger {
            Trigger::Kill => self.primary.kill9(),
            Trigger::Freeze => self.primary.freeze(),
            Trigger::Cut => {
                let at = Instant::now();
                self.cut_primary()?;
                Ok(at)
            }
            Trigger::Switchover | Trigger::Nothing => Ok(Instant::now()),
        }
    }

    fn cut_primary(&self) -> Result<()> {
        let own = self.primary.host().context("a server on a host")?;
        let servers = self.ground.topology.servers().iter();
        let others = self.ground.member_hosts().into_iter();
        others
            .chain(servers.filter_map(Server::host))
            .filter(|other| other.name() != own.name())
            .try_for_each(|other| self.ground.network().cut(own, other))
    }

    /// The fault begins.
    pub(super) fn begin(&self) -> Result<()> {
        let backend = &self.ground.backend;
        match self.draw.fault {
            Fault::LeaderKilled => self.leader().kill9().map(drop),
            Fault::LeaderFrozen => self.leader().freeze().map(drop),
            Fault::NodeKilled => self.kill_node(),
            Fault::NodeFrozen => backend[self.node].freeze().map(drop),
            Fault::LeaderAndNodeKilled => {
                self.leader().kill9()?;
                self.kill_node()
            }
            Fault::LeaderCutFromBackend => self.on_way_to_backend(Network::cut),
            Fault::LeaderCutFromPeers => self.on_way_to_peers(Network::cut),
            Fault::LeaderCutOff => {
                self.on_way_to_backend(Network::cut)?;
                self.on_way_to_peers(Network::cut)
            }
            Fault::BackendSplit => backend.isolate(self.node),
            Fault::BackendDown => backend.kill_all(),
            Fault::NodeRejoins => backend.launch(self.other_node()),
            Fault::Nothing => Ok(()),
        }
    }

    /// The fault ends, if it is of a kind that does.
    pub(super) fn end(&self) -> Result<()> {
        let backend = &self.ground.backend;
        match self.draw.fault {
            Fault::LeaderFrozen => self.leader().thaw(),
            Fault::NodeFrozen => backend[self.node].thaw(),
            Fault::LeaderCutFromBackend => self.on_way_to_backend(Network::heal),
            Fault::LeaderCutFromPeers => self.on_way_to_peers(Network::heal),
            Fault::LeaderCutOff => {
                self.on_way_to_backend(Network::heal)?;
                self.on_way_to_peers(Network::heal)
            }
            Fault::BackendSplit => backend.reconnect(self.node),
            Fault::LeaderKilled
            | Fault::NodeKilled
            | Fault::LeaderAndNodeKilled
            | Fault::BackendDown
            | Fault::NodeRejoins
            | Fault::Nothing => Ok(()),
        }
    }

    fn leader(&self) -> &Member {
        &self.ground.fleet[self.leader]
    }

    /// On NDB, every other time the data node of that host goes with it.
    fn kill_node(&self) -> Result<()> {
        let backend = &self.ground.backend;
        if let Some(ndb) = backend.ndb()
            && self.draw.number.is_multiple_of(2)
        {
            ndb.data_node(self.node).kill9()?;
        }
        backend[self.node].kill9().map(drop)
    }

    fn other_node(&self) -> usize {
        (self.node + 1) % self.ground.backend.nodes().len()
    }

    fn on_way_to_backend(
        &self,
        action: impl Fn(&Network, &Host, &Host) -> Result<()>,
    ) -> Result<()> {
        let nodes = self.ground.backend.nodes().iter();
        let hosts: Vec<&Host> = nodes.filter_map(Server::host).collect();
        self.ground.between(self.leader(), &hosts, action)
    }

    fn on_way_to_peers(&self, action: impl Fn(&Network, &Host, &Host) -> Result<()>) -> Result<()> {
        let hosts = self.ground.member_hosts();
        self.ground.between(self.leader(), &hosts, action)
    }
}
