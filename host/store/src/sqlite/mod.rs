//! SQLite: a file, or a database in memory.
//!
//! One connection writes, several read. Writes are in a write-ahead log that is synced at each
//! commit, so a commit that was answered survives the loss of power. Two processes may open one
//! file (a rolling restart, or a mistake): SQLite's locks keep the file whole, and the lease
//! decides who acts.

mod connection;
mod errors;
mod file;
mod open;
mod open_error;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;

pub use open::Opened;
pub use open_error::OpenError;

use self::connection::{SqliteTransaction, Writer, fetch_on};
use self::file::Place;
use crate::failure::Failure;
use crate::session::{Backend, Transaction};
use crate::store::AuditLimits;
use crate::value::{Row, Value};

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: survives the loss of power.
    #[default]
    Full,
    /// When the operating system has it: survives the end of the process, not the loss of power. An
    /// epoch could then be given twice; for tests, and for data that is rebuilt anyway.
    Process,
}

/// How to open a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Make the file if there is none. Default true.
    pub create: bool,
    /// When a commit counts as done.
    pub durability: Durability,
    /// How long a write waits for another process that is writing, before it is to be tried again.
    /// Default 2 s: too small refuses writes during another process's merge of its log, too large
    /// delays the news that something is stuck.
    pub busy_timeout: Duration,
    /// Connections that read. Default 3; at least 1. In memory there is one connection for
    /// everything.
    pub readers: u32,
    /// Largest size of the file in bytes, without its log; a write beyond it fails as on a full
    /// disk. Default: none.
    pub size_max: Option<u64>,
    /// How much of the audit log is kept.
    pub audit: AuditLimits,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            create: true,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(2),
            readers: 3,
            size_max: None,
            audit: AuditLimits::default(),
        }
    }
}

/// SQLite as an engine.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    /// `None` in memory, where the writer reads too.
    readers: Option<SqlitePool>,
    /// `None` in memory.
    place: Option<Place>,
}

impl Sqlite {
    fn require_unmoved(&self) -> Result<(), Failure> {
        let unmoved = self.place.as_ref().map_or(Ok(()), Place::require_unmoved);
        unmoved.map_err(|moved| Failure::Unavailable(Box::new(moved)))
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn begin(&self) -> Result<Box<dyn Transaction>, Failure> {
        self.require_unmoved()?;
        Ok(Box::new(SqliteTransaction::begin(&self.writer).await?))
    }

    async fn fetch(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Failure> {
        match &self.readers {
            Some(readers) => {
                self.require_unmoved()?;
                fetch_on(readers, sql, values).await
            }
            None => fetch_on(self.writer.lock().await.clean().await?, sql, values).await,
        }
    }
}
