//! Scheduled events: they run on the primary only.
//!
//! `ALTER EVENT` makes its own account the definer unless it names another, and takes over the
//! session's character set and collation; SQL mode, time zone and schedule stay (tried on MariaDB
//! 10.11 and MySQL 9.7). So each statement names the event's definer, in a session with the event's
//! character set.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use baton_core::model::{EventName, EventState};
use baton_ports::StatementError;

use super::Performer;
use crate::dialect::Wording;
use crate::facts::{event_name, is_replica_disabled};
use crate::failure::number;
use crate::rows::{Record, Table};
use crate::text::identifier;

/// What a session is like again afterwards.
const USUAL: &str = "SET NAMES utf8mb4";
const LOGGED: &str = "SET SESSION sql_log_bin=1";
const ON_REPLICA: &str = "DISABLE ON REPLICA";
const ON_SLAVE: &str = "DISABLE ON SLAVE";
const NOT_LOGGED: &str = "SET SESSION sql_log_bin=0";

/// An event that is to be changed.
#[derive(Clone)]
struct Change {
    event: EventName,
    definer: String,
    character_set: String,
    collation: String,
    clause: &'static str,
}

impl Change {
    fn new(record: &Record<'_>, clause: &'static str) -> Self {
        Self {
            event: event_name(record),
            definer: record.owned(&["definer"]),
            character_set: record.owned(&["character_set_client"]),
            collation: record.owned(&["collation_connection"]),
            clause,
        }
    }

    fn statement(&self) -> String {
        format!(
            "ALTER DEFINER={} EVENT {}.{} {}",
            account(&self.definer),
            identifier(&self.event.schema),
            identifier(&self.event.name),
            self.clause
        )
    }

    /// The session's part of what the event keeps; `None` if a server named a character set that
    /// cannot be one.
    fn character_set(&self) -> Option<String> {
        let is_word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        (is_word(&self.character_set) && is_word(&self.collation)).then(|| {
            format!(
                "SET SESSION character_set_client={}, collation_connection={}",
                self.character_set, self.collation
            )
        })
    }

    /// Whether the statement's text is the same in UTF-8 and in the event's character set.
    fn is_plain(&self, statement: &str) -> bool {
        statement.is_ascii() || self.character_set.starts_with("utf8")
    }
}

/// `user@host` as servers keep it, quoted. A role has no host.
fn account(definer: &str) -> String {
    match definer.rsplit_once('@') {
        Some((user, "")) => identifier(user),
        Some((user, host)) => format!("{}@{}", identifier(user), identifier(host)),
        None => identifier(definer),
    }
}

impl Performer<'_> {
    pub(super) async fn restore_events(
        &mut self,
        states: &BTreeMap<EventName, EventState>,
        keep_decided: bool,
    ) -> Result<(), StatementError> {
        if self.is_set("read_only").await? {
            return Err(self.refused(number::READ_ONLY, "the server is read-only"));
        }
        let off = self.disabled_on_replica();
        let table = self.events().await?;
        let own_id = self.own_id().await?;
        let change = |record: Record<'_>| {
            let replica_disabled = record.text(&["status"]).is_some_and(is_replica_disabled);
            let decided = keep_decided && record.owned(&["originator"]) == own_id;
            let state = states
                .get(&event_name(&record))
                .filter(|_| replica_disabled && !decided)?;
            let clause = match state {
                EventState::Enabled => "ENABLE",
                EventState::Disabled => "DISABLE",
                EventState::ReplicaDisabled { .. } => off,
            };
            Some(Change::new(&record, clause))
        };
        let changes: Vec<Change> = table.records().filter_map(change).collect();
        self.alter_events(&changes, true).await
    }

    pub(super) async fn disable_events(&mut self) -> Result<(), StatementError> {
        // Nobody may change them then, and they cannot write.
        if self.is_set("super_read_only").await? {
            return Ok(());
        }
        let off = self.disabled_on_replica();
        let table = self.events().await?;
        let enabled = |record: &Record<'_>| record.text(&["status"]) == Some("ENABLED");
        let changes: Vec<Change> = table
            .records()
            .filter(enabled)
            .map(|record| Change::new(&record, off))
            .collect();
        self.alter_events(&changes, false).await
    }

    fn disabled_on_replica(&self) -> &'static str {
        match self.reader.dialect().wording {
            Wording::Replica => ON_REPLICA,
            Wording::Connections | Wording::Slave => ON_SLAVE,
        }
    }

    async fn is_set(&mut self, name: &str) -> Result<bool, StatementError> {
        if !self.reader.dialect().has(name) {
            return Ok(false);
        }
        let tables = self
            .run(&format!("SELECT @@global.{name} AS value"))
            .await?;
        let value = tables
            .first()
            .and_then(|table| table.first()?.flag(&["value"]));
        Ok(value != Some(false))
    }

    async fn own_id(&mut self) -> Result<String, StatementError> {
        let tables = self.run("SELECT @@global.server_id AS id").await?;
        let id = tables
            .first()
            .and_then(|table| Some(table.first()?.owned(&["id"])));
        Ok(id.unwrap_or_default())
    }

    async fn events(&mut self) -> Result<Table, StatementError> {
        let Some(sql) = self.reader.dialect().events else {
            return Err(self.refused(
                number::TABLE_DENIED,
                "the account may not read the table of events",
            ));
        };
        let tables = self.run(sql).await?;
        Ok(tables.into_iter().next().unwrap_or_default())
    }

    /// Changes each; what is refused of one does not keep the others from being changed.
    async fn alter_events(
        &mut self,
        changes: &[Change],
        logged: bool,
    ) -> Result<(), StatementError> {
        self.access.note_events_changed(self.address);
        let mut refused: Option<(u16, String)> = None;
        let mut failures: usize = 0;
        for change in changes {
            match self.alter_event(change, logged).await {
                Ok(()) => {}
                Err(StatementError::Refused {
                    number, message, ..
                }) => {
                    failures = failures.saturating_add(1);
                    refused.get_or_insert_with(|| (number, format!("{}: {message}", change.event)));
                }
                Err(error) => return Err(error),
            }
        }
        match refused {
            None => Ok(()),
            Some((number, first)) => {
                let all = changes.len();
                Err(self.refused(number, &format!("{failures} of {all} events; {first}")))
            }
        }
    }

    /// Servers of MySQL that show `REPLICA STATUS` already may not know `ON REPLICA` yet.
    async fn alter_event(&mut self, change: &Change, logged: bool) -> Result<(), StatementError> {
        match self.alter_event_as_said(change, logged).await {
            Err(StatementError::Refused {
                number: number::SYNTAX,
                ..
            }) if change.clause == ON_REPLICA => {
                let change = Change {
                    clause: ON_SLAVE,
                    ..change.clone()
                };
                self.alter_event_as_said(&change, logged).await
            }
            outcome => outcome,
        }
    }

    async fn alter_event_as_said(
        &mut self,
        change: &Change,
        logged: bool,
    ) -> Result<(), StatementError> {
        let Some(character_set) = change.character_set() else {
            return Err(self.refused(0, "its character set is not known"));
        };
        let statement = change.statement();
        let text = if change.is_plain(&statement) {
            statement.into_bytes()
        } else {
            self.encoded(&statement, &change.character_set).await?
        };
        let (before, after) = if logged {
            (character_set, USUAL.to_owned())
        } else {
            (
                format!("{NOT_LOGGED}; {character_set}"),
                format!("{USUAL}; {LOGGED}"),
            )
        };
        let sql = [before.as_bytes(), b"; ", &text, b"; ", after.as_bytes()].concat();
        let outcome = self.run_allowing(sql, &[number::NO_SUCH_EVENT]).await;
        let cut_short = match &outcome {
            Ok(tables) => tables.len() < after.split(';').count().saturating_add(2),
            Err(error) => matches!(error, StatementError::Refused { .. }),
        };
        if cut_short {
            // After an error the rest of the text was not executed.
            self.run(&after).await?;
        }
        outcome.map(drop)
    }

    /// A statement in another character set, as the server itself writes it.
    async fn encoded(
        &mut self,
        statement: &str,
        character_set: &str,
    ) -> Result<Vec<u8>, StatementError> {
        let mut hex = String::with_capacity(statement.len() * 2);
        for byte in statement.bytes() {
            // Writing to a String does not fail.
            let _ok = write!(hex, "{byte:02X}");
        }
        let sql = format!(
            "SELECT HEX(CONVERT(CONVERT(X'{hex}' USING utf8mb4) USING {character_set})) AS text"
        );
        let tables = self.run(&sql).await?;
        let text = tables
            .first()
            .and_then(|table| decoded(table.first()?.text(&["text"])?));
        text.ok_or_else(|| self.refused(0, "its name cannot be written in its character set"))
    }
}

fn decoded(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(definer: &str, name: &str, character_set: &str) -> Change {
        Change {
            event: EventName {
                schema: "app".to_owned(),
                name: name.to_owned(),
            },
            definer: definer.to_owned(),
            character_set: character_set.to_owned(),
            collation: "latin1_german1_ci".to_owned(),
            clause: "ENABLE",
        }
    }

    #[test]
    fn names_and_definers_are_quoted() {
        assert_eq!(
            change("o`d@d@%", "a`b", "latin1").statement(),
            "ALTER DEFINER=`o``d@d`@`%` EVENT `app`.`a``b` ENABLE"
        );
        assert_eq!(account("operators@"), "`operators`");
    }

    #[test]
    fn a_text_is_plain_where_its_bytes_are_the_same() {
        let event = change("a@b", "é", "latin1");
        assert!(!event.is_plain(&event.statement()));
        let event = change("a@b", "é", "utf8mb3");
        assert!(event.is_plain(&event.statement()));
        assert_eq!(change("a@b", "e", "x; DROP").character_set(), None);
        assert_eq!(decoded("41E9"), Some(vec![0x41, 0xE9]));
        assert_eq!(decoded("4"), None);
    }
}
