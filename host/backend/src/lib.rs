//! Baton's own databases: watches every configured node, asks the selector which one to use,
//! publishes it.
//!
//! Facts come from the nodes (`watcher`, `questions`), what they mean is decided by pure functions
//! (`rules`, `progress`, `promotion`), and one loop (`run`) owns all state. The choice is a hint:
//! what keeps the state correct is conditional updates and the outcome of commits, never a probe.

mod facts;
mod handle;
mod health;
mod judging;
mod progress;
mod promoter;
mod promotion;
mod proof;
mod question;
mod questions;
mod rules;
mod run;
mod spec;
mod status;
#[cfg(test)]
mod testing;
mod url;
mod watcher;

pub use facts::{Facts, GaleraFacts, GroupFacts, NdbFacts};
pub use handle::BackendHandle;
pub use question::{NodePeers, PeerKnowledge};
pub use rules::{Condition, Word};
pub use run::Backend;
pub use spec::{BackendSpec, ClusterSpec, NodeSpec, PromotionSpec, Timing};
pub use status::{BackendStatus, ClusterStatus, NodeStatus, SelectionStatus};
pub use url::{DatabaseUrl, UrlProblem};
