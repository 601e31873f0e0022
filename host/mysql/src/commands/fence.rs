//! Closing and opening a server for writes.

mod clients;

use std::time::Duration;

use baton_ports::StatementError;
use tokio::time::{Instant, sleep, timeout_at};

use self::clients::{Own, Progress, clients, end_all, progress};
use super::Performer;
use crate::dialect::{Dialect, PREPARED_MYSQL, SESSIONS, Wording};
use crate::failure::{number, statement_error, unknown};
use crate::rows::Table;
use crate::servers::Access;
use crate::session::Session;
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};

/// Time between two rounds of ending sessions.
const ROUND: Duration = Duration::from_millis(10);

/// MariaDB lets privileged accounts, events of privileged definers and prepared transactions write
/// in spite of `read_only`. Nobody writes while a session has the global read lock. The server is
/// closed by then: the lock is not waited for long.
const HOLD: &str = "SET SESSION lock_wait_timeout=1; FLUSH TABLES WITH READ LOCK";
const UNLOCK: &str = "UNLOCK TABLES; SET SESSION lock_wait_timeout=DEFAULT";

/// How long the lock is kept when nothing is changed any more. A switchover's window is far
/// shorter.
const HOLD_AT_MOST: Duration = Duration::from_secs(10);

/// Whether a session has the global read lock of its server, and since when.
#[derive(Debug, Default)]
pub(crate) struct Hold(Option<Instant>);

impl Hold {
    fn set(&mut self, holds: bool) {
        self.0 = holds.then(Instant::now);
    }

    fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// The statement that ends a lock that was kept too long.
    pub(crate) fn expire(&mut self) -> Option<&'static str> {
        let since = self.0?;
        (since.elapsed() >= HOLD_AT_MOST).then(|| {
            self.0 = None;
            UNLOCK
        })
    }
}

/// How long before the end of its limit a waiting statement is interrupted.
const INTERRUPT_AHEAD: Duration = Duration::from_millis(500);

/// The statement, for a session that shall not wait in the server for much longer than `limit`,
/// should we be gone by then.
fn bounded(close: &str, limit: Duration) -> String {
    format!(
        "SET SESSION lock_wait_timeout={}; {close}",
        limit.as_secs() + 1
    )
}

impl Performer<'_> {
    /// Guarded to the letter: the server itself checks lock and deadline when it executes the
    /// statement. On MySQL `read_only=0` also ends `super_read_only`, so it is one step on both
    /// flavours.
    pub(super) async fn open_writes(&mut self) -> Result<(), StatementError> {
        let sql = format!(
            "SET GLOBAL read_only = IF(IS_USED_LOCK({lock}) <=> CONNECTION_ID() AND SYSDATE(6) < @until, \
             0, (SELECT 1 UNION SELECT 2))",
            lock = self.lock
        );
        self.run(&sql).await.map(|_| ())
    }

    pub(super) async fn fence(&mut self, kill_writers: bool) -> Result<(), StatementError> {
        let binds_everybody = self.reader.dialect().has("super_read_only");
        let variable = if binds_everybody {
            "super_read_only"
        } else {
            "read_only"
        };
        let close = format!("SET GLOBAL {variable}={}", self.closed());
        match (kill_writers, binds_everybody) {
            (true, true) => {
                self.fence_and_kill(&close, None).await?;
                self.hold_prepared().await
            }
            (true, false) => self.fence_and_kill(&close, Some(HOLD)).await,
            (false, _) => self.fence_gently(&close).await,
        }
    }

    /// Guarded by the server itself if the statement may wait for long: somebody else may act there
    /// by then.
    fn closed(&self) -> String {
        self.holder.map_or_else(
            || "1".to_owned(),
            |holder| {
                format!(
                    "IF(COALESCE(IS_USED_LOCK({lock})={holder},1), 1, (SELECT 1 UNION SELECT 2))",
                    lock = self.lock
                )
            },
        )
    }

    /// Waits for running commits. New ones wait behind it meanwhile, so it must not wait for ever,
    /// and must not succeed after we gave up: at the end of the limit it is interrupted from a
    /// second session, and its own answer is awaited.
    async fn fence_gently(&mut self, close: &str) -> Result<(), StatementError> {
        let (word, deadline, limit) = (self.word, self.deadline, self.left());
        let (id, access, address) = (self.session.id(), self.access, self.address);
        let sql = bounded(close, limit);
        let mut closing = std::pin::pin!(self.session.send(&sql, || {}));
        let patience = deadline
            .checked_sub(INTERRUPT_AHEAD.min(limit / 2))
            .unwrap_or(deadline);
        let outcome = if let Ok(outcome) = timeout_at(patience, &mut closing).await {
            outcome
        } else {
            let both = async { tokio::join!(interrupt(access, address, id, deadline), closing).1 };
            let silent = ProbeFailure::Timeout(TimeoutPhase::Statement);
            timeout_at(deadline, both)
                .await
                .map_err(|_| unknown(word, silent))?
        };
        match outcome.error {
            None => Ok(()),
            Some(mysql_async::Error::Server(error))
                if matches!(error.code, number::INTERRUPTED | number::LOCK_WAIT_TIMEOUT) =>
            {
                Err(StatementError::NotReached {
                    command: word,
                    limit,
                })
            }
            Some(error) => Err(statement_error(&error, word)),
        }
    }

    /// Closing waits for open commits, and those can wait for ever (for an acknowledgement, or for
    /// a client that keeps a lock). So sessions are ended from a second session while the first one
    /// waits. Once it waits, nobody can begin to commit.
    ///
    /// `hold` comes after the server is closed, and may be refused.
    async fn fence_and_kill(
        &mut self,
        close: &str,
        hold: Option<&str>,
    ) -> Result<(), StatementError> {
        let (word, deadline) = (self.word, self.deadline);
        let (access, address, dialect) = (self.access, self.address, self.reader.dialect());
        let closing = Closing {
            access,
            address,
            dialect,
            id: self.session.id(),
            deadline,
        };
        let killing = closing.kill_rounds(self.helper.as_deref_mut());
        let mut sql = bounded(close, deadline.saturating_duration_since(Instant::now()));
        let statements = sql.split(';').count();
        if let Some(hold) = hold {
            sql = format!("{sql}; {hold}");
        }
        let closing = self.session.send(&sql, || {});
        let closed = {
            let (mut closing, mut killing) = (std::pin::pin!(closing), std::pin::pin!(killing));
            let both = async {
                tokio::select! {
                    outcome = &mut closing => outcome,
                    // It never ends by itself but when it cannot work; then the statement alone
                    // must do.
                    () = &mut killing => closing.await,
                }
            };
            timeout_at(deadline, both).await
        };
        let silent = ProbeFailure::Timeout(TimeoutPhase::Statement);
        let outcome = closed.map_err(|_| unknown(word, silent))?;
        match outcome.error {
            None if hold.is_some() => self.holds.set(true),
            None => {}
            // The server is closed: what was refused is the lock.
            Some(mysql_async::Error::Server(_)) if outcome.tables.len() >= statements => {
                self.run(UNLOCK).await?;
            }
            Some(error) => return Err(statement_error(&error, word)),
        }
        self.kill_writers().await
    }

    /// MySQL's `super_read_only` does not bind who prepares, commits or rolls back an XA
    /// transaction, whatever the account's privileges (measured on 9.7). The lock does. It is taken
    /// only where one is prepared, or where our account may not see that: behind a long query its
    /// `FLUSH TABLES` keeps others from the tables of that query.
    async fn hold_prepared(&mut self) -> Result<(), StatementError> {
        let (word, left) = (self.word, self.left());
        let asked = self.session.attempt(PREPARED_MYSQL, left).await;
        let asked = asked.map_err(|failure| unknown(word, failure))?;
        if asked.is_some_and(|prepared| prepared.rows.is_empty()) {
            return Ok(());
        }
        let left = self.left();
        match self.session.tables(HOLD, left).await {
            Ok(_) => self.holds.set(true),
            // The server is closed: what was refused is the lock.
            Err(ProbeFailure::Statement { .. } | ProbeFailure::Authentication { .. }) => {
                self.run(UNLOCK).await?;
            }
            Err(failure) => return Err(unknown(word, failure)),
        }
        self.kill_writers().await
    }

    /// Gives the global read lock back. Who waits behind it is ended first: a privileged statement
    /// would still be carried out.
    pub(super) async fn let_go(&mut self) -> Result<(), StatementError> {
        if !self.holds.is_set() {
            return Ok(());
        }
        self.kill_writers().await?;
        self.run(UNLOCK).await?;
        self.holds.set(false);
        Ok(())
    }

    /// Sessions that were idle, or came since: they hold connections of clients that should go
    /// elsewhere.
    pub(super) async fn kill_writers(&mut self) -> Result<(), StatementError> {
        let tables = self.run(SESSIONS).await?;
        let listed = clients(tables.first(), own(self.access));
        let limit = self.left();
        let ended = end_all(self.session, &listed, limit).await;
        ended
            .map(|_| ())
            .map_err(|failure| unknown(self.word, failure))
    }
}

/// What Baton's own sessions look like.
fn own(access: &Access) -> Own<'_> {
    let probe = access.settings.commit_probe.as_ref();
    let replication = access.settings.replication.as_ref();
    Own {
        replication: replication.map(|account| account.user.as_str()),
        user: &access.settings.account.user,
        probe: probe.map(|probe| probe.statement.trim()),
    }
}

/// Interrupts the statement of another session of ours. If that fails, the statement's own limit is
/// left.
async fn interrupt(access: &Access, address: &Address, id: u32, deadline: Instant) {
    let left = || deadline.saturating_duration_since(Instant::now());
    if let Ok(mut helper) = access.open(address, left()).await {
        let _gone = helper.attempt(&format!("KILL QUERY {id}"), left()).await;
    }
}

/// The session that waits for the server to close, and where others can be opened to help it.
struct Closing<'a> {
    access: &'a Access,
    address: &'a Address,
    dialect: &'a Dialect,
    id: u32,
    deadline: Instant,
}

impl Closing<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Ends sessions again and again; ends itself only when it cannot work.
    async fn kill_rounds(self, helper: Option<&mut Session>) {
        // Nothing to do if the statement succeeds at once, as it usually does.
        sleep(ROUND).await;
        // An error is the end of the helper; the statement's own limit is left.
        if let Some(helper) = helper {
            let _failure = self.rounds(helper).await;
        } else if let Ok(mut helper) = self.access.open(self.address, self.left()).await {
            let _failure = self.rounds(&mut helper).await;
        }
    }

    async fn rounds(&self, helper: &mut Session) -> Result<(), ProbeFailure> {
        let mut before = Progress::Idle;
        loop {
            let tables = helper.tables(SESSIONS, self.left()).await?;
            let now = progress(tables.first(), u64::from(self.id));
            // Seen at work twice, it waits, whatever the server calls it.
            let waits =
                now == Progress::Waiting || now == Progress::Running && before != Progress::Idle;
            before = now;
            if waits {
                self.end_round(helper, tables.first()).await?;
            }
            sleep(ROUND).await;
        }
    }

    /// While the statement waits nobody can begin to write: whoever can still commit is in the
    /// list. Before that nobody is ended, because who commits in between would share a group with
    /// somebody who is ended.
    async fn end_round(
        &self,
        helper: &mut Session,
        sessions: Option<&Table>,
    ) -> Result<(), ProbeFailure> {
        let listed = clients(sessions, own(self.access));
        if end_all(helper, &listed, self.left()).await? {
            release_killed(helper, self.dialect, self.left()).await?;
        }
        Ok(())
    }
}

/// MySQL: a killed session goes on waiting for its acknowledgement. Its client is cut off and will
/// never hear that the commit succeeded, so the wait may be ended by switching the source role off
/// for a moment. Never before all of them are killed: that would tell clients that their
/// unacknowledged commits are safe.
async fn release_killed(
    helper: &mut Session,
    dialect: &Dialect,
    limit: Duration,
) -> Result<(), ProbeFailure> {
    if dialect.wording == Wording::Connections {
        return Ok(());
    }
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
