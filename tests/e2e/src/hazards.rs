//! Rounds of hazards: unusual servers, people and partitions before something strikes, on real
//! servers and with one node. Each round has servers of its own.

mod draw;
mod make;
mod play;

pub use draw::{HazardDraw, Setting, Strike, Twist};
pub use play::{HazardRound, HazardTally, play_hazard};
