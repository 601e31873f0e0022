//! Immutable facts about servers, their channels and clusters. No opinions ("dead", "best") live
//! here.

mod bounds;
mod channel;
mod cluster;
mod event;
mod prepared;
mod probe;
mod semi_sync;
mod server;
mod snapshot;
mod topology;

pub use bounds::Bounds;
pub use channel::{Channel, ReplicationError, ThreadState};
pub use cluster::{
    ActiveRecovery, ClusterRecord, Control, Downtime, Fleet, PastRecovery, PromotionRule,
    RecoveryKind, RecoveryOutcome, Risk, Switch,
};
pub use event::{EventName, EventState, Events};
pub use prepared::named;
pub use probe::{Probe, ProbeFailure, Reach, TimeoutPhase};
pub use semi_sync::{SemiSync, WaitPoint};
pub use server::{
    AttachedReplica, BinlogPosition, Closed, CommitProbe, Durability, Flavor, LogFormat, Outage,
    Place, Server, ServerFacts, Space, Version, Vitals,
};
pub use snapshot::{Held, Snapshot};
pub use topology::{Edge, Topology};
