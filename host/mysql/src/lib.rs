//! Managed MySQL and MariaDB servers: the only place with SQL for them.
//!
//! [`MysqlServers`] implements [`baton_ports::Servers`]. What a server understands is found out by
//! asking it for it, never by comparing versions. Answers become facts in pure functions; each kind
//! of failure becomes its own fact, by number and kind.

mod act;
mod channel_options;
mod commands;
mod commit_probe;
mod connect;
mod dialect;
mod facts;
mod failure;
mod probe;
mod reading;
mod recent;
mod rows;
mod servers;
mod session;
mod settings;
mod standby;
mod text;
mod watch;

pub use probe::ProbeSession;
pub use rows::{Record, Table};
pub use servers::MysqlServers;
pub use settings::{
    Account, CommitProbeSettings, Queries, ReplicationTls, ReplicationTlsMode, Secret, Settings,
    Tls,
};
