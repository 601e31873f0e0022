//! The loop of a Baton node: observe, decide, act under the lease. Knows servers, store, policies and clock only as ports.

mod api;
mod clusters;
mod counters;
mod duplicate_name;
mod handle;
mod in_use;
mod inventory;
mod leading;
mod lease;
mod locking;
mod node;
mod nodes;
mod patience;
mod peers;
mod right;
mod settings;
mod standby;
mod testimony;
mod voters;

pub use api::{
    ChangePrimary, ClusterView, Control, NodeLife, NodeStatus, NodeView, RequestError, Sureness,
};
pub use handle::Handle;
pub use lease::{HeldLease, LEASE, vote_term};
pub use node::{Node, Ports};
pub use peers::NoPeers;
pub use settings::{ControlSettings, RejoinMode, ServerHint};
