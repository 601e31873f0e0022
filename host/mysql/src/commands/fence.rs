//! Closing and opening a server for writes.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_ports::StatementError;
use tokio::time::{Instant, sleep, timeout_at};

use super::Performer;
use crate::dialect::{Dialect, SESSIONS, Wording};
use crate::failure::{number, statement_error, unknown};
use crate::rows::{Record, Table};
use crate::servers::Access;
use crate::session::Session;
use baton_core::ids::Address;
use baton_core::model::{ProbeFailure, TimeoutPhase};

/// Time between two rounds of ending sessions.
const ROUND: Duration = Duration::from_millis(10);

/// How long before the end of its limit a waiting statement is interrupted.
const INTERRUPT_AHEAD: Duration = Duration::from_millis(100);

/// What a session does that is no client's, or is being ended already.
const NO_WRITERS: [&str; 8] = [
    "Binlog Dump",
    "Binlog Dump GTID",
    "Daemon",
    "Killed",
    "Slave_IO",
    "Slave_SQL",
    "Slave_worker",
    "Connect",
];

/// Users of the server's own threads, and of sessions that are not logged in yet.
const NO_USERS: [&str; 3] = ["system user", "event_scheduler", "unauthenticated user"];

/// Sessions of clients that are not being ended yet: not the server's own threads, not replicas, not ours.
fn writers(sessions: Option<&Table>, own_user: &str) -> Vec<u64> {
    let is_writer = |session: &Record<'_>| {
        let user = session.text(&["User"]).unwrap_or_default();
        let command = session.text(&["Command"]).unwrap_or_default();
        user != own_user && !NO_USERS.contains(&user) && !NO_WRITERS.contains(&command)
    };
    let sessions = sessions
        .into_iter()
        .flat_map(Table::records)
        .filter(is_writer);
    sessions
        .filter_map(|session| session.number(&["Id"]))
        .collect()
}

/// Whether a session is at work.
fn is_busy(sessions: Option<&Table>, id: u64) -> bool {
    let mut sessions = sessions.into_iter().flat_map(Table::records);
    let found = sessions.find(|session| session.number(&["Id"]) == Some(id));
    found
        .and_then(|session| session.text(&["Command"]))
        .is_some_and(|command| command != "Sleep")
}

/// The statement, for a session that shall not wait in the server for much longer than `limit`, should we be gone by then.
fn bounded(close: &str, limit: Duration) -> String {
    format!(
        "SET SESSION lock_wait_timeout={}; {close}",
        limit.as_secs() + 1
    )
}

impl Performer<'_> {
    /// Guarded to the letter: the server itself checks lock and deadline when it executes the statement. On MySQL
    /// `read_only=0` also ends `super_read_only`, so it is one step on both flavours.
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

    /// Waits for running commits. New ones wait behind it meanwhile, so it must not wait for ever, and must not succeed after
    /// we gave up: at the end of the limit it is interrupted from a second session, and its own answer is awaited.
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

    /// Closing waits for open commits, and those can wait for ever (for an acknowledgement, or for a client that keeps a
    /// lock). So sessions are ended from a second session while the first one waits. Once it waits, nobody can begin to commit.
    async fn fence_and_kill(&mut self, close: &str) -> Result<(), StatementError> {
        let (word, deadline) = (self.word, self.deadline);
        let (access, address, dialect) = (self.access, self.address, self.reader.dialect());
        let closing = Closing {
            access,
            address,
            dialect,
            id: self.session.id(),
            deadline,
        };
        let killing = closing.kill_rounds();
        let sql = bounded(close, deadline.saturating_duration_since(Instant::now()));
        let closing = self.session.send(&sql, || {});
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
        let tables = self.run(SESSIONS).await?;
        for id in writers(tables.first(), &self.access.settings.account.user) {
            self.run_allowing(&format!("KILL {id}"), &UNKILLABLE)
                .await?;
        }
        Ok(())
    }
}

/// Gone already, or belonging to an account that ours may not touch.
const UNKILLABLE: [u16; 2] = [number::NO_SUCH_THREAD, number::KILL_DENIED];

/// Interrupts the statement of another session of ours. If that fails, the statement's own limit is left.
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
    async fn kill_rounds(self) {
        // Nothing to do if the statement succeeds at once, as it usually does.
        sleep(ROUND).await;
        if let Ok(mut helper) = self.access.open(self.address, self.left()).await {
            // An error is the end of the helper; the statement's own limit is left.
            let _failure = self.rounds(&mut helper).await;
        }
    }

    async fn rounds(&self, helper: &mut Session) -> Result<(), ProbeFailure> {
        let own_user = &self.access.settings.account.user;
        let mut ended = BTreeSet::new();
        let mut waited = false;
        let mut early: Option<Vec<u64>> = None;
        loop {
            let tables = helper.tables(SESSIONS, self.left()).await?;
            let listed = writers(tables.first(), own_user);
            // Since the statement waits, nobody can begin to commit: only who was at work by then can have begun. Clients that
            // come later come for ever, and those that may not be ended may idle for ever.
            let busy: Vec<u64> = listed
                .iter()
                .copied()
                .filter(|id| is_busy(tables.first(), *id))
                .collect();
            if waited && early.is_none() {
                early = Some(busy.clone());
            }
            let is_gone = |id: &u64| ended.contains(id) || !busy.contains(id);
            if early
                .as_ref()
                .is_some_and(|early| early.iter().all(is_gone))
            {
                release_killed(helper, self.dialect, self.left()).await?;
            }
            waited = is_busy(tables.first(), u64::from(self.id));
            let fresh: Vec<u64> = listed
                .into_iter()
                .filter(|id| !ended.contains(id))
                .collect();
            for id in fresh {
                // Gone by itself, or refused: then it is found again.
                if helper
                    .attempt(&format!("KILL {id}"), self.left())
                    .await?
                    .is_some()
                {
                    ended.insert(id);
                }
            }
            sleep(ROUND).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::recorded::vertical;

    const SHOWN: &str = "*** 1. row
Id: 5
User: system user
Command: Slave_IO
*** 2. row
Id: 7
User: repl
Command: Binlog Dump
*** 3. row
Id: 8
User: baton
Command: Query
*** 4. row
Id: 9
User: app
Command: Sleep
*** 5. row
Id: 10
User: app
Command: Killed
*** 6. row
Id: eleven
User: app
Command: Query
*** 7. row
Id: 12
User: unauthenticated user
Command: Connect";

    #[test]
    fn only_clients_are_ended() {
        let sessions = vertical(SHOWN);
        assert_eq!(writers(Some(&sessions), "baton"), [9]);
        assert_eq!(writers(None, "baton"), Vec::<u64>::new());
        assert!(is_busy(Some(&sessions), 8) && !is_busy(Some(&sessions), 9));
        assert!(!is_busy(Some(&sessions), 99));
    }
}
