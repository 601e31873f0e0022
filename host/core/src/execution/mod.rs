//! Carrying out a plan: events in, steps to perform out. The edge performs them and reports back.

mod expected;
mod run;

pub use expected::{expected_after, is_expected_to_fail};
pub use run::{Event, PlanRun, RunStatus, StepFailure, StepState};
