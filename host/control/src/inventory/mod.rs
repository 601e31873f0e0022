//! The inventory: servers, their identity, their clusters, and what was observed of them.
//!
//! [`Observer`] watches servers and [`Operators`] reads the store; both tell [`Registry`], which
//! owns the picture of the fleet and publishes it. This room decides nothing about leadership or
//! recoveries, and imports neither of these rooms.

mod histories;
mod observe;
mod operators;
mod past;
mod readings;
mod registry;

pub(crate) use histories::Histories;
pub(crate) use observe::Observer;
pub(crate) use operators::Operators;
pub(crate) use registry::{Inventory, Registry, Started};
