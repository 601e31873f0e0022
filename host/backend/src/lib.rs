//! Baton's own databases: watches every configured node, asks the selector which one to use,
//! publishes it.
//!
//! Facts come from the nodes (`watcher`) through the port [`baton_ports::BackendNodes`], what they
//! mean is decided by pure functions (`rules`, `progress`, `promotion`), and one loop (`run`) owns
//! all state. The choice is a hint: what keeps the state correct is conditional updates and the
//! outcome of commits, never a probe. Only `mysql`, the port's implementation, sends SQL.

mod facts;
mod handle;
mod health;
mod judging;
mod mysql;
mod progress;
mod promoter;
mod promotion;
mod question;
mod rules;
mod run;
mod spec;
#[cfg(test)]
mod testing;
mod url;
mod watcher;

pub use handle::BackendHandle;
pub use mysql::MysqlNodes;
pub use question::{NodePeers, PeerKnowledge};
pub use run::Backend;
pub use spec::{BackendSpec, ClusterSpec, NodeSpec, PromotionSpec, Timing};
pub use url::{DatabaseUrl, UrlProblem};
