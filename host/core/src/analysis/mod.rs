//! What is wrong with a cluster: pure rules over a snapshot, each with its evidence.

mod report;

pub use report::{Code, Evidence, Finding, PrimaryView, Report, Severity};
