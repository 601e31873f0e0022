//! The HTTP edge of Baton: `/api/v1`, probes for load balancers, metrics and a small web page; it
//! mounts the compatible `/api` of `baton-compat`. It asks the control loop through
//! [`baton_control::Control`] and decides nothing itself.

mod backend;
mod health;
mod metrics;
mod page;
mod peers;
mod server;
mod startup;
mod v1;
mod vocabulary;

pub use backend::{Backends, Embedded, MoveRequest, StateMove, StateStatus};
pub use baton_http_core::{HttpSettings, UrlPrefix, UrlPrefixError};
pub use peers::{HttpPeers, PeerBackend};
pub use server::{router, serve};
pub use startup::StartupRouter;
pub use v1::paths;
