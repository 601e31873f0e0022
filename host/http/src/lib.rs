//! The HTTP edge of Baton, and the only package that knows axum: the predecessor's `/api`, the designed `/api/v1`,
//! probes for load balancers, metrics and a small web page. It asks the control loop through [`baton_control::Control`]
//! and decides nothing itself.

mod access;
mod backend;
mod compat;
mod gate;
mod health;
mod metrics;
mod page;
mod passing;
mod peers;
mod server;
mod settings;
mod times;
mod v1;
mod work;

pub use backend::{
    BackendClusterDocument, BackendDocument, BackendNodeDocument, BackendProbeDocument, Backends,
    Embedded, MoveDocument, MoveRequest, SelectionDocument, WordDocument,
};
pub use gate::Gate;
pub use peers::HttpPeers;
pub use server::{router, serve};
pub use settings::{HttpSettings, UrlPrefix, UrlPrefixError};
