//! Changes: which statements make them, for each wording.

mod delay;
mod events;
mod fence;
mod point;
mod replication;
mod semi_sync;
mod wait;

use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};
use baton_ports::{Guard, ServerCommand, StatementError};
use mysql_async::prelude::AsQuery;
use tokio::time::{Instant, timeout_at};

use crate::failure::{statement_error, unknown};
use crate::reading::Reader;
use crate::rows::Table;
use crate::servers::Access;
use crate::session::Session;

pub(crate) use delay::LIFTED;
pub(crate) use fence::Hold;

/// The statement that sets the deadline of guarded steps, by the server's clock.
pub(crate) fn arm(guard: Guard) -> String {
    format!(
        "SET @until = SYSDATE(6) + INTERVAL {} MICROSECOND",
        guard.within.as_micros()
    )
}

/// One call of [`baton_ports::ActSession::perform`].
pub(crate) struct Performer<'a> {
    pub(crate) access: &'a Access,
    pub(crate) address: &'a Address,
    pub(crate) session: &'a mut Session,
    pub(crate) reader: &'a Reader,
    /// The lock's name as an SQL literal.
    pub(crate) lock: &'a str,
    pub(crate) word: &'static str,
    pub(crate) deadline: Instant,
    /// A second session for the fence; without, one is opened when it is needed.
    pub(crate) helper: Option<&'a mut Session>,
    /// Who may hold the lock when a fence is carried out; without, that was checked before.
    pub(crate) holder: Option<u64>,
    /// Whether the session has the global read lock, as part of a fence.
    pub(crate) holds: &'a mut Hold,
}

impl Performer<'_> {
    pub(crate) async fn perform(&mut self, command: &ServerCommand) -> Result<(), StatementError> {
        // The server refuses most changes while its session has the global read lock. The roles of
        // semi-sync it does not refuse, and nobody should wait for an acknowledgement while they
        // change.
        if !matches!(
            command,
            ServerCommand::Fence { .. } | ServerCommand::SetSemiSync { .. }
        ) {
            self.let_go().await?;
        }
        match command {
            ServerCommand::Fence { kill_writers } => self.fence(*kill_writers).await,
            ServerCommand::OpenWrites(_) => self.open_writes().await,
            ServerCommand::StopReceivers { channel } => {
                self.stop_receivers(channel.as_deref()).await
            }
            ServerCommand::SeverReceivers { channel } => {
                self.sever_receivers(channel.as_deref()).await
            }
            ServerCommand::StartReceivers { channel } => {
                self.start_receivers(channel.as_deref()).await
            }
            ServerCommand::ReconnectReceiver { channel } => self.reconnect_receiver(channel).await,
            ServerCommand::StopReplication { channel } => {
                self.stop_replication(channel.as_deref()).await
            }
            ServerCommand::StartReplication { channel } => {
                self.start_replication(channel.as_deref()).await
            }
            ServerCommand::StartAppliers { channel } => {
                self.start_appliers(channel.as_deref()).await
            }
            ServerCommand::SetDelay { channel, delay } => self.set_delay(channel, *delay).await,
            ServerCommand::WaitApplied { set, limit } => self.wait_applied(set, *limit).await,
            ServerCommand::ForgetReplication { channel } => {
                self.forget_replication(channel.as_deref()).await
            }
            ServerCommand::PointAt {
                channel,
                source,
                start,
                configured_account,
            } => {
                let at = point::PointAt {
                    channel,
                    source,
                    start: *start,
                    account: *configured_account,
                };
                self.point_at(at).await
            }
            ServerCommand::SetSemiSync { source, replica } => {
                self.set_semi_sync(*source, *replica).await
            }
            ServerCommand::RestoreEvents {
                states,
                keep_decided,
            } => self.restore_events(states, *keep_decided).await,
            ServerCommand::DisableEvents => self.disable_events().await,
        }
    }

    /// Sends statements; all must succeed.
    async fn run(&mut self, sql: &str) -> Result<Vec<Table>, StatementError> {
        self.run_allowing(sql, &[]).await
    }

    /// Sends statements; an error with one of the numbers means that nothing was left to do.
    async fn run_allowing(
        &mut self,
        sql: impl AsQuery,
        harmless: &[u16],
    ) -> Result<Vec<Table>, StatementError> {
        let silent = ProbeFailure::Timeout(TimeoutPhase::Statement);
        let sent = timeout_at(self.deadline, self.session.send(sql, || {}));
        let outcome = sent.await.map_err(|_| unknown(self.word, silent))?;
        match outcome.error {
            None => Ok(outcome.tables),
            Some(mysql_async::Error::Server(error)) if harmless.contains(&error.code) => {
                Ok(outcome.tables)
            }
            Some(error) => Err(statement_error(&error, self.word)),
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn refused(&self, number: u16, message: &str) -> StatementError {
        StatementError::Refused {
            command: self.word,
            number,
            message: message.to_owned(),
        }
    }
}
