//! Carrying out a plan: events in, steps to perform out. The edge performs them and reports back.

mod command;
mod run;

pub use command::{Guard, IfUnknown, Properties, RightNeeded, ServerCommand};
pub use run::{Event, Failure, PlanRun, StepState, Verdict};
