//! Baton's state store on SQL databases: the only crate that speaks sqlx.
//!
//! The operations (`operations`) and the schema (`schema`) are written once, in SQL that SQLite,
//! MariaDB, MySQL and NDB take alike; what differs between engines (how to connect, how a
//! transaction begins, which error means what, the options behind a `CREATE TABLE`, whether to try
//! again and where) sits behind `session::Backend`: SQLite, and database nodes that speak the MySQL
//! protocol.
//!
//! Rules of the SQL here, so that the next engine changes nothing in it: `?` placeholders; integers
//! and texts only; a primary key on every table; no upserts (`UPDATE`, then `INSERT` if no row
//! matched, in one transaction); no `RETURNING`; no engine-made numbers (`baton_sequence` gives
//! them, so that they are dense and ordered); no clock of the database; a compare-and-swap carries
//! its whole condition in `WHERE`.

mod copy;
mod failure;
mod limits;
mod local;
mod moving;
mod mysql;
mod operations;
mod schema;
mod session;
mod sqlite;
mod store;
mod value;

pub use copy::{Occupied, StateDump};
pub use moving::{Move, MoveError, MoveLimits, MovedLease, Relocation};
pub use mysql::{HalfCopies, Hold, MySqlOptions, Selector};
pub use schema::SCHEMA_VERSION;
pub use sqlite::{Durability, OpenError, Opened, Sqlite, SqliteOptions};
pub use store::{AuditLimits, MySqlStore, SqlStore, SqliteStore};
