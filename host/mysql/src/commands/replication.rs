//! Starting, stopping and forgetting replication.

use baton_ports::StatementError;

use super::Performer;
use crate::dialect::Wording;
use crate::failure::number;
use crate::rows::Table;
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
                self.run_allowing(&sql, &NO_CHANNEL).await?;
            } else {
                self.stop_with_short_farewell(&sql, "").await?;
            }
        }
        Ok(())
    }

    /// Stops a receiver (and then does more). A MariaDB receiver with semi-synchronous replication says farewell to its
    /// source when it is stopped: it connects anew, within `rpl_semi_sync_slave_kill_conn_timeout` (5 s), which a source that
    /// hangs uses up (seen on MariaDB 10.11). For this statement the limit is the least there is, one second.
    async fn stop_with_short_farewell(
        &mut self,
        stop: &str,
        then: &str,
    ) -> Result<(), StatementError> {
        let says_farewell = self.wording() == Wording::Connections
            && self.reader.dialect().has("rpl_semi_sync_slave_enabled");
        if !says_farewell {
            return self
                .run_allowing(&format!("{stop}{then}"), &NO_CHANNEL)
                .await
                .map(drop);
        }
        let back = "SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = @baton_farewell";
        let sql = format!(
            "SET @baton_farewell = @@GLOBAL.rpl_semi_sync_slave_kill_conn_timeout; \
             SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout = 1; {stop}; {back}{then}"
        );
        let outcome = self.run_allowing(&sql, &NO_CHANNEL).await.map(drop);
        if matches!(outcome, Err(StatementError::Refused { .. })) {
            // After an error the rest of the text was not executed.
            self.run(back).await?;
        }
        outcome
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
        let stop = statement(self.wording(), "STOP", Threads::Receiver, Some(channel));
        let start = statement(self.wording(), "START", Threads::Receiver, Some(channel));
        self.stop_with_short_farewell(&stop, &format!("; {start}"))
            .await
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

    pub(super) async fn start_appliers(&mut self) -> Result<(), StatementError> {
        self.start(Threads::Applier, None).await
    }

    pub(super) async fn forget_replication(
        &mut self,
        channel: Option<&str>,
    ) -> Result<(), StatementError> {
        for target in self.targets(channel).await? {
            self.run_allowing(&forget(self.wording(), target.as_deref()), &NO_CHANNEL)
                .await?;
        }
        Ok(())
    }
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
