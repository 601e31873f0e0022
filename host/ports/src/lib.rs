//! The ports of Baton: what the loop needs from the outside, as traits with exactly two
//! implementations each, the real one and the simulator's.

mod backend_condition;
mod backend_nodes;
mod backend_status;
mod backend_target;
mod peers;
mod policies;
mod servers;
mod store;

pub use backend_condition::{BackendCondition, ConditionWord};
pub use backend_nodes::{
    BackendContent, BackendFacts, BackendNodes, BackendProof, BackendWatch, FactsAnswer,
    GaleraFacts, GroupFacts, NdbFacts, ProofAnswer, WrongKind,
};
pub use backend_status::{BackendClusterStatus, BackendNodeStatus, BackendStatus, SelectionStatus};
pub use backend_target::Target;
pub use baton_core::command::{Guard, ServerCommand};
pub use peers::{PeerFailure, PeerReport, PeerSighting, Peers};
pub use policies::{Policies, PolicyFailure, PolicyReply, Selectors};
pub use servers::{
    ActSession, FailureWord, LockState, Servers, Session, StandbyFence, StatementError, Watch,
    WatchAnswer,
};
pub use store::{
    AuditLog, AuditRecord, Claim, ClusterRecord, Intents, Inventory, JournalEntry, JournalStage,
    LeaseState, Leases, LocalStore, NodeRecord, Nodes, OperatorSettings, RecoveryLog,
    RecoveryRecord, Route, ServerRecord, StepRecord, Store, StoreError, prelude,
};

use baton_core::time::{Timestamp, WallTime};

/// The clock of a node.
pub trait Clock: Send + Sync {
    /// Now, by the monotonic clock.
    fn now(&self) -> Timestamp;
    /// Now, by the wall clock.
    fn wall(&self) -> WallTime;
}
