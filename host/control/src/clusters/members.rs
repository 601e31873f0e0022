//! The members of one cluster: their picture, and readings out of turn.

use std::sync::Arc;
use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_core::ids::{ClusterId, ServerId};
use baton_core::model::{Bounds, ServerFacts, Snapshot, Topology};
use baton_ports::Clock;

use super::sessions::{Sessions, WorkError};
use crate::inventory::Registry;

/// One cluster's part of the inventory, and the sessions to its members.
pub(crate) struct Members {
    pub(crate) cluster: ClusterId,
    pub(crate) registry: Arc<Registry>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Members {
    /// The cluster now; `None` if it is not known any more.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.registry
            .snapshot(&self.cluster, self.clock.now(), self.clock.wall())
    }

    /// Reads a server now and puts the reading into the inventory.
    pub(crate) async fn observe(
        &self,
        server: &ServerId,
        limit: Duration,
    ) -> Result<ServerFacts, WorkError> {
        let answer = self.sessions.read(server, limit).await;
        let (now, wall) = (self.clock.now(), self.clock.wall());
        match answer {
            Ok(answer) => {
                let facts = answer.facts.clone();
                self.registry.answered(server, answer, now, wall);
                Ok(self.registry.with_restored(server, facts))
            }
            Err(failure) => {
                self.registry.failed(server, failure.clone(), now, wall);
                Err(WorkError::Lost(failure))
            }
        }
    }

    /// The channels of a server that lead to members of its cluster, and the part of `set` that
    /// belongs to the cluster. What the server reads from another cluster is not waited for, and
    /// its appliers stay as they are.
    pub(crate) fn own_part(&self, server: &ServerId, set: GtidSet) -> (Vec<String>, GtidSet) {
        let Some(snapshot) = self.snapshot() else {
            return (Vec::new(), set);
        };
        let topology = Topology::of(&snapshot);
        let bounds = Bounds::of(&snapshot, &topology);
        let inner = bounds.inner(&topology, server);
        let channels = inner.map(|edge| edge.channel.name.clone()).collect();
        (channels, bounds.own(&snapshot, &topology, server, set))
    }
}
