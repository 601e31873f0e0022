//! The loop of a Baton node: observe, decide, act under the lease. Knows servers, store, policies
//! and clock only as ports.

mod aftermath;
mod api;
mod clusters;
mod counters;
mod handle;
mod in_use;
mod inventory;
mod leadership;
mod leading;
mod locking;
mod node;
mod order_kind;
mod settings;
mod store_retry;

pub use api::{
    ChangePrimary, ClusterView, Control, NodeLife, NodeStatus, NodeView, OrderForecast,
    RequestError, Sureness,
};
pub use handle::Handle;
pub use leadership::{HeldLease, LEASE, NoPeers, vote_term};
pub use node::{Node, Ports};
pub use order_kind::OrderKind;
pub use settings::{ControlSettings, RejoinMode, ServerHint};
