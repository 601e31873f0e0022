//! A real topology with a real `baton` beside it, for end-to-end tests, the demo and the
//! benchmarks.

mod api;
mod bed;
mod cables;
mod fleet;
mod frame;
pub mod hazards;
mod lots;
pub mod rounds;
mod timeline;

pub use api::Api;
pub use bed::{Bed, BedOptions};
pub use cables::Cables;
pub use fleet::{Fleet, FleetOptions, Member};
pub use frame::{
    LIMIT, require_nothing_lost, require_one_writable, wait_for_replication, wait_for_successor,
    word,
};
pub use timeline::{millis, timeline};
