//! The store on real database nodes, of each kind.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may end where it fails"
)]

mod bed;
mod clusters;
mod contract;
mod copies;
mod doubt;
mod experiment;
mod following;
mod full;
mod preparing;
mod rows;

use bed::{Bed, Following};
