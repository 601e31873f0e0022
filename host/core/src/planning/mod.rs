//! From findings and answers to plans; and the explanation of what would be planned.

mod acknowledgers;
mod candidate;
mod channels;
mod delay;
mod election;
mod eligibility;
mod events;
mod explain;
mod failover;
mod fence;
mod history;
mod inherited;
mod old_primary;
mod plan;
mod question;
mod rejoin;
mod relocate;
mod reopen;
mod repair;
mod semi_sync;
mod switchover;
mod unwind;

use std::time::Duration;

use crate::model::RecoveryKind;

pub use acknowledgers::{Acknowledgers, Waiting, too_few_acknowledgers};
pub use candidate::{Candidate, candidates};
pub use delay::delayed_last;
pub use election::{AcceptedLoss, Choice, Consent, Election, expected_loss, loss_objections};
pub use eligibility::Ineligible;
pub(crate) use eligibility::{declared, logging};
pub use events::with_events_restored;
pub use explain::{CandidateView, ExpectedLoss, Explanation, ForeseenStep, Intention, Reason};
pub use failover::{SecureRequest, finish_steps, plan_promote, plan_secure, record_steps};
pub use history::{Highest, History, raise_highest};
pub use inherited::inherited_replicas;
pub use plan::{Action, OnFailure, Phase, Plan, Purpose, Step, StepId};
pub use question::{assess_question, rank_question};
pub use rejoin::{RejoinClass, classify_returned, plan_attach, plan_fence};
pub use relocate::{destinations, orphans, plan_relocate};
pub use reopen::{plan_reading, plan_reopen};
pub use repair::{Repair, plan_repair};
pub use semi_sync::was_to_wait;
pub use switchover::{SwitchoverRequest, plan_switchover};
pub use unwind::plan_unwind;

/// Time limits and choices of plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSettings {
    /// Limit of an ordinary step. Too small: healthy but busy servers are left behind; too large: a
    /// dead one delays the verdict.
    pub step_limit: Duration,
    /// Limit of stopping receivers and fencing during a failover: a server that does not answer in
    /// this time is left out.
    pub revoke_limit: Duration,
    /// Limit of trying to fence a server that does not answer: it adds to every failover of a hung
    /// primary.
    pub silent_fence_limit: Duration,
    /// How long candidates may take to apply what they have received.
    pub drain_limit: Duration,
    /// How long a read-back may take until the expected state is seen.
    pub verify_limit: Duration,
    /// How long a verification of the right to act is worth something (`locks.md` 2.2).
    pub guard: Duration,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            step_limit: Duration::from_secs(5),
            // MySQL takes two seconds to stop a receiver that was just told to connect to a source
            // that hangs.
            revoke_limit: Duration::from_secs(3),
            silent_fence_limit: Duration::from_millis(100),
            drain_limit: Duration::from_secs(60),
            verify_limit: Duration::from_secs(10),
            guard: Duration::from_millis(250),
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {} is possible: {}", kind.word(), reasons.iter().map(|r| r.text.as_str()).collect::<Vec<_>>().join("; "))]
pub struct Blocked {
    /// What was asked for.
    pub kind: RecoveryKind,
    /// Each reason; never empty.
    pub reasons: Vec<Reason>,
}

impl Blocked {
    /// Blocked for one reason.
    pub fn because(
        kind: RecoveryKind,
        code: &str,
        text: String,
        about: Vec<crate::ids::ServerId>,
    ) -> Self {
        Self {
            kind,
            reasons: vec![Reason {
                code: code.to_owned(),
                text,
                about,
            }],
        }
    }
}
