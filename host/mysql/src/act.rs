//! The standing session that may change a server.

use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::Address;
use baton_core::model::{CommitProbe, ProbeFailure};
use baton_ports::{ActSession, Guard, LockState, ServerCommand, StatementError, WatchAnswer};
use tokio::time::Instant;

use crate::commands::{self, Hold, Performer};
use crate::dialect::{Dialect, Extent};
use crate::reading::{Ask, Depth, Reader};
use crate::rows::Table;
use crate::servers::Access;
use crate::session::Session;
use crate::text::quote;
use crate::watch::Hints;

/// Implements [`ActSession`].
#[derive(Debug)]
pub(crate) struct MysqlActSession {
    access: Access,
    address: Address,
    session: Session,
    reader: Reader,
    /// The lock's name as an SQL literal.
    lock: String,
    hints: Hints,
    holds: Hold,
}

impl MysqlActSession {
    pub(crate) async fn open(
        access: Access,
        address: Address,
        lock: &str,
        (mut session, reader): (Session, Reader),
        limit: Duration,
    ) -> Result<Self, ProbeFailure> {
        let idle = access.settings.lock_idle_timeout.as_secs().max(1);
        session
            .tables(&format!("SET SESSION wait_timeout={idle}"), limit)
            .await?;
        Ok(Self {
            access,
            address,
            session,
            reader,
            lock: quote(lock),
            hints: Hints::default(),
            holds: Hold::default(),
        })
    }

    /// Asks for a number, the holder of the lock, and this session's own number.
    async fn lock_state(
        &mut self,
        number: &str,
        limit: Duration,
    ) -> Result<(bool, LockState), ProbeFailure> {
        let sql = format!(
            "SELECT {number} AS answer, IS_USED_LOCK({lock}) AS holder, CONNECTION_ID() AS me",
            lock = self.lock
        );
        let tables = self.session.tables(&sql, limit).await?;
        let record = tables
            .first()
            .and_then(Table::first)
            .ok_or(ProbeFailure::NotMysql)?;
        let me: u64 = record.number(&["me"]).ok_or(ProbeFailure::NotMysql)?;
        let state = match record.number::<u64>(&["holder"]) {
            Some(holder) if holder == me => LockState::Held,
            Some(connection) => LockState::HeldBy { connection },
            None => LockState::Free,
        };
        Ok((record.flag(&["answer"]) == Some(true), state))
    }
}

#[async_trait]
impl ActSession for MysqlActSession {
    async fn read(&mut self, limit: Duration) -> Result<WatchAnswer, ProbeFailure> {
        let deadline = Instant::now() + limit;
        let clock = self.access.clock.clone();
        let ask = Ask {
            pause: Duration::ZERO,
            limit,
            depth: Depth::Full,
        };
        let evaluated = self
            .reader
            .read(&mut self.session, clock.as_ref(), ask)
            .await?;
        if self.reader.is_outdated() {
            let dialect = Dialect::discover(&mut self.session, Extent::All, deadline).await?;
            self.reader.renew(dialect);
            self.reader
                .read(&mut self.session, clock.as_ref(), ask)
                .await?;
        }
        if let Some(channels) = self.reader.take_seen_channels() {
            self.access.channels.note(&self.address, channels);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.hints
            .refresh(
                (&mut self.session, self.reader.dialect()),
                &self.access.settings.queries,
                clock.now(),
                left,
            )
            .await?;
        let beside = self.hints.beside(CommitProbe::NotTried);
        let facts = self
            .reader
            .facts(beside)
            .map_err(|_| ProbeFailure::NotMysql)?;
        Ok(evaluated.answer(facts))
    }

    async fn take_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        // Taken twice, the lock would count its holds; the session's end frees all of them anyway.
        let take = format!(
            "COALESCE(IS_USED_LOCK({0}) = CONNECTION_ID() OR NULL, GET_LOCK({0},0))",
            self.lock
        );
        let (_, state) = self.lock_state(&take, limit).await?;
        Ok(state)
    }

    async fn verify_lock(&mut self, limit: Duration) -> Result<LockState, ProbeFailure> {
        // The session is looked after every few seconds: a fence must not keep people out for good.
        if let Some(unlock) = self.holds.expire() {
            self.session.tables(unlock, limit).await?;
        }
        let (_, state) = self.lock_state("1", limit).await?;
        Ok(state)
    }

    async fn evict(&mut self, connection: u64, limit: Duration) -> Result<(), ProbeFailure> {
        // Allowed without any privilege between sessions of one account. Error 1094: it is gone
        // already.
        match self
            .session
            .tables(&format!("KILL {connection}"), limit)
            .await
        {
            Ok(_) | Err(ProbeFailure::Statement { number: 1094 }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn arm(&mut self, guard: Guard, limit: Duration) -> Result<(), ProbeFailure> {
        self.session
            .tables(&commands::arm(guard), limit)
            .await
            .map(|_| ())
    }

    async fn perform(
        &mut self,
        command: &ServerCommand,
        limit: Duration,
    ) -> Result<(), StatementError> {
        let mut performer = Performer {
            access: &self.access,
            address: &self.address,
            session: &mut self.session,
            reader: &self.reader,
            lock: &self.lock,
            word: command.word(),
            deadline: Instant::now() + limit,
            helper: None,
            holder: None,
            holds: &mut self.holds,
        };
        performer.perform(command).await
    }
}
