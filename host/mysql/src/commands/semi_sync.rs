//! Roles of semi-synchronous replication.

use baton_ports::StatementError;

use super::Performer;
use super::replication::{Threads, statement};
use crate::failure::number;
use crate::rows::{Record, Table};

const SOURCE: [&str; 2] = [
    "rpl_semi_sync_source_enabled",
    "rpl_semi_sync_master_enabled",
];
const REPLICA: [&str; 2] = [
    "rpl_semi_sync_replica_enabled",
    "rpl_semi_sync_slave_enabled",
];

/// Whether the receiver has told its source that it acknowledges.
const ACTIVE: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_replica_status', 'Rpl_semi_sync_slave_status')";

fn assignment(name: &str, on: bool) -> String {
    format!("GLOBAL {name}={}", u8::from(on))
}

impl Performer<'_> {
    fn variable(&self, names: &[&'static str]) -> Result<&'static str, StatementError> {
        let known = names.iter().find(|name| self.reader.dialect().has(name));
        known
            .copied()
            .ok_or_else(|| self.refused(number::UNKNOWN_VARIABLE, "the server has no such role"))
    }

    pub(super) async fn set_semi_sync(
        &mut self,
        source: Option<bool>,
        replica: Option<bool>,
    ) -> Result<(), StatementError> {
        if source.is_some_and(|on| !on) {
            self.end_waiting().await?;
        }
        let source = match source {
            Some(on) => Some(assignment(self.variable(&SOURCE)?, on)),
            None => None,
        };
        let Some(on) = replica else {
            if let Some(source) = source {
                self.run(&format!("SET {source}")).await?;
            }
            return Ok(());
        };
        let name = self.variable(&REPLICA)?;
        let show = self.reader.dialect().wording.show();
        // Both sides at once: a server with neither would be asked by nobody to acknowledge, and
        // writers elsewhere would wait for it.
        let both: Vec<String> = source.into_iter().chain([assignment(name, on)]).collect();
        let tables = self
            .run(&format!(
                "SELECT @@global.{name} AS enabled; {ACTIVE}; SET {}; {show}",
                both.join(", ")
            ))
            .await?;
        let mut told = tables.iter();
        let was = told
            .next()
            .and_then(|table| table.first()?.flag(&["enabled"]));
        let active = told
            .next()
            .and_then(|table| table.first()?.flag(&["Value"]));
        // Switched on while its receiver ran, it acknowledges nothing yet.
        if was == Some(on) && active == Some(on) {
            return Ok(());
        }
        self.let_go().await?;
        // A receiver tells its source what it does when it connects, and not again.
        let running: Vec<_> = tables
            .last()
            .into_iter()
            .flat_map(Table::records)
            .filter(receives)
            .collect();
        let names: Vec<_> = running
            .iter()
            .map(|record| record.owned(&["Channel_Name", "Connection_name"]))
            .collect();
        for channel in names {
            let wording = self.reader.dialect().wording;
            let stop = statement(wording, "STOP", Threads::Receiver, Some(&channel));
            let start = statement(wording, "START", Threads::Receiver, Some(&channel));
            self.run(&format!("{stop}; {start}")).await?;
        }
        Ok(())
    }
}

/// Commits that wait for an acknowledgement.
const WAITING: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
('Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_master_wait_sessions')";

impl Performer<'_> {
    /// Switching the source's side off tells everybody who waits for an acknowledgement that the
    /// commit is safe. So the server is closed first, and whoever waits is ended by that.
    async fn end_waiting(&mut self) -> Result<(), StatementError> {
        let tables = self.run(WAITING).await?;
        let waiting = tables
            .first()
            .and_then(|table| table.first()?.number::<u64>(&["Value"]));
        if waiting != Some(0) {
            self.fence(true).await?;
        }
        Ok(())
    }
}

fn receives(record: &Record<'_>) -> bool {
    record
        .text(&["Replica_IO_Running", "Slave_IO_Running"])
        .is_some_and(|state| state != "No")
}
