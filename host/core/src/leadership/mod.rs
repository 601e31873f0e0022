//! Leadership among Baton nodes: which node may act, and on which cluster.
//!
//! Two things are needed before a node changes a server, and both are decided here by pure
//! functions:
//!
//! - It must lead. One node at a time holds the lease in the store; while the store is away, one
//!   node may go on without it. [`Election`] decides when to claim, renew and give up the lease.
//! - It must have the cluster's quorum: a majority of the locks of the cluster's recorded members,
//!   with the lease worth half a vote ([`quorum`]). The quorum is what keeps two nodes from
//!   changing one cluster, even if both believe that they lead.
//!
//! ```text
//!  store's answer, timer,      ┌──────────┐  Turn { notes, request, release, wake_after }
//!  peers changed, order ─────► │ Election │ ─────► keeper (store, log, timer)
//!  with View { now, peers }    └──────────┘
//!
//!             lease granted                      lease runs out, store away
//!  Follower ────────────────► Leader ────────────────────────► LeaderWithoutStore
//!     ▲ ▲                       │  ▲          lease granted              │  ▲
//!     │ └── denied, runs out, ──┘  └─────────────────────────────────────┘  │
//!     │     ordered                                                         │
//!     ├──────────────── another leader goes first, denied, ordered ─────────┤
//!     └──────────────── store away, no leader is alive ─────────────────────┘
//! ```
//!
//! Nothing here knows a clock, a store or a peer's address. The keeper in `host/control` performs
//! what an [`Election`] asks for.

pub mod duplicate_name;
mod election;
mod lease;
mod peers;
pub mod quorum;
mod remote_liveness;
mod stall;
pub mod voter_records;

pub use election::{
    Answer, Election, ElectionSettings, Event, FAST_TICK, Leading, Loss, Note, Order, Request,
    Role, Turn, View,
};
pub use lease::{Holder, LeaseState, vote_term};
pub use peers::{Contact, Liveness, Peer, Peers};
