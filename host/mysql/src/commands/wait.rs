//! Waiting until something is applied.

use std::time::Duration;

use baton_core::gtid::GtidSet;
use baton_ports::StatementError;

use super::Performer;
use crate::facts::executed;
use crate::failure::number;
use crate::rows::Table;
use crate::text::{quote, seconds};

/// The server's own limit ends this much before ours, so that "not reached" is not taken for "no
/// answer".
const MARGIN: Duration = Duration::from_millis(20);

impl Performer<'_> {
    pub(super) async fn wait_applied(
        &mut self,
        set: &GtidSet,
        limit: Duration,
    ) -> Result<(), StatementError> {
        // Usually all is there already, and what a server wrote itself never comes through
        // replication.
        let missing = set.subtract(&self.executed().await?);
        let limit = limit.min(self.left().saturating_sub(MARGIN));
        let sql = match &missing {
            missing if missing.is_empty() => return Ok(()),
            GtidSet::Mysql(missing) => {
                let text = missing.one_line().to_string();
                format!(
                    "SELECT WAIT_FOR_EXECUTED_GTID_SET({},{})",
                    quote(&text),
                    seconds(limit)
                )
            }
            GtidSet::Mariadb(missing) => {
                let text = missing.position().to_string();
                format!(
                    "SELECT MASTER_GTID_WAIT({},{})",
                    quote(&text),
                    seconds(limit)
                )
            }
        };
        let tables = self.run(&sql).await?;
        match tables.first().and_then(|table| table.first()?.first()) {
            Some("0") => Ok(()),
            Some(_) | None => Err(StatementError::NotReached {
                command: self.word,
                limit,
            }),
        }
    }

    /// What the server has executed now.
    pub(super) async fn executed(&mut self) -> Result<GtidSet, StatementError> {
        let dialect = self.reader.dialect();
        let names = [
            "gtid_executed",
            "gtid_binlog_state",
            "gtid_slave_pos",
            "gtid_current_pos",
        ];
        let known = names.iter().filter(|name| dialect.has(name));
        let list = known
            .map(|name| format!("@@global.{name} AS {name}"))
            .collect::<Vec<_>>()
            .join(",");
        if list.is_empty() {
            return Err(self.refused(number::UNKNOWN_VARIABLE, "the server has no GTIDs"));
        }
        let flavor = dialect.flavor;
        let tables = self.run(&format!("SELECT {list}")).await?;
        let record = tables.first().and_then(Table::first);
        let set = record.map(|record| executed(&record, flavor));
        match set {
            Some(Ok(set)) => Ok(set),
            Some(Err(garbled)) => Err(self.refused(0, &garbled.to_string())),
            None => Err(self.refused(0, "the server gave no GTID set")),
        }
    }
}
