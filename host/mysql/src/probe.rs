//! A session for the watch over Baton's own databases: statements of the caller's, with the
//! failures told apart as for managed servers.

use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::{CommitProbe, ProbeFailure};
use baton_ports::{Clock, WatchAnswer};
use tokio::time::Instant;

use crate::connect::{self, Acquaintance};
use crate::dialect::{Dialect, Extent};
use crate::reading::{Ask, Depth, Reader};
use crate::recent::Recent;
use crate::rows::Table;
use crate::session::Session;
use crate::settings::Settings;
use crate::watch::Hints;

/// An established session. Dropping it ends the session at the server at once.
///
/// After a failure, and after a future of it was dropped midway, the session must be dropped,
/// unless the failure is [`ProbeFailure::Statement`]: then the session can be used on.
#[derive(Debug)]
pub struct ProbeSession {
    session: Session,
    reader: Option<Reader>,
}

impl ProbeSession {
    /// Opens a session within `limit`. `known`: something at the address has spoken the protocol
    /// before, so that silence means a hung server and is not looked into.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    pub async fn open(
        settings: &Settings,
        address: &Address,
        known: bool,
        limit: Duration,
    ) -> Result<Self, ProbeFailure> {
        let acquaintance = if known {
            Acquaintance::Known
        } else {
            Acquaintance::Stranger
        };
        let session = connect::open(settings, address, acquaintance, limit).await?;
        Ok(Self {
            session,
            reader: None,
        })
    }

    /// Sends one or more statements; all must end well within `limit`. Text in, tables out: one per
    /// statement.
    ///
    /// # Errors
    /// The first that did not; what came before it is lost.
    pub async fn tables(&mut self, sql: &str, limit: Duration) -> Result<Vec<Table>, ProbeFailure> {
        self.session.tables(sql, limit).await
    }

    /// Lets the server pause, then reads what is read of managed servers: writability, channels,
    /// positions.
    ///
    /// # Errors
    /// Each kind of failure is its own fact.
    pub async fn server(
        &mut self,
        clock: &dyn Clock,
        pause: Duration,
        limit: Duration,
    ) -> Result<WatchAnswer, ProbeFailure> {
        if self.reader.is_none() {
            let deadline = Instant::now() + limit;
            let dialect = Dialect::discover(&mut self.session, Extent::All, deadline).await?;
            self.reader = Some(Reader::new(dialect, None, clock.now(), Recent::default()));
        }
        let Some(reader) = &mut self.reader else {
            return Err(ProbeFailure::NotMysql);
        };
        let ask = Ask {
            pause,
            limit,
            depth: Depth::Due,
        };
        let evaluated = reader.read(&mut self.session, clock, ask).await?;
        let facts = reader
            .facts(Hints::default().beside(CommitProbe::NotTried))
            .map_err(|_| ProbeFailure::NotMysql)?;
        Ok(evaluated.answer(facts))
    }
}
