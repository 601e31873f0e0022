//! Rounds of faults drawn by lot, on real servers: something happens to a managed cluster, and at
//! some moment of what follows something happens to those who look after it.
//!
//! One [`Ground`] serves many rounds: each ends with everything healed and checked. A round is
//! repeated by its number and the seed of the row ([`Draw::new`]); what the machine does in
//! between is not drawn, so a repetition is likely to meet the same moment, not certain to.

mod draw;
mod faults;
mod ground;
mod play;
mod tally;
mod verdict;

pub use draw::{Draw, Fault, Moment, Trigger};
pub use ground::{Ground, ROLES, create_roles_account};
pub use play::{Keep, Round, play};
pub use tally::Tally;
pub use verdict::Violation;
pub(crate) use verdict::{Standing, errant, wait_for_standing};
