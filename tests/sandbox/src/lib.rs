//! Real MariaDB and MySQL servers that a test can start, break and repair.
//!
//! [`Sandbox`] owns a directory in memory and everything started in it: servers
//! ([`Server`]), whole replication topologies ([`Topology`]), clusters for Baton's own state
//! ([`BackendBed`]), [`Haproxy`], network namespaces ([`Network`]), and any other program
//! ([`Process`]). Dropping it ends them all and removes the directory; if this process dies
//! first, the kernel kills them.
//!
//! Functions here block the calling thread and may be called from synchronous and from
//! asynchronous code alike: SQL runs on a runtime of its own.
//!
//! ```no_run
//! use baton_sandbox::{Flavor, Sandbox, TopologySpec, Writer};
//! # fn main() -> anyhow::Result<()> {
//! let sandbox = Sandbox::new("example")?;
//! let spec = TopologySpec::parse("
//!     p1
//!     r1 <- p1
//!     r2 <- p1
//!     c1 <- r1
//! ")?;
//! let topology = sandbox.topology(Flavor::MariaDb, &spec)?;
//! let writer = Writer::start(topology.servers())?;
//! let killed = topology["p1"].kill9()?;
//! // ... a failover happens ...
//! let report = writer.stop()?;
//! println!("{:?} without a writer", report.handover_after(killed));
//! # Ok(())
//! # }
//! ```

mod accounts;
mod backends;
mod certificates;
mod flavor;
mod haproxy;
mod installation;
mod need;
mod network;
mod options;
mod places;
mod ports;
mod process;
mod replication;
mod sandbox;
mod seed;
mod server;
mod spawner;
mod sql;
mod topology;
mod wait;
mod witness;
mod writer;

pub use accounts::Account;
pub use backends::{BackendBed, BackendKind, BackendOptions, Ndb, Part, Timers};
pub use certificates::Certificates;
pub use flavor::Flavor;
pub use haproxy::{Haproxy, HealthCheck, first_available};
pub use installation::{Installation, find_baton};
pub use need::{Need, Skipped, require};
pub use network::{Forward, Host, Network};
pub use options::{Access, ServerOptions};
pub use ports::free_port;
pub use process::Process;
pub use replication::{Channel, SemiSync};
pub use sandbox::Sandbox;
pub use server::Server;
pub use sql::{Row, Rows};
pub use topology::{MemberSpec, Topology, TopologySpec};
pub use wait::wait_until;
pub use witness::{Testimony, Witness};
pub use writer::{Acknowledged, Gap, Writer, WriterOptions, WriterReport};
