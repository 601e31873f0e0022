//! What a node writes while the database that it shares with others is away or stalls: at once on
//! its own disk, later in the database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may end where it fails"
)]

mod away;
mod bed;
mod contract;
mod faulty;
mod handing_over;
mod reading;
mod support;
