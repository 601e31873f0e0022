//! The delay of a channel's applier.
//!
//! It is changed while both threads are stopped, because a failover has stopped the receiver.
//! Servers then drop what was received: with the change, unless that names a place in the relay
//! log, which no channel takes that positions itself by GTID; and MariaDB once more when a thread
//! of such a channel is started (tried on MariaDB 10.11 and MySQL 9.7). So the channel positions
//! itself by file until the delay is set back.

use std::time::Duration;

use baton_ports::StatementError;

use super::Performer;
use super::point::find;
use super::replication::{Threads, statement};
use crate::dialect::Wording;
use crate::failure::number;
use crate::rows::{Record, Table};
use crate::text::quote;

/// What a channel whose delay is lifted would ask its source for. No source has it: a receiver that
/// somebody starts by mistake ends with error 1236, instead of fetching its source's history from
/// the beginning.
pub(crate) const LIFTED: &str = "baton-delay-lifted.000000";

impl Performer<'_> {
    pub(super) async fn set_delay(
        &mut self,
        channel: &str,
        delay: Duration,
    ) -> Result<(), StatementError> {
        let shown = self.shown_channel(channel).await?;
        let Some(record) = find(&shown, channel) else {
            return Err(self.refused(number::NOT_A_REPLICA, "the channel is not there"));
        };
        let runs = record.text(&["Replica_SQL_Running", "Slave_SQL_Running"]) == Some("Yes");
        if delay.is_zero() && runs && record.number(&["SQL_Delay"]) == Some(0_u64) {
            return Ok(());
        }
        let stop = statement(
            self.reader.dialect().wording,
            "STOP",
            Threads::Both,
            Some(channel),
        );
        self.stop_with_short_farewell(&stop, "").await?;
        self.change_delay(channel, delay).await
    }

    async fn shown_channel(&mut self, channel: &str) -> Result<Table, StatementError> {
        let tables = self.run(self.reader.dialect().wording.show()).await?;
        let found = tables
            .into_iter()
            .find(|table| find(table, channel).is_some());
        Ok(found.unwrap_or_default())
    }

    /// The change, with the applier's place in the relay log where that is to be kept.
    async fn change_delay(&mut self, channel: &str, delay: Duration) -> Result<(), StatementError> {
        let dialect = self.reader.dialect().clone();
        // The applier moves no more: this is its place.
        let shown = self.shown_channel(channel).await?;
        let Some(record) = find(&shown, channel) else {
            return Err(self.refused(number::NOT_A_REPLICA, "the channel is not there"));
        };
        let heartbeat = self.heartbeat(&dialect, &record, channel).await?;
        let place = place(&record);
        if delay.is_zero() && place.is_none() {
            return Err(self.refused(0, "the server does not show its place in the relay log"));
        }
        let start = statement(dialect.wording, "START", Threads::Applier, Some(channel));
        let name = quote(channel);
        let text = |prefix: &str| {
            let by_gtid = match (dialect.wording, delay.is_zero()) {
                (Wording::Connections, true) => "MASTER_USE_GTID=no".to_owned(),
                (Wording::Connections, false) => "MASTER_USE_GTID=slave_pos".to_owned(),
                (Wording::Replica | Wording::Slave, on) => {
                    format!("{prefix}_AUTO_POSITION={}", u8::from(!on))
                }
            };
            let mut options = vec![
                format!("{prefix}_DELAY={}", delay.as_secs()),
                by_gtid,
                format!("{prefix}_HEARTBEAT_PERIOD={heartbeat}"),
            ];
            if let Some(place) = place.as_ref().filter(|_| delay.is_zero()) {
                let lifted = quote(LIFTED);
                options.push(format!(
                    "{place}, {prefix}_LOG_FILE={lifted}, {prefix}_LOG_POS=4"
                ));
            }
            let options = options.join(", ");
            let change = match (dialect.wording, prefix) {
                (Wording::Connections, _) => format!("CHANGE MASTER {name} TO {options}"),
                (_, SOURCE) => {
                    format!("CHANGE REPLICATION SOURCE TO {options} FOR CHANNEL {name}")
                }
                _ => format!("CHANGE MASTER TO {options} FOR CHANNEL {name}"),
            };
            // In one go: a start of somebody else's would come too early.
            if delay.is_zero() {
                format!("{change}; {start}")
            } else {
                change
            }
        };
        let modern = dialect.wording == Wording::Replica;
        let prefix = if modern { SOURCE } else { MASTER };
        match self.run(&text(prefix)).await {
            // 8.0.22 says REPLICA, but not yet SOURCE.
            Err(StatementError::Refused {
                number: number::SYNTAX,
                ..
            }) if modern => self.run(&text(MASTER)).await.map(drop),
            outcome => outcome.map(drop),
        }
    }
}

const SOURCE: &str = "SOURCE";
const MASTER: &str = "MASTER";

/// Where the applier stands in the relay log.
fn place(record: &Record<'_>) -> Option<String> {
    let file = record.filled(&["Relay_Log_File"])?;
    let position: u64 = record.number(&["Relay_Log_Pos"])?;
    Some(format!(
        "RELAY_LOG_FILE={}, RELAY_LOG_POS={position}",
        quote(file)
    ))
}
