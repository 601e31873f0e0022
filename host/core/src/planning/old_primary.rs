//! What is made sure of about the old primary: that it stands still before its successor is opened, what it has before it
//! follows, and that it is closed when it comes back to life.

use super::PlanSettings;
use super::failover::{acknowledging, does_not_let_go, first_channel};
use super::plan::{Action, Builder, OnFailure, Phase, StepId};
use crate::execution::ServerCommand;
use crate::ids::ServerId;
use crate::model::Snapshot;

/// Somebody may write in spite of a fence: a privileged account, an event, a prepared transaction. So the old primary is read
/// again as late as possible, and one that has moved on is given back.
pub(super) fn add_second_reading(
    steps: &mut Builder,
    (from, to): (&ServerId, &ServerId),
    after: StepId,
    settings: &PlanSettings,
) -> StepId {
    let action = Action::VerifyCovers {
        server: to.clone(),
        from: from.clone(),
    };
    let limits = (OnFailure::Abort, settings.step_limit);
    steps.step(Phase::Drain, action, &[after], limits)
}

/// A server that hangs may go on at any moment, writable, with its clients still connected. Left only once its successor was
/// opened: until then it may have to stay the primary.
pub(super) fn add_left_fence(
    steps: &mut Builder,
    snapshot: &Snapshot,
    failed: &ServerId,
    opened: StepId,
    settings: &PlanSettings,
) {
    if does_not_let_go(snapshot, failed) {
        let action = Action::LeaveFence {
            server: failed.clone(),
        };
        let limits = (OnFailure::Continue, settings.silent_fence_limit);
        steps.step(Phase::Fence, action, &[opened], limits);
    }
}

/// The old primary becomes a replica, if its history allows. It never was one, perhaps: the configured account is used unless
/// it has a channel.
pub(super) fn add_demoted(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (from, to): (&ServerId, &ServerId),
    (opened, acknowledges): (StepId, bool),
    settings: &PlanSettings,
) {
    let Some(address) = snapshot
        .servers
        .get(to)
        .map(|server| server.address.clone())
    else {
        return;
    };
    let action = Action::Classify {
        returned: from.clone(),
        primary: to.clone(),
    };
    let classified = steps.step(
        Phase::Rejoin,
        action,
        &[opened],
        (OnFailure::SkipDependants, settings.step_limit),
    );
    let sided = acknowledges.then(|| {
        let limits = (OnFailure::Continue, settings.step_limit);
        let command = acknowledging();
        steps.command(Phase::Rejoin, (from, command), &[classified], limits)
    });
    let point = ServerCommand::PointAt {
        channel: first_channel(snapshot, from),
        source: address,
        start: true,
        configured_account: true,
    };
    let pointed = steps.command(
        Phase::Rejoin,
        (from, point),
        &[sided.unwrap_or(classified)],
        (OnFailure::SkipDependants, settings.step_limit),
    );
    steps.step(
        Phase::Verify,
        Action::AwaitReplicating {
            server: from.clone(),
            source: to.clone(),
        },
        &[pointed],
        (OnFailure::Continue, settings.verify_limit),
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::check::{Objection, check};
    use crate::execution::{Event, Failure, PlanRun, ServerCommand};
    use crate::ids::{LeaseEpoch, ServerId};
    use crate::model::{Snapshot, Switch};
    use crate::planning::{Action, Plan, PlanSettings, Step, SwitchoverRequest, plan_switchover};
    use crate::sketch;

    fn snapshot() -> Snapshot {
        let mut snapshot = sketch::snapshot("p1 primary rw ss=source\nr1 <- p1\nr2 <- p1");
        snapshot.control.lease = Some(LeaseEpoch(3));
        snapshot.control.enabled = Switch::On;
        snapshot
    }

    fn switchover(snapshot: &Snapshot) -> Plan {
        let request = SwitchoverRequest {
            from: ServerId::new("p1"),
            to: ServerId::new("r1"),
            epoch: LeaseEpoch(3),
            lag_limit: Duration::from_secs(10),
        };
        plan_switchover(snapshot, &request, &PlanSettings::default()).expect("a plan")
    }

    /// Everything succeeds but what `fails`; gives the steps that were begun.
    fn carry_out(plan: Plan, fails: fn(&Action) -> bool) -> Vec<Step> {
        let mut run = PlanRun::new(plan);
        let (mut begun, mut events) = (Vec::new(), Vec::new());
        loop {
            let ready = run.advance(std::mem::take(&mut events));
            if ready.is_empty() {
                return begun;
            }
            for step in &ready {
                let failure = Failure {
                    text: "no".to_owned(),
                    outcome_unknown: false,
                };
                events.push(if fails(&step.action) {
                    Event::Failed(step.id, failure)
                } else {
                    Event::Done(step.id)
                });
            }
            begun.extend(ready);
        }
    }

    fn opens(steps: &[Step]) -> bool {
        steps.iter().any(|step| step.action.opens_writes())
    }

    fn attaches(steps: &[Step]) -> bool {
        steps.iter().any(|step| {
            matches!(&step.action, Action::Command { server, command: ServerCommand::PointAt { .. } } if server.as_str() == "p1")
        })
    }

    #[test]
    fn old_primary_that_moves_on_stops_a_switchover() {
        let moved = |action: &Action| matches!(action, Action::VerifyCovers { .. });
        assert!(!opens(&carry_out(switchover(&snapshot()), moved)));
        let begun = carry_out(switchover(&snapshot()), |_| false);
        assert!(opens(&begun) && attaches(&begun));
    }

    #[test]
    fn old_primary_is_not_attached_before_it_is_compared() {
        let errant = |action: &Action| matches!(action, Action::Classify { .. });
        let begun = carry_out(switchover(&snapshot()), errant);
        assert!(opens(&begun), "{begun:?}");
        assert!(!attaches(&begun), "{begun:?}");
    }

    #[test]
    fn switchover_without_second_reading_is_refused() {
        let snapshot = snapshot();
        let mut plan = switchover(&snapshot);
        assert_eq!(check(&plan, &snapshot), Vec::new());
        for step in &mut plan.steps {
            if let Action::VerifyCovers { server, from: _ } = &step.action {
                step.action = Action::Observe {
                    server: server.clone(),
                };
            }
        }
        let objections = check(&plan, &snapshot);
        assert!(
            objections
                .iter()
                .any(|o| matches!(o, Objection::NotReadAgain { .. })),
            "{objections:?}"
        );
    }

    #[test]
    fn switchover_that_attaches_without_comparison_is_refused() {
        let snapshot = snapshot();
        let mut plan = switchover(&snapshot);
        for step in &mut plan.steps {
            if let Action::Classify {
                returned,
                primary: _,
            } = &step.action
            {
                step.action = Action::Observe {
                    server: returned.clone(),
                };
            }
        }
        let objections = check(&plan, &snapshot);
        assert!(
            objections
                .iter()
                .any(|o| matches!(o, Objection::NotCompared { .. })),
            "{objections:?}"
        );
    }
}
