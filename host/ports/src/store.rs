//! The port to the state store: decisions and slow facts only.
//!
//! The port is several traits, one per concern. A caller takes the traits that it needs; [`Store`]
//! is all of them together, and an `Arc<dyn Store>` coerces to an `Arc` of any one.
//!
//! | Trait | Concern | Written under a lease epoch |
//! | --- | --- | --- |
//! | [`Leases`] | which node leads | grants the epochs |
//! | [`Nodes`] | Baton's nodes, the voters of each cluster, health | voters |
//! | [`Inventory`] | known servers and clusters | histories |
//! | [`Intents`] | intended primaries and routes | all |
//! | [`RecoveryLog`] | recoveries and their journals | all but acknowledgements |
//! | [`OperatorSettings`] | promotion rules, downtimes, the global switch | none |
//! | [`AuditLog`] | who did what | none |
//!
//! Every call is atomic. A call with a `lease` and an `epoch` checks, in the same atomic step, that
//! the lease is held under that epoch, and fails with [`StoreError::Fenced`] if it is not. A caller
//! that drops a future midway does not know the outcome of a write.
//!
//! # How to write a store
//!
//! Implement the seven traits; [`Store`] follows. Then run the suite in `host/store-contract` in a
//! test of the new store. It is the specification: it names each rule and needs only the port.
//! On etcd, for example:
//!
//! - Each record is a key with a JSON value: `/baton/server/<id>`, `/baton/recovery/<id>`, and so
//!   on.
//! - A write is one transaction of etcd (`Txn`). A call under an epoch compares the value of
//!   `/baton/lease/<name>` in the same transaction; when the comparison fails, read the lease: if
//!   it is held under another epoch, or free, the answer is `Fenced`, else something else that was
//!   compared has changed, and the call starts again.
//! - A claim compares the modification revision of the lease's key. Do not use etcd's own leases
//!   for it: the contract counts renewals and leaves expiry to the contender, so that no clock but
//!   the contender's counts. Store the epoch in the value; it outlives the holder.
//! - Unique things are keys of their own, created in the same transaction: `/baton/name/<cluster
//!   name>`, `/baton/running/<cluster>`. A key that exists is a [`StoreError::Conflict`].
//! - Numbers of recoveries and of journal lines come from a counter's key that is compared and
//!   increased in the same transaction. They must grow; gaps are allowed.
//! - A time-out after the request was sent is [`StoreError::OutcomeUnknown`]. A refused connection
//!   is [`StoreError::Unavailable`]. Only [`StoreError::Retry`] promises that nothing was done and
//!   that the same call may work at once.
//! - Reads must be linearizable: the default of etcd, not its serializable reads.
//!
//! The decorator in `host/failsafe` works in front of any store.

mod audit;
mod error;
mod intents;
mod inventory;
mod leases;
mod local;
mod nodes;
mod recovery_log;
mod settings;

pub use audit::{AuditLog, AuditRecord};
pub use error::StoreError;
pub use intents::{Intents, Route};
pub use inventory::{ClusterRecord, Inventory, ServerRecord};
pub use leases::{Claim, LeaseState, Leases};
pub use local::LocalStore;
pub use nodes::{NodeRecord, Nodes};
pub use recovery_log::{JournalEntry, JournalStage, RecoveryLog, RecoveryRecord, StepRecord};
pub use settings::OperatorSettings;

/// The whole state store.
pub trait Store:
    Leases + Nodes + Inventory + Intents + RecoveryLog + OperatorSettings + AuditLog
{
}

impl<S> Store for S where
    S: Leases + Nodes + Inventory + Intents + RecoveryLog + OperatorSettings + AuditLog + ?Sized
{
}

/// The methods of all traits, for callers of a store whose type they know.
pub mod prelude {
    pub use super::AuditLog as _;
    pub use super::Intents as _;
    pub use super::Inventory as _;
    pub use super::Leases as _;
    pub use super::LocalStore as _;
    pub use super::Nodes as _;
    pub use super::OperatorSettings as _;
    pub use super::RecoveryLog as _;
}
