//! The operations of the port, written once for all engines.

pub(crate) mod audit;
pub(crate) mod handover;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod lease;
pub(crate) mod node;
pub(crate) mod recovery;
pub(crate) mod recovery_row;
pub(crate) mod route;
pub(crate) mod sequence;
pub(crate) mod topology;
pub(crate) mod wishes;
