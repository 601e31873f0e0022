//! Baton's state store on SQL databases: the only crate that speaks sqlx.
//!
//! The operations (`operations`) and the schema (`schema`) are written once, in SQL that SQLite, MariaDB, MySQL and NDB
//! take alike; what differs between engines (how to connect, how a transaction begins, which error means what, the
//! options behind a `CREATE TABLE`) sits behind `session::Backend`. SQLite is the first implementation.
//!
//! Rules of the SQL here, so that the next engine changes nothing in it: `?` placeholders; integers and texts only; a
//! primary key on every table; no upserts (`UPDATE`, then `INSERT` if no row matched, in one transaction); no
//! `RETURNING`; no engine-made numbers (`baton_sequence` gives them, so that they are dense and ordered); no clock of the
//! database; a compare-and-swap carries its whole condition in `WHERE`.

#[cfg(feature = "contract")]
pub mod contract;
mod failure;
mod limits;
mod operations;
mod schema;
mod session;
mod sqlite;
mod store;
mod value;

pub use schema::SCHEMA_VERSION;
pub use sqlite::{Durability, OpenError, Opened, Sqlite, SqliteOptions};
pub use store::{AuditLimits, SqlStore, SqliteStore};
