//! Starting, stopping and forgetting replication.

use std::time::Duration;

use baton_ports::StatementError;
use tokio::time::{Instant, sleep};

use super::Performer;
use crate::dialect::{SESSIONS, Wording};
use crate::failure::number;
use crate::rows::{Record, Table};
use crate::text::quote;

/// Which threads a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    Receiver,
    Applier,
    Both,
}

/// `STOP SLAVE 'name' IO_THREAD`, `STOP REPLICA IO_THREAD FOR CHANNEL 'name'` and their kind.
pub(super) fn statement(
    wording: Wording,
    verb: &str,
    threads: Threads,
    channel: Option<&str>,
) -> String {
    let noun = wording.noun();
    let threads = match threads {
        Threads::Receiver => " IO_THREAD",
        Threads::Applier => " SQL_THREAD",
        Threads::Both => "",
    };
    match (wording, channel) {
        (Wording::Connections, Some(name)) => format!("{verb} {noun} {}{threads}", quote(name)),
        (Wording::Replica | Wording::Slave, Some(name)) => {
            format!("{verb} {noun}{threads} FOR CHANNEL {}", quote(name))
        }
        (_, None) => format!("{verb} {noun}{threads}"),
    }
}

/// Stops and forgets.
pub(super) fn forget(wording: Wording, channel: Option<&str>) -> String {
    let stop = statement(wording, "STOP", Threads::Both, channel);
    let noun = wording.noun();
    match (wording, channel) {
        (Wording::Connections, Some(name)) => format!("{stop}; RESET {noun} {} ALL", quote(name)),
        (Wording::Replica | Wording::Slave, Some(name)) => {
            format!("{stop}; RESET {noun} ALL FOR CHANNEL {}", quote(name))
        }
        (_, None) => format!("{stop}; RESET {noun} ALL"),
    }
}

/// The farewell of MariaDB's semi-synchronous receivers, as short as it can be, and as it was. The
/// session keeps what it was.
const SHORT_FAREWELL: &str = "SET @baton_farewell = CAST(COALESCE(@baton_farewell, @@GLOBAL.rpl_semi_sync_slave_kill_conn_timeout) AS UNSIGNED); \
     SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = 1";
const USUAL_FAREWELL: &str = "SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = CAST(COALESCE(@baton_farewell, @@GLOBAL.rpl_semi_sync_slave_kill_conn_timeout) AS UNSIGNED); \
     SET @baton_farewell = NULL";

/// Receiver threads of MySQL, by the name of their instrument (MySQL manual, "The threads Table";
/// the first is the older name). Empty if the performance schema is off.
const RECEIVER_THREADS: &str = "SELECT PROCESSLIST_ID AS Id, PROCESSLIST_COMMAND AS Command FROM performance_schema.threads \
     WHERE NAME IN ('thread/sql/slave_io', 'thread/sql/replica_io') AND PROCESSLIST_ID IS NOT NULL";

/// How long a receiver may say farewell before its source counts as hung, and the pause between two
/// looks.
const FAREWELL_PATIENCE: Duration = Duration::from_millis(450);
const ROUND: Duration = Duration::from_millis(10);

/// The thread of a server's receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceiverThread {
    Running(u64),
    /// On its way to its source; told apart on MariaDB only.
    Connecting(u64),
    /// Killed, on its way out.
    Ending,
    NotRunning,
    /// There are several, or the server does not show them.
    NotTold,
}

/// What a server says about a channel that is not there.
const NO_CHANNEL: [u16; 3] = [
    number::NO_SUCH_CHANNEL,
    number::NO_SUCH_CONNECTION,
    number::NOT_A_REPLICA,
];

impl Performer<'_> {
    fn wording(&self) -> Wording {
        self.reader.dialect().wording
    }

    /// Names of the channels that exist now.
    pub(super) async fn channels(&mut self) -> Result<Vec<String>, StatementError> {
        let tables = self.run(self.wording().show()).await?;
        Ok(tables.first().map(names).unwrap_or_default())
    }

    /// The channels to name one by one: MariaDB's statements know no "all" for a single thread.
    async fn targets(
        &mut self,
        channel: Option<&str>,
    ) -> Result<Vec<Option<String>>, StatementError> {
        match (self.wording(), channel) {
            (_, Some(name)) => Ok(vec![Some(name.to_owned())]),
            (Wording::Replica | Wording::Slave, None) => Ok(vec![None]),
            (Wording::Connections, None) => {
                Ok(self.channels().await?.into_iter().map(Some).collect())
            }
        }
    }

    async fn stop(
        &mut self,
        threads: Threads,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        for target in self.targets(channel).await? {
            let sql = statement(self.wording(), "STOP", threads, target.as_deref());
            if threads == Threads::Applier {
                self.run_allowing(sql.as_str(), &NO_CHANNEL).await?;
            } else {
                self.stop_with_short_farewell(&sql, "").await?;
            }
        }
        Ok(())
    }

    /// Stops a receiver (and then does more). A MariaDB receiver with semi-synchronous replication
    /// says farewell to its source when it is stopped: it connects anew, within
    /// `rpl_semi_sync_slave_kill_conn_timeout` (5 s), which a source that hangs uses up (seen on
    /// MariaDB 10.11). For this statement the limit is the least there is, one second.
    pub(super) async fn stop_with_short_farewell(
        &mut self,
        stop: &str,
        then: &str,
    ) -> Result<(), StatementError> {
        if !self.says_farewell() {
            return self
                .run_allowing(format!("{stop}{then}"), &NO_CHANNEL)
                .await
                .map(drop);
        }
        self.end_connecting().await?;
        let sql = format!("{SHORT_FAREWELL}; {stop}; {USUAL_FAREWELL}{then}");
        let outcome = self.run_allowing(sql.as_str(), &NO_CHANNEL).await.map(drop);
        if matches!(outcome, Err(StatementError::Refused { .. })) {
            // After an error the rest of the text was not executed.
            self.run(USUAL_FAREWELL).await?;
        }
        outcome
    }

    /// A MariaDB receiver that has its source's greeting, and nothing since, keeps `STOP SLAVE`
    /// waiting for 23 seconds (`net_retry_count` signals, one each two seconds), and the session
    /// that waits cannot be ended. Killed before, it is gone a second after the `STOP SLAVE`;
    /// `KILL` alone does not end its wait (tried on MariaDB 10.11). MySQL 9.7 takes six seconds,
    /// and four after a `KILL`, or several.
    async fn end_connecting(&mut self) -> Result<(), StatementError> {
        if let ReceiverThread::Connecting(id) = self.receiver_thread().await? {
            self.kill_receiver(id).await?;
        }
        Ok(())
    }

    fn says_farewell(&self) -> bool {
        self.wording() == Wording::Connections
            && self.reader.dialect().has("rpl_semi_sync_slave_enabled")
    }

    /// The thread of the receiver, if it can be told: with several channels it cannot.
    async fn receiver_thread(&mut self) -> Result<ReceiverThread, StatementError> {
        let sql = match self.wording() {
            Wording::Connections => format!("{}; {SESSIONS}", self.wording().show()),
            Wording::Replica | Wording::Slave => {
                format!("{}; {RECEIVER_THREADS}", self.wording().show())
            }
        };
        let tables = self.run(&sql).await?;
        let several = tables.first().map_or(0, |channels| names(channels).len()) > 1;
        let mut threads = tables
            .get(1)
            .into_iter()
            .flat_map(Table::records)
            .filter(|thread| {
                let is = |word| thread.text(&["Command"]) == Some(word);
                thread.text(&["User"]) == Some("system user")
                    && (is("Slave_IO") || is("Killed") || is_connecting(thread))
                    || self.wording() != Wording::Connections
            });
        let first = threads.next();
        Ok(
            match first.and_then(|thread| Some((thread, thread.number(&["Id"])?))) {
                None => ReceiverThread::NotRunning,
                Some(_) if several || threads.next().is_some() => ReceiverThread::NotTold,
                Some((thread, _)) if thread.text(&["Command"]) == Some("Killed") => {
                    ReceiverThread::Ending
                }
                Some((thread, id)) if is_connecting(&thread) => ReceiverThread::Connecting(id),
                Some((_, id)) => ReceiverThread::Running(id),
            },
        )
    }

    /// `KILL` closes the thread's connection before it returns (tried on MariaDB 10.11 and MySQL
    /// 9.7, connected and while connecting), so nothing that comes later can be acknowledged; what
    /// the thread does on its way out is not waited for. One that is killed while it connects ends
    /// before it asks its source for anything.
    pub(super) async fn sever_receivers(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        match self.receiver_thread().await? {
            ReceiverThread::Ending => Ok(()),
            ReceiverThread::NotRunning | ReceiverThread::NotTold => {
                self.stop_receivers(channel).await
            }
            ReceiverThread::Running(id) | ReceiverThread::Connecting(id) => {
                self.kill_receiver(id).await
            }
        }
    }

    async fn kill_receiver(&mut self, id: u64) -> Result<(), StatementError> {
        let mut sql = format!("KILL {id}");
        if self.says_farewell() {
            sql = format!("{SHORT_FAREWELL}; {sql}");
        }
        self.run_allowing(sql.as_str(), &[number::NO_SUCH_THREAD])
            .await
            .map(drop)
    }

    /// A receiver that would say a long farewell is ended and given some time; if its source does
    /// not let it go by then, the source accepts no connections.
    async fn reconnect_after_farewell(&mut self, channel: &str) -> Result<(), StatementError> {
        let ReceiverThread::Running(id) = self.receiver_thread().await? else {
            return self.stop_and_start(channel).await;
        };
        self.kill_receiver(id).await?;
        let until = self.deadline.min(Instant::now() + FAREWELL_PATIENCE);
        while self.receiver_thread().await? == ReceiverThread::Ending {
            if Instant::now() >= until {
                return Err(StatementError::NotReached {
                    command: self.word,
                    limit: FAREWELL_PATIENCE,
                });
            }
            sleep(ROUND).await;
        }
        self.stop_and_start(channel).await
    }

    async fn stop_and_start(&mut self, channel: &str) -> Result<(), StatementError> {
        let stop = statement(self.wording(), "STOP", Threads::Receiver, Some(channel));
        let start = statement(self.wording(), "START", Threads::Receiver, Some(channel));
        self.stop_with_short_farewell(&stop, &format!("; {start}"))
            .await
    }

    async fn start(
        &mut self,
        threads: Threads,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        let targets = self.targets(channel).await?;
        if targets.is_empty() {
            return Err(self.refused(number::NOT_A_REPLICA, "the server has no channel"));
        }
        for target in targets {
            self.run(&statement(
                self.wording(),
                "START",
                threads,
                target.as_deref(),
            ))
            .await?;
        }
        Ok(())
    }

    pub(super) async fn stop_receivers(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        self.stop(Threads::Receiver, channel).await
    }

    pub(super) async fn start_receivers(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        self.start(Threads::Receiver, channel).await
    }

    pub(super) async fn reconnect_receiver(&mut self, channel: &str) -> Result<(), StatementError> {
        if self.says_farewell() {
            self.reconnect_after_farewell(channel).await
        } else {
            self.stop_and_start(channel).await
        }
    }

    pub(super) async fn stop_replication(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        self.stop(Threads::Both, channel).await
    }

    pub(super) async fn start_replication(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        self.start(Threads::Both, channel).await
    }

    pub(super) async fn start_appliers(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        self.start(Threads::Applier, channel).await
    }

    pub(super) async fn forget_replication(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        for target in self.targets(channel).await? {
            let forget = forget(self.wording(), target.as_deref());
            self.stop_with_short_farewell(&forget, "").await?;
        }
        Ok(())
    }
}

/// What a receiver of MariaDB shows until its source has let it in.
fn is_connecting(thread: &Record<'_>) -> bool {
    thread.text(&["Command"]) == Some("Connect")
        && thread.text(&["State"]) == Some("Connecting to master")
}

fn names(table: &Table) -> Vec<String> {
    table
        .records()
        .map(|record| record.owned(&["Channel_Name", "Connection_name"]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wording_names_channels_its_own_way() {
        let stop = |wording, channel| statement(wording, "STOP", Threads::Receiver, channel);
        assert_eq!(
            stop(Wording::Connections, Some("")),
            "STOP SLAVE '' IO_THREAD"
        );
        assert_eq!(
            stop(Wording::Replica, Some("o'n")),
            "STOP REPLICA IO_THREAD FOR CHANNEL 'o''n'"
        );
        assert_eq!(
            stop(Wording::Slave, Some("x")),
            "STOP SLAVE IO_THREAD FOR CHANNEL 'x'"
        );
        assert_eq!(stop(Wording::Replica, None), "STOP REPLICA IO_THREAD");
        assert_eq!(
            forget(Wording::Connections, Some("x")),
            "STOP SLAVE 'x'; RESET SLAVE 'x' ALL"
        );
        assert_eq!(
            forget(Wording::Replica, None),
            "STOP REPLICA; RESET REPLICA ALL"
        );
    }
}
