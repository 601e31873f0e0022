//! Leadership: which Baton node may act.
//!
//! This room keeps the lease in the store, watches the other nodes, and registers this node and the
//! members whose locks are votes. The decisions are pure and live in
//! [`baton_core::leadership`]; what is here performs them. The votes of one cluster are counted in
//! the room of clusters, where the sessions hold its locks.
//!
//! It may import the inventory. It must not import clusters.

mod lease_keeper;
mod nodes;
mod peer_report;
mod peer_table;
mod voter_registry;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_ports::{Clock, Store};

use crate::inventory::Registry;

pub use baton_core::leadership::vote_term;
pub use lease_keeper::{HeldLease, LEASE};
pub(crate) use lease_keeper::{LeaseKeeper, LeaseSettings};
pub use peer_table::NoPeers;
pub(crate) use peer_table::PeerTable;
pub(crate) use voter_registry::VoterRegistry;

/// Added to the guard period before a gained lock or lease counts: the clocks of two machines do
/// not run equally fast.
pub(crate) const GUARD_MARGIN: Duration = Duration::from_millis(50);

/// This node among the others: what operators and peers may ask about it.
pub(crate) struct Leadership {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) peers: Arc<PeerTable>,
    /// Which node of its backend this node uses.
    pub(crate) backend_node: Mutex<Option<String>>,
    /// This start of this node.
    pub(crate) token: String,
}
