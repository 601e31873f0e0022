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
        if let Some(on) = source {
            let name = self.variable(&SOURCE)?;
            self.run(&format!("SET GLOBAL {name}={}", u8::from(on)))
                .await?;
        }
        let Some(on) = replica else { return Ok(()) };
        let name = self.variable(&REPLICA)?;
        let show = self.reader.dialect().wording.show();
        let tables = self
            .run(&format!(
                "SELECT @@global.{name} AS enabled; SET GLOBAL {name}={}; {show}",
                u8::from(on)
            ))
            .await?;
        let was = tables
            .first()
            .and_then(|table| table.first()?.flag(&["enabled"]));
        if was == Some(on) {
            return Ok(());
        }
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

fn receives(record: &Record<'_>) -> bool {
    record
        .text(&["Replica_IO_Running", "Slave_IO_Running"])
        .is_some_and(|state| state != "No")
}
