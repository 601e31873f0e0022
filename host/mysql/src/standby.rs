//! A fence that waits for a server that hangs.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::Address;
use baton_core::model::ProbeFailure;
use baton_ports::{ServerCommand, StandbyFence, StatementError};
use tokio::time::Instant;

use crate::commands::{Hold, Performer};
use crate::reading::Reader;
use crate::rows::Table;
use crate::servers::Access;
use crate::session::Session;
use crate::text::quote;

/// The server keeps an idle session for this long. Whoever keeps a fence ready opens a new one long
/// before.
const IDLE: Duration = Duration::from_mins(10);

/// Implements [`StandbyFence`].
pub(crate) struct MysqlStandbyFence {
    access: Access,
    address: Address,
    session: Session,
    helper: Session,
    reader: Reader,
    lock: String,
    holder: u64,
}

impl MysqlStandbyFence {
    pub(crate) async fn open(
        access: Access,
        address: Address,
        lock: &str,
        limit: Duration,
    ) -> Result<Self, ProbeFailure> {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let (mut session, reader) = access.introduce(&address, limit).await?;
        let mut helper = access.open(&address, left()).await?;
        let idle = format!("SET SESSION wait_timeout={}", IDLE.as_secs());
        helper.tables(&idle, left()).await?;
        let lock = quote(lock);
        let asked = format!("{idle}; SELECT IS_USED_LOCK({lock}) AS holder");
        let tables = session.tables(&asked, left()).await?;
        let holder = tables
            .last()
            .and_then(Table::first)
            .and_then(|record| record.number(&["holder"]));
        let nobody = || ProbeFailure::Other("nobody holds the lock".to_owned());
        Ok(Self {
            access,
            address,
            session,
            helper,
            reader,
            lock,
            holder: holder.ok_or_else(nobody)?,
        })
    }
}

#[async_trait]
impl StandbyFence for MysqlStandbyFence {
    async fn fence(mut self: Box<Self>, limit: Duration) -> Result<(), StatementError> {
        let command = ServerCommand::Fence { kill_writers: true };
        let mut performer = Performer {
            access: &self.access,
            address: &self.address,
            session: &mut self.session,
            reader: &self.reader,
            lock: &self.lock,
            word: command.word(),
            deadline: Instant::now() + limit,
            helper: Some(&mut self.helper),
            holder: Some(self.holder),
            holds: &mut Hold::default(),
        };
        performer.perform(&command).await
    }
}
