//! The port to the other Baton nodes: what they see, and whether they live.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, ServerId};
use baton_core::policy::Reach;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its name.
    pub name: NodeName,
    /// Unique per process start.
    pub incarnation: String,
    /// It acts: it holds the lease, or acts without the backend.
    pub acts: bool,
    /// The store granted it the epoch under which it acts; one that took over while the store was
    /// away chose its epoch itself.
    pub granted: bool,
    /// Epoch under which it acts, or the last it saw.
    pub epoch: LeaseEpoch,
    /// Who holds the lease, as far as it knows.
    pub leader: Option<NodeName>,
    /// Its backend answers.
    pub store_answers: bool,
    /// Identity of the backend node in use, if it has several.
    pub backend_node: Option<String>,
    /// Names of nodes that it hears.
    pub hears: Vec<NodeName>,
    /// Primaries it knows, with the epoch under which each was recorded.
    pub primaries: Vec<(ClusterId, ServerId, LeaseEpoch)>,
}

/// How a node sees a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSighting {
    /// The server's address, as asked.
    pub address: Address,
    /// State.
    pub reach: Reach,
    /// Word of the last failure.
    pub failure: Option<String>,
    /// Age of the last full answer.
    pub answered_age: Option<Duration>,
    /// Age of the last finished attempt.
    pub attempt_age: Option<Duration>,
    /// Failed attempts since the last full answer.
    pub failures: u32,
}

/// Why a peer did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerFailure {
    /// Nobody listens there, or the connection was closed: the process is gone.
    Gone,
    /// No answer in time: frozen, or the network is cut.
    Silent,
    /// It answered something else than expected (another program, another version, a wrong
    /// password).
    Strange,
}

/// Asks the other nodes. One implementation speaks HTTP, the other is the simulator's.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Asks the node at `url` for its report. The node answers at once if its report differs from
    /// what was given to this asker before, else after `wait`; so the end of its process is noticed
    /// at once. `limit` counts from the end of `wait`.
    ///
    /// # Errors
    /// See [`PeerFailure`].
    async fn report(
        &self,
        url: &str,
        wait: Duration,
        limit: Duration,
    ) -> Result<PeerReport, PeerFailure>;

    /// Asks the node at `url` how it sees these servers now. A server that it does not watch is
    /// left out.
    ///
    /// # Errors
    /// See [`PeerFailure`].
    async fn sightings(
        &self,
        url: &str,
        servers: &[Address],
        limit: Duration,
    ) -> Result<Vec<PeerSighting>, PeerFailure>;
}
