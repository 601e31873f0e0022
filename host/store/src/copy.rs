//! The whole state out of one store and into another, whatever their engines.
//!
//! A copy is read in one transaction, in pieces that every engine takes; where an engine does not
//! isolate reads of many rows (NDB), it is as good as the caller keeps others from writing: writes
//! under a lease are kept off by the guard that opens it. It is written in pieces too, since one
//! large transaction stalls a cluster; a mark that is set first and removed last makes a store with
//! half a copy unusable, so nobody reads a mixture.

use baton_core::ids::LeaseEpoch;
use baton_ports::StoreError;

use crate::failure::{Failure, Refusal};
use crate::operations::lease;
use crate::schema::tables::{BATCH, TABLES, Table};
use crate::schema::{SCHEMA_VERSION, UNFINISHED};
use crate::session::{Backend, Session, Transaction};
use crate::store::{SqlStore, finish, write};
use crate::value::{Row, Value, values};

/// Rows read or written at once: small enough for the operation records of a small NDB.
const ROWS_AT_ONCE: u32 = 200;

/// Longest statement in bytes, roughly: well below what the servers take by default
/// (`max_allowed_packet`, 16 MiB and more).
const STATEMENT_MAX: usize = 1024 * 1024;

/// Tables whose rows a new store has from the start, or gets by being looked at.
const NEVER_EMPTY: [&str; 4] = [
    "baton_sequence",
    "baton_switch",
    "baton_health",
    "baton_node",
];

const MARK: &str = "INSERT INTO baton_switch (name, enabled) VALUES ('restoring', 1)";
const UNMARK: &str = "DELETE FROM baton_switch WHERE name = 'restoring'";
const MARKER: &str = "restoring";

/// All that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDump {
    schema: u32,
    tables: Vec<(&'static str, Vec<Vec<Value>>)>,
}

impl StateDump {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|(_, rows)| rows.len()).sum()
    }
}

/// What to do with a store that is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occupied {
    /// Leave it alone.
    #[default]
    Refuse,
    /// Remove what is there.
    Replace,
}

/// Whether a copy brings its leases along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leases {
    /// It does.
    Copy,
    /// They come later, so that nobody who looks only at leases takes a closed copy for the state.
    Leave,
}

impl<B: Backend> SqlStore<B> {
    /// Copies the whole state. With a lease and its epoch, nothing is written under that lease
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the lease is not held under the epoch.
    pub async fn dump(&self, under: Option<(&str, LeaseEpoch)>) -> Result<StateDump, StoreError> {
        write!(self, "copying the state", |session| dump(session, under))
    }

    /// Puts a copy in place of what the store holds. A reader sees all of it or, until it is whole,
    /// nothing at all. After an error the store is not usable until a copy was put there again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the store is not empty and may not be replaced.
    pub async fn restore(&self, copy: &StateDump, occupied: Occupied) -> Result<(), StoreError> {
        self.fill(copy, occupied, Leases::Copy).await?;
        write!(self, "finishing a copy of the state", |session| unmark(
            session
        ))
    }

    /// Puts a copy in place of what the store holds, and leaves the mark that nobody may use it.
    pub(crate) async fn fill(
        &self,
        copy: &StateDump,
        occupied: Occupied,
        leases: Leases,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "putting a copy of the state in place";
        if copy.schema != SCHEMA_VERSION {
            return Err(StoreError::Conflict {
                operation: OPERATION,
                conflict: format!(
                    "the copy has schema {}, this program writes {SCHEMA_VERSION}",
                    copy.schema
                ),
            });
        }
        write!(
            self,
            "beginning to put a copy of the state in place",
            |session| mark(session, occupied)
        )?;
        for table in TABLES.iter().rev() {
            while write!(self, "emptying the store for a copy", |session| {
                remove_some(session, table)
            })? {}
        }
        let is_wanted = |table: &&Table| leases == Leases::Copy || table.name != "baton_lease";
        for table in TABLES.iter().filter(is_wanted) {
            let rows = copy.tables.iter().find(|(name, _)| *name == table.name);
            let rows = rows.map_or(&[][..], |(_, rows)| rows);
            for piece in rows.chunks(usize::try_from(ROWS_AT_ONCE).unwrap_or(1)) {
                write!(
                    self,
                    "putting a copy of the state in place",
                    |session, in_doubt| insert(session, table, piece, in_doubt)
                )?;
            }
        }
        Ok(())
    }
}

async fn run(session: &mut dyn Transaction, sql: &'static str) -> Result<(), Refusal> {
    session.execute(sql, Vec::new()).await?;
    Ok(())
}

async fn dump(
    session: &mut dyn Transaction,
    under: Option<(&str, LeaseEpoch)>,
) -> Result<StateDump, Refusal> {
    if let Some((name, epoch)) = under {
        lease::guard(session, name, epoch).await?;
    }
    let mut tables = Vec::new();
    for table in TABLES.iter() {
        tables.push((table.name, rows_of(session, table).await?));
    }
    Ok(StateDump {
        schema: SCHEMA_VERSION,
        tables,
    })
}

async fn rows_of(
    session: &mut dyn Session,
    table: &'static Table,
) -> Result<Vec<Vec<Value>>, Failure> {
    let mut all: Vec<Vec<Value>> = Vec::new();
    loop {
        let last = all.last().and_then(|row| row.first()).cloned();
        let piece = match last {
            None => session.fetch(table.first, values![ROWS_AT_ONCE]).await?,
            Some(key) => {
                session
                    .fetch(table.after, vec![key, ROWS_AT_ONCE.into()])
                    .await?
            }
        };
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend(piece.into_iter().map(Row::into_values));
    }
}

/// Removes some rows, but for the mark. False if there were none.
async fn remove_some(
    session: &mut dyn Transaction,
    table: &'static Table,
) -> Result<bool, Refusal> {
    let rows = session.fetch(table.first, values![ROWS_AT_ONCE]).await?;
    let mut removed = false;
    for row in rows {
        let key = row.into_values().into_iter().next().unwrap_or(Value::Null);
        if table.name == "baton_switch" && key == Value::from(MARKER) {
            continue;
        }
        session.execute(table.remove, vec![key]).await?;
        removed = true;
    }
    Ok(removed)
}

async fn mark(session: &mut dyn Transaction, occupied: Occupied) -> Result<(), Refusal> {
    if !session.fetch(UNFINISHED, Vec::new()).await?.is_empty() {
        // What is there is half a copy, and nobody's state.
        return Ok(());
    }
    let candidates = TABLES
        .iter()
        .filter(|table| !NEVER_EMPTY.contains(&table.name));
    if occupied == Occupied::Refuse {
        for table in candidates {
            if !session.fetch(table.first, values![1_u32]).await?.is_empty() {
                return Err(Refusal::Conflict(format!(
                    "the store is not empty: there are rows in {}",
                    table.name
                )));
            }
        }
    }
    run(session, MARK).await
}

async fn unmark(session: &mut dyn Transaction) -> Result<(), Refusal> {
    run(session, UNMARK).await
}

/// Inserts rows. They go in together, so the first one tells whether they are there already.
async fn insert(
    session: &mut dyn Transaction,
    table: &'static Table,
    rows: &[Vec<Value>],
    in_doubt: bool,
) -> Result<(), Refusal> {
    let key = rows.first().and_then(|row| row.first());
    if let Some(key) = key.filter(|_| in_doubt)
        && !session
            .fetch(table.find, vec![key.clone()])
            .await?
            .is_empty()
    {
        return Ok(());
    }
    for piece in rows.chunks(BATCH) {
        if piece.len() == BATCH && length(piece) <= STATEMENT_MAX {
            session.execute(table.insert_batch, piece.concat()).await?;
            continue;
        }
        for row in piece {
            session.execute(table.insert, row.clone()).await?;
        }
    }
    Ok(())
}

/// Bytes of the values, roughly.
fn length(rows: &[Vec<Value>]) -> usize {
    let values = rows.iter().flatten();
    let lengths = values.map(|value| match value {
        Value::Null | Value::Integer(_) => size_of::<i64>(),
        Value::Text(text) => text.len(),
    });
    lengths.sum()
}
