//! Immutable facts about servers, their channels and clusters. No opinions ("dead", "best") live
//! here.

mod bounds;
mod channel;
mod cluster;
mod event;
mod prepared;
mod probe;
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
pub use server::{
    AttachedReplica, BinlogPosition, Closed, CommitProbe, Durability, Flavor, LogFormat, Outage,
    Place, SemiSync, Server, ServerFacts, Space, Version, Vitals, WaitPoint,
};
pub use snapshot::{Held, Snapshot};
pub use topology::{Edge, Topology};
