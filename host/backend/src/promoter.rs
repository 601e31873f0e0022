//! Opens and closes the nodes of a pair: fence, look again, drain, open, read back.

use std::sync::Arc;
use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, ServerFacts, ThreadState};
use baton_ports::{
    ActSession, BackendNodes, FailureWord, Guard, LockState, ServerCommand, StatementError,
};
use tokio::time::{Instant, sleep};

use crate::facts::channel;
use crate::progress::{self};
use crate::rules::pair::is_writable;
use crate::spec::{PromotionSpec, Timing};

/// Limit of a statement that changes a server.
const CHANGE_LIMIT: Duration = Duration::from_secs(2);

/// The step that opens a node is refused by the node itself when it comes later than this.
const OPEN_WITHIN: Guard = Guard {
    within: Duration::from_secs(2),
};

/// How long a receiver that was made to connect anew may take to show that it cannot.
const RECONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Why the roles were left as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromotionError {
    /// Not reached.
    #[error("a session on {address} could not be opened ({failure})")]
    Unreachable {
        address: Address,
        failure: FailureWord,
    },
    /// A statement failed.
    #[error("a step on {address} failed")]
    Statement {
        address: Address,
        #[source]
        source: StatementError,
    },
    /// Another Baton is at it.
    #[error("another Baton node is changing the roles at {address}")]
    Locked { address: Address },
    /// The reason has gone.
    #[error("{address} takes writes again")]
    OtherIsOpen { address: Address },
    /// The receiver is connected.
    #[error("{address} is connected to the other node, which therefore lives")]
    OtherLives { address: Address },
    /// It did not take effect.
    #[error("{address} does not take writes although it was opened")]
    NotOpen { address: Address },
}

/// A node of the pair.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its place in the list of all nodes.
    pub(crate) place: usize,
    pub(crate) address: Address,
}

/// What a promoter is given.
#[derive(Clone)]
pub(crate) struct Promoter {
    pub(crate) nodes: Arc<dyn BackendNodes>,
    pub(crate) timing: Timing,
    pub(crate) spec: PromotionSpec,
    /// Name of the lock that excludes other Baton nodes.
    pub(crate) lock: String,
}

impl Promoter {
    /// Makes `candidate` the writable node.
    ///
    /// # Errors
    /// The roles are as before, but for a fenced `other`, which the next decision takes into
    /// account.
    pub(crate) async fn promote(
        &self,
        candidate: &Member,
        other: &Member,
        reconnect: bool,
    ) -> Result<(), PromotionError> {
        self.fence_if_reached(other).await?;
        let address = &candidate.address;
        let mut session = self.session(candidate).await?;
        let limit = self.timing.read * 2;
        match session
            .take_lock(limit)
            .await
            .map_err(|failure| unreachable(address, failure))?
        {
            LockState::Held => {}
            LockState::HeldBy { .. } | LockState::Free => {
                return Err(PromotionError::Locked {
                    address: address.clone(),
                });
            }
        }
        let facts = self
            .disconnected(address, session.as_mut(), reconnect)
            .await?;
        if is_writable(&facts) {
            return Ok(());
        }
        let received = channel(&facts).map(|channel| channel.received.clone());
        let statement = |source| PromotionError::Statement {
            address: address.clone(),
            source,
        };
        if let Some(set) = received {
            let limit = self.spec.drain;
            let drain = ServerCommand::WaitApplied { set, limit };
            session
                .perform(&drain, limit + CHANGE_LIMIT)
                .await
                .map_err(statement)?;
        }
        session
            .arm(OPEN_WITHIN, limit)
            .await
            .map_err(|failure| unreachable(address, failure))?;
        session
            .perform(&ServerCommand::OpenWrites(OPEN_WITHIN), CHANGE_LIMIT)
            .await
            .map_err(statement)?;
        let facts = read(address, session.as_mut(), limit).await?;
        if is_writable(&facts) {
            Ok(())
        } else {
            Err(PromotionError::NotOpen {
                address: address.clone(),
            })
        }
    }

    /// Closes a node that should be the passive one.
    ///
    /// # Errors
    /// It may be open still.
    pub(crate) async fn fence(&self, node: &Member) -> Result<(), PromotionError> {
        let mut session = self.session(node).await?;
        self.close(node, session.as_mut()).await
    }

    async fn close(
        &self,
        node: &Member,
        session: &mut dyn ActSession,
    ) -> Result<(), PromotionError> {
        let fence = ServerCommand::Fence { kill_writers: true };
        let done = session.perform(&fence, CHANGE_LIMIT).await;
        done.map_err(|source| PromotionError::Statement {
            address: node.address.clone(),
            source,
        })
    }

    /// Closes the other node if it answers. One that answers and cannot be closed forbids the
    /// promotion; one that takes writes again makes it unnecessary.
    async fn fence_if_reached(&self, other: &Member) -> Result<(), PromotionError> {
        let address = &other.address;
        let limit = self.timing.connect;
        let mut session = match self.nodes.act(other.place, &self.lock, limit).await {
            Ok(session) => session,
            Err(failure)
                if progress::is_silence(&failure) || progress::speaks_for_itself(&failure) =>
            {
                return Ok(());
            }
            Err(failure) => return Err(unreachable(address, failure)),
        };
        let facts = read(address, session.as_mut(), self.timing.read * 2).await?;
        if is_writable(&facts) {
            return Err(PromotionError::OtherIsOpen {
                address: address.clone(),
            });
        }
        self.close(other, session.as_mut()).await
    }

    /// The candidate's facts, its receiver not being connected.
    async fn disconnected(
        &self,
        address: &Address,
        session: &mut dyn ActSession,
        reconnect: bool,
    ) -> Result<ServerFacts, PromotionError> {
        let limit = self.timing.read * 2;
        let mut facts = read(address, session, limit).await?;
        if !reconnect {
            return Ok(facts);
        }
        // A source that hangs keeps its connections; it cannot accept a new one.
        let name = channel(&facts)
            .map(|channel| channel.name.clone())
            .unwrap_or_default();
        let command = ServerCommand::ReconnectReceiver { channel: name };
        let done = session.perform(&command, RECONNECT_LIMIT * 2).await;
        done.map_err(|source| PromotionError::Statement {
            address: address.clone(),
            source,
        })?;
        let deadline = Instant::now() + RECONNECT_LIMIT;
        while Instant::now() < deadline {
            facts = read(address, session, limit).await?;
            if is_connected(&facts) {
                return Err(PromotionError::OtherLives {
                    address: address.clone(),
                });
            }
            sleep(RECONNECT_LIMIT / 20).await;
        }
        Ok(facts)
    }

    async fn session(&self, node: &Member) -> Result<baton_ports::Session, PromotionError> {
        let limit = self.timing.connect * 2 + self.timing.read;
        let opened = self.nodes.act(node.place, &self.lock, limit).await;
        opened.map_err(|failure| unreachable(&node.address, failure))
    }
}

fn is_connected(facts: &ServerFacts) -> bool {
    channel(facts).is_some_and(|channel| channel.receiver == ThreadState::Running)
}

async fn read(
    address: &Address,
    session: &mut dyn ActSession,
    limit: Duration,
) -> Result<ServerFacts, PromotionError> {
    let answer = session.read(limit).await;
    answer
        .map(|answer| answer.facts)
        .map_err(|failure| unreachable(address, failure))
}

fn unreachable(address: &Address, failure: ProbeFailure) -> PromotionError {
    PromotionError::Unreachable {
        address: address.clone(),
        failure: FailureWord(failure),
    }
}
