//! What the API asks of the databases that hold Baton's own state. The watch over them is another
//! package's.

use std::time::Duration;

use async_trait::async_trait;
use baton_control::RequestError;
use baton_core::ids::LeaseEpoch;
use baton_ports::BackendStatus;

/// The databases that hold Baton's own state.
#[async_trait]
pub trait Backends: Send + Sync {
    /// What is known of them, from memory.
    fn status(&self) -> StateStatus;
    /// Moves the state to another of the configured backends, and uses that one from then on. Waits
    /// for the end.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with every reason if that is not safe now; nothing was done then.
    async fn move_to(&self, request: MoveRequest) -> Result<StateMove, RequestError>;
}

/// The order to move the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// Name of the backend that gets it.
    pub to: String,
    /// Go on although some other Baton nodes do not say whether they reach that backend.
    pub without_peers: bool,
    /// Who asks, for the audit.
    pub by: String,
}

/// How the state was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMove {
    /// The backend that held it.
    pub from: String,
    /// The backend that holds it.
    pub to: String,
    /// The node in use there.
    pub node: String,
    /// Rows copied.
    pub rows: usize,
    /// How long writes of this node waited.
    pub held: Duration,
    /// Epoch of the lease there.
    pub lease_epoch: LeaseEpoch,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStatus {
    /// In words, without secrets.
    pub store: String,
    /// What is known of the databases; `None` = the state is embedded.
    pub databases: Option<BackendStatus>,
}

/// A node whose state is in a file of its own, or in its memory.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// In words.
    pub store: String,
}

#[async_trait]
impl Backends for Embedded {
    fn status(&self) -> StateStatus {
        StateStatus {
            store: self.store.clone(),
            databases: None,
        }
    }

    async fn move_to(&self, request: MoveRequest) -> Result<StateMove, RequestError> {
        let message = format!(
            "the state is embedded ({}) and cannot be moved to {:?} while running: configure [[backend.cluster]] \
             and start anew, or copy the database file",
            self.store, request.to
        );
        Err(RequestError::Refused {
            reasons: vec![message.clone()],
            message,
        })
    }
}
