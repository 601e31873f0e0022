//! The loop of a Baton node: observe, decide, act under the lease. Knows servers, store, policies and clock only as ports.

mod api;

pub use api::{ChangePrimary, ClusterView, Control, NodeStatus, RequestError};
