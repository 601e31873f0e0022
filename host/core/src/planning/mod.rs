//! From findings and answers to plans; and the explanation of what would be planned.

mod explain;

pub use explain::{CandidateView, ExpectedLoss, Explanation, Intention, Reason};
