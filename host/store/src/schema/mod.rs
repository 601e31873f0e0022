//! The schema: embedded migrations, applied in order, never changed once released.

pub(crate) mod tables;

use crate::failure::{Failure, Malformed};
use crate::session::Backend;
use crate::value::values;

/// The schema version this program writes.
pub const SCHEMA_VERSION: u32 = 3;

/// One step from a schema to the next.
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) sql: &'static str,
}

/// All steps, in order; `SCHEMA_VERSION` is the last one's.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("0001_state.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("0002_nodes.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("0003_histories.sql"),
    },
];

pub(crate) const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS baton_schema (
  version BIGINT NOT NULL, program VARCHAR(64) NOT NULL, PRIMARY KEY (version)) {options}";
const FIND_VERSION: &str = "SELECT MAX(version) FROM baton_schema WHERE version > 0";
/// A row of this name says that a copy of another store was begun here and not finished.
pub(crate) const UNFINISHED: &str = "SELECT enabled FROM baton_switch WHERE name = 'restoring'";
pub(crate) const PROGRAM: &str = concat!("baton ", env!("CARGO_PKG_VERSION"));
pub(crate) const RECORD_VERSION: &str = "INSERT INTO baton_schema (version, program) VALUES (?, ?)";

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub(crate) enum SchemaError {
    /// Written by a newer program.
    Newer {
        /// Its version.
        found: u32,
    },
    /// The database refused.
    Failed(Failure),
}

impl From<Failure> for SchemaError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Brings the schema up to date. `options` is what the engine wants behind each table. Gives the
/// version found.
pub(crate) async fn migrate(backend: &dyn Backend, options: &str) -> Result<u32, SchemaError> {
    apply(backend, options, MIGRATIONS).await
}

/// One transaction per version, so that an engine that cannot roll back table definitions knows
/// where it stopped.
async fn apply(
    backend: &dyn Backend,
    options: &str,
    migrations: &[Migration],
) -> Result<u32, SchemaError> {
    let known = migrations.last().map_or(0, |migration| migration.version);
    let mut transaction = backend.begin().await?;
    transaction
        .execute_text(&with_options(CREATE_VERSIONS, options))
        .await?;
    let found = stored_version(&mut *transaction).await?;
    transaction.commit().await?;
    if found > known {
        return Err(SchemaError::Newer { found });
    }
    for migration in migrations
        .iter()
        .filter(|migration| migration.version > found)
    {
        let mut transaction = backend.begin().await?;
        // Another process may have done it since.
        if stored_version(&mut *transaction).await? >= migration.version {
            transaction.rollback().await;
            continue;
        }
        for statement in statements(migration.sql) {
            transaction
                .execute_text(&with_options(&statement, options))
                .await?;
        }
        transaction
            .execute(RECORD_VERSION, values![migration.version, PROGRAM])
            .await?;
        transaction.commit().await?;
    }
    Ok(found)
}

async fn stored_version(session: &mut dyn crate::session::Transaction) -> Result<u32, Failure> {
    let rows = session.fetch(FIND_VERSION, Vec::new()).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(0);
    };
    let Some(version) = row.integer_or_null("baton_schema.version")? else {
        return Ok(0);
    };
    u32::try_from(version).map_err(|_| {
        let found = version.to_string();
        Malformed {
            column: "baton_schema.version",
            found,
            expected: "a schema version",
        }
        .into()
    })
}

pub(crate) fn with_options(sql: &str, options: &str) -> String {
    sql.replace("{options}", options)
}

/// The statements of a migration: separated by a semicolon at the end of a line, comments left out.
pub(crate) fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<&str> = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let text = format!("{}\n", lines.join("\n"));
    text.split(";\n")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
