//! Clusters: one loop per cluster decides what to do, and the driver of recoveries does it.
//!
//! [`ClusterFactory`] builds a loop. The loop ([`decide`]) reads [`Members`], asks the policy and
//! gives orders to the driver ([`recover`]), which writes [`Records`] and changes servers through
//! [`Sessions`]. This room may import the inventory and leadership.

mod build;
mod decide;
mod forecast;
mod left_behind;
mod members;
mod policy;
mod prepared_fence;
mod quorum;
mod records;
mod recover;
mod resolve;
mod sessions;
mod table;

pub(crate) use build::ClusterFactory;
pub(crate) use decide::{Request, explain};
pub(crate) use forecast::forecast;
pub(crate) use table::ClusterTable;
