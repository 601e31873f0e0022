//! What a node writes while the database that it shares with others is away or stalls: at once on its own disk, later in the database.

#[path = "../support/mod.rs"]
mod support;

mod away;
mod bed;
mod handing_over;
mod moody;
mod reading;
