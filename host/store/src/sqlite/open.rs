//! Opening a database: everything that can be wrong with it is found here, before anything depends
//! on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

use super::connection::{begin, wait_by_itself, writer};
use super::errors::{BUSY, CANTOPEN, CORRUPT, FULL, LOCKED, NOTADB, READONLY, primary_code};
use super::file::{APPLICATION_ID, Found, Place, inspect};
use super::{Durability, OpenError, Sqlite, SqliteOptions};
use crate::failure::Failure;
use crate::operations::sequence::{self, Sequence};
use crate::schema::{SCHEMA_VERSION, SchemaError, migrate};
use crate::session::Backend as _;
use crate::store::{SqlStore, SqliteStore};

/// What SQLite wants behind each table: rows in the order of the primary key, without a second,
/// hidden key.
const TABLE_OPTIONS: &str = "WITHOUT ROWID";

/// Size to which the log is cut when it begins anew.
const LOG_BYTES_MAX: u32 = 4 << 20;

/// Tries, and time between them, to switch to the write-ahead log while another process opens the
/// same new file: SQLite does not wait for that lock by itself.
const SWITCH_TRIES: u32 = 100;
const SWITCH_PAUSE: Duration = Duration::from_millis(20);

/// An opened store, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: SqliteStore,
    /// There was no database before: say so in the log.
    pub created: bool,
    /// Schema version before it was brought up to [`SCHEMA_VERSION`]; 0 if there was none.
    pub schema_found: u32,
}

impl SqliteStore {
    /// Opens the database at `path`, or a new one in memory for `":memory:"`.
    ///
    /// # Errors
    /// Says what is wrong with the file and what to do about it. Nothing but an unfinished new file
    /// is left behind.
    pub async fn open(
        path: impl AsRef<Path>,
        options: &SqliteOptions,
    ) -> Result<Opened, OpenError> {
        let path = path.as_ref();
        if path == Path::new(":memory:") {
            return open_memory(options).await;
        }
        let path = std::path::absolute(path).map_err(|error| OpenError::Other {
            path: path.to_owned(),
            source: error.into(),
        })?;
        Opening { path, options }.open().await
    }

    /// Waits for the write under way and merges the log into the file, so that the file alone can
    /// be copied. Calls after it fail. For a clean stop; without it nothing is lost either.
    pub async fn close(&self) {
        let Sqlite {
            writer,
            readers,
            place: _,
        } = &self.backend;
        if let Some(readers) = readers {
            readers.close().await;
        }
        writer.lock().await.close().await;
    }
}

async fn open_memory(options: &SqliteOptions) -> Result<Opened, OpenError> {
    let path = PathBuf::from(":memory:");
    let opening = Opening { path, options };
    let connect = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging();
    let mut connection = connect
        .connect()
        .await
        .map_err(|error| opening.explain(error))?;
    opening.limit_size(&mut connection).await?;
    let writer = writer(connection, options.busy_timeout).await;
    let backend = Sqlite {
        writer: writer.map_err(|error| opening.explain(error))?,
        readers: None,
        place: None,
    };
    let schema_found = opening.bring_up_to_date(&backend).await?;
    let store = SqlStore {
        backend,
        audit: options.audit,
    };
    Ok(Opened {
        store,
        created: true,
        schema_found,
    })
}

/// An opening under way.
struct Opening<'a> {
    path: PathBuf,
    options: &'a SqliteOptions,
}

impl Opening<'_> {
    async fn open(self) -> Result<Opened, OpenError> {
        let found = inspect(&self.path)?;
        if found == Found::Nothing && !self.options.create {
            return Err(OpenError::Missing { path: self.path });
        }
        let connect = self.connect_options(found != Found::Ours);
        let mut connection = connect
            .connect()
            .await
            .map_err(|error| self.explain(error))?;
        let created = self.mark(&mut connection).await?;
        self.use_log(&mut connection).await?;
        self.limit_size(&mut connection).await?;
        if !created {
            self.check(&mut connection).await?;
        }
        let place = Place::of(&self.path).map_err(|error| OpenError::Unreadable {
            path: self.path.clone(),
            source: error.into(),
        })?;
        let writer = writer(connection, self.options.busy_timeout).await;
        let mut backend = Sqlite {
            writer: writer.map_err(|error| self.explain(error))?,
            readers: None,
            place: Some(place),
        };
        let schema_found = self.bring_up_to_date(&backend).await?;
        backend.readers = Some(self.readers().await?);
        let store = SqlStore {
            backend,
            audit: self.options.audit,
        };
        Ok(Opened {
            store,
            created,
            schema_found,
        })
    }

    fn connect_options(&self, create: bool) -> SqliteConnectOptions {
        let synchronous = match self.options.durability {
            Durability::Full => "FULL",
            Durability::Process => "NORMAL",
        };
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(create && self.options.create)
            .busy_timeout(self.options.busy_timeout)
            .foreign_keys(true)
            .pragma("synchronous", synchronous)
            .pragma("journal_size_limit", LOG_BYTES_MAX.to_string())
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging()
    }

    /// Marks a new database as Baton's, in the file's first transaction; refuses one that is not.
    /// True if it was new.
    async fn mark(&self, connection: &mut SqliteConnection) -> Result<bool, OpenError> {
        self.begin(connection)
            .await
            .map_err(|error| self.explain(error))?;
        let tables: i64 = self
            .value(connection, "SELECT COUNT(*) FROM sqlite_master")
            .await?;
        let mark: i64 = self.value(connection, "PRAGMA application_id").await?;
        if mark == i64::from(APPLICATION_ID) {
            self.run(connection, "ROLLBACK").await?;
            return Ok(false);
        }
        if mark != 0 || tables > 0 {
            let application_id = u32::try_from(mark).unwrap_or(u32::MAX);
            return Err(OpenError::Foreign {
                path: self.path.clone(),
                application_id,
            });
        }
        self.run(
            connection,
            &format!("PRAGMA application_id = {APPLICATION_ID}"),
        )
        .await?;
        self.run(connection, "COMMIT").await?;
        Ok(true)
    }

    async fn begin(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let patience = self.options.busy_timeout;
        wait_by_itself(connection, Duration::ZERO).await?;
        begin(connection, patience).await?;
        wait_by_itself(connection, patience).await
    }

    async fn use_log(&self, connection: &mut SqliteConnection) -> Result<(), OpenError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL")
                .fetch_one(&mut *connection)
                .await;
            match mode {
                Ok(mode) if mode == "wal" => return Ok(()),
                Ok(mode) => {
                    return Err(OpenError::NoWriteAheadLog {
                        path: self.path.clone(),
                        mode,
                    });
                }
                Err(error) => match self.explain(error) {
                    OpenError::Locked { .. } if tries < SWITCH_TRIES => {
                        tokio::time::sleep(SWITCH_PAUSE).await;
                    }
                    other => return Err(other),
                },
            }
        }
    }

    async fn limit_size(&self, connection: &mut SqliteConnection) -> Result<(), OpenError> {
        let Some(size_max) = self.options.size_max else {
            return Ok(());
        };
        let page: i64 = self.value(connection, "PRAGMA page_size").await?;
        let pages = size_max / u64::try_from(page).unwrap_or(4096).max(1);
        self.run(connection, &format!("PRAGMA max_page_count = {pages}"))
            .await
    }

    /// Looks through the whole file for damage: some milliseconds per ten megabytes.
    async fn check(&self, connection: &mut SqliteConnection) -> Result<(), OpenError> {
        let verdict: String = self.value(connection, "PRAGMA quick_check(1)").await?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(OpenError::Corrupt {
            path: self.path.clone(),
            detail: verdict,
        })
    }

    /// Migrates, then proves by a write that commits that writing works.
    async fn bring_up_to_date(&self, backend: &Sqlite) -> Result<u32, OpenError> {
        let found = match migrate(backend, TABLE_OPTIONS).await {
            Ok(found) => found,
            Err(SchemaError::Newer { found }) => {
                return Err(OpenError::Newer {
                    path: self.path.clone(),
                    found,
                    known: SCHEMA_VERSION,
                });
            }
            Err(SchemaError::Failed(failure)) => return Err(self.explain_failure(failure)),
        };
        self.prove_writing(backend)
            .await
            .map_err(|failure| self.explain_failure(failure))?;
        Ok(found)
    }

    /// Counts the openings. A number that really changes: SQLite writes nothing where nothing does.
    async fn prove_writing(&self, backend: &Sqlite) -> Result<(), Failure> {
        let mut transaction = backend.begin().await?;
        sequence::take(&mut *transaction, Sequence::Opening, 1).await?;
        transaction.commit().await
    }

    async fn readers(&self) -> Result<SqlitePool, OpenError> {
        let connect = self.connect_options(false).pragma("query_only", "ON");
        SqlitePoolOptions::new()
            .max_connections(self.options.readers.max(1))
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(connect)
            .await
            .map_err(|error| self.explain(error))
    }

    async fn run(&self, connection: &mut SqliteConnection, sql: &str) -> Result<(), OpenError> {
        sqlx::query(sql)
            .execute(connection)
            .await
            .map_err(|error| self.explain(error))?;
        Ok(())
    }

    async fn value<T>(&self, connection: &mut SqliteConnection, sql: &str) -> Result<T, OpenError>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        sqlx::query_scalar(sql)
            .fetch_one(connection)
            .await
            .map_err(|error| self.explain(error))
    }

    fn explain_failure(&self, failure: Failure) -> OpenError {
        let path = self.path.clone();
        match failure {
            Failure::Retry(source) => OpenError::Locked { path, source },
            Failure::Elsewhere(source)
            | Failure::Unknown(source)
            | Failure::Unavailable(source)
            | Failure::Duplicate(source)
            | Failure::Dangling(source) => match source.downcast::<sqlx::Error>() {
                Ok(error) => self.explain(*error),
                Err(source) => OpenError::Other { path, source },
            },
        }
    }

    fn explain(&self, error: sqlx::Error) -> OpenError {
        let path = self.path.clone();
        match primary_code(&error) {
            BUSY | LOCKED => OpenError::Locked {
                path,
                source: error.into(),
            },
            READONLY | CANTOPEN => OpenError::ReadOnly {
                path,
                source: error.into(),
            },
            CORRUPT => OpenError::Corrupt {
                path,
                detail: error.to_string(),
            },
            NOTADB => OpenError::NotADatabase { path },
            FULL => OpenError::Full {
                path,
                source: error.into(),
            },
            _ => OpenError::Other {
                path,
                source: error.into(),
            },
        }
    }
}
