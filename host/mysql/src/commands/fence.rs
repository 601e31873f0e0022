//! Closing and opening a server for writes.

use std::time::Duration;

use baton_ports::StatementError;
use tokio::time::{Instant, sleep, timeout_at};

use super::Performer;
use crate::dialect::Dialect;
use crate::failure::{number, statement_error, unknown};
use crate::rows::Table;
use crate::servers::Access;
use crate::session::Session;
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};

/// Time between two rounds of ending sessions.
const ROUND: Duration = Duration::from_millis(10);

/// Sessions of clients that are not being ended yet: not the server's own threads, not replicas, not ours.
const WRITERS: &str = "SELECT ID AS id FROM information_schema.processlist \
WHERE COMMAND NOT IN ('Binlog Dump','Binlog Dump GTID','Daemon','Killed','Slave_IO','Slave_SQL','Slave_worker','Connect') \
AND USER NOT IN ('system user','event_scheduler','unauthenticated user') AND USER <> SUBSTRING_INDEX(USER(),'@',1)";

impl Performer<'_> {
    /// Guarded to the letter: the server itself checks lock and deadline when it executes the statement. On MySQL `read_only=0` also
    /// ends `super_read_only`, so it is one step on both flavours.
    pub(super) async fn open_writes(&mut self) -> Result<(), StatementError> {
        let sql = format!(
            "SET GLOBAL read_only = IF(IS_USED_LOCK({lock}) <=> CONNECTION_ID() AND SYSDATE(6) < @until, \
             0, (SELECT 1 UNION SELECT 2))",
            lock = self.lock
        );
        self.run(&sql).await.map(|_| ())
    }

    pub(super) async fn fence(&mut self, kill_writers: bool) -> Result<(), StatementError> {
        let dialect = self.reader.dialect();
        let close = if dialect.has("super_read_only") {
            "SET GLOBAL super_read_only=1"
        } else {
            "SET GLOBAL read_only=1"
        };
        if kill_writers {
            self.fence_and_kill(close).await
        } else {
            self.fence_gently(close).await
        }
    }

    /// Waits for running commits. New ones wait behind it meanwhile, so it must not wait for ever.
    async fn fence_gently(&mut self, close: &str) -> Result<(), StatementError> {
        let limit = self.left();
        let seconds = limit.as_secs().max(1);
        match self
            .run(&format!("SET SESSION lock_wait_timeout={seconds}; {close}"))
            .await
        {
            Err(StatementError::Refused {
                number: number::LOCK_WAIT_TIMEOUT,
                ..
            }) => Err(StatementError::NotReached {
                command: self.word,
                limit,
            }),
            result => result.map(|_| ()),
        }
    }

    /// Closing waits for open commits, and those can wait for ever (for an acknowledgement, or for a client that keeps a lock). So
    /// sessions are ended from a second session while the first one waits. Once it waits, nobody can begin to commit.
    async fn fence_and_kill(&mut self, close: &str) -> Result<(), StatementError> {
        let (word, deadline) = (self.word, self.deadline);
        let dialect = self.reader.dialect();
        let killing = kill_rounds(self.access, self.address, dialect, deadline);
        let closing = self.session.send(close, || {});
        let closed = {
            let (mut closing, mut killing) = (std::pin::pin!(closing), std::pin::pin!(killing));
            let both = async {
                tokio::select! {
                    outcome = &mut closing => outcome,
                    // It never ends by itself but when it cannot work; then the statement alone must do.
                    () = &mut killing => closing.await,
                }
            };
            timeout_at(deadline, both).await
        };
        let silent = ProbeFailure::Timeout(TimeoutPhase::Statement);
        let outcome = closed.map_err(|_| unknown(word, silent))?;
        if let Some(error) = outcome.error {
            return Err(statement_error(&error, word));
        }
        // Sessions that were idle, or came since: they hold connections of clients that should go elsewhere.
        self.kill_writers().await
    }

    async fn kill_writers(&mut self) -> Result<(), StatementError> {
        let tables = self.run(WRITERS).await?;
        for id in ids(tables.first()) {
            self.run_allowing(&format!("KILL {id}"), &UNKILLABLE)
                .await?;
        }
        Ok(())
    }
}

/// Gone already, or belonging to an account that ours may not touch.
const UNKILLABLE: [u16; 2] = [number::NO_SUCH_THREAD, number::KILL_DENIED];

fn ids(table: Option<&Table>) -> Vec<u64> {
    table
        .into_iter()
        .flat_map(Table::records)
        .filter_map(|record| record.number(&["id"]))
        .collect()
}

/// Ends sessions again and again; ends itself only when it cannot work.
async fn kill_rounds(access: &Access, address: &Address, dialect: &Dialect, deadline: Instant) {
    let left = || deadline.saturating_duration_since(Instant::now());
    // Nothing to do if the statement succeeds at once, as it usually does.
    sleep(ROUND).await;
    let Ok(mut helper) = access.open(address, left()).await else {
        return;
    };
    loop {
        let Ok(found) = helper.tables(WRITERS, left()).await else {
            return;
        };
        let found = ids(found.first());
        if found.is_empty() && release_killed(&mut helper, dialect, left()).await.is_err() {
            return;
        }
        for id in found {
            // Refused or gone: the next round sees.
            if helper.attempt(&format!("KILL {id}"), left()).await.is_err() {
                return;
            }
        }
        sleep(ROUND).await;
    }
}

/// MySQL: a killed session goes on waiting for its acknowledgement. Its client is cut off and will never hear that the commit
/// succeeded, so the wait may be ended by switching the source role off for a moment. Never before all of them are killed:
/// that would tell clients that their unacknowledged commits are safe.
async fn release_killed(
    helper: &mut Session,
    dialect: &Dialect,
    limit: Duration,
) -> Result<(), ProbeFailure> {
    let name = [
        "rpl_semi_sync_source_enabled",
        "rpl_semi_sync_master_enabled",
    ]
    .into_iter()
    .find(|name| dialect.has(name));
    let Some(name) = name else { return Ok(()) };
    let tables = helper
        .tables(&format!("SELECT @@global.{name} AS enabled"), limit)
        .await?;
    if tables
        .first()
        .and_then(|table| table.first()?.flag(&["enabled"]))
        == Some(true)
    {
        helper
            .tables(&format!("SET GLOBAL {name}=0; SET GLOBAL {name}=1"), limit)
            .await?;
    }
    Ok(())
}
