//! A real topology with a real `baton` beside it, for end-to-end tests, the demo and the benchmarks.

mod api;
mod bed;
mod timeline;

pub use api::Api;
pub use bed::{Bed, BedOptions};
pub use timeline::{millis, timeline};
