//! What both HTTP APIs (`baton-http` and `baton-compat`) are built on: who may do what, forwarding
//! to the leader, connections to other nodes, and times as text. It serves no route.

mod access;
mod client;
mod context;
mod detached;
mod forwarding;
mod settings;
pub mod times;

pub use access::{
    Access, Forward, Refusal, Scope, ask_for_credentials, authenticate, not_authorized,
    permit_change,
};
pub use client::{ConnectionError, PeerClient, PeerClientError};
pub use context::ApiContext;
pub use detached::run_detached;
pub use forwarding::{BODY_MAX, ForwardError, Forwarded, forward_to_leader};
pub use settings::{HttpSettings, UrlPrefix, UrlPrefixError};
