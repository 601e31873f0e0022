//! What is wrong with a cluster: pure rules over a snapshot, each with its evidence.

mod report;
mod word;

pub use report::{Code, Evidence, Finding, PrimaryView, Report, Severity};
