//! Where the old primary stands while it is replaced.

use crate::check::Approved;
use std::time::Duration;

use crate::check::{Objection, check};
use crate::command::ServerCommand;
use crate::execution::{Event, PlanRun, StepFailure};
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
    let mut run = PlanRun::new(Approved::unchecked(plan));
    let (mut begun, mut events) = (Vec::new(), Vec::new());
    loop {
        let ready = run.advance(std::mem::take(&mut events));
        if ready.is_empty() {
            return begun;
        }
        for step in &ready {
            let failure = StepFailure {
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

/// The sites that set the source's side on everywhere: stopping the sibling hung, nobody got the
/// lock on it any more, and the old primary stayed closed for a minute.
#[test]
fn a_sibling_whose_applier_waits_for_acknowledgements_is_released_before_it_is_stopped() {
    let snapshot = sketch::snapshot(
        "p1 primary ss=both clients=2
         r1 ss=both <- p1
         r2 ss=both <- p1",
    );
    let plan = switchover(&snapshot);
    assert_eq!(
        plan.words_on("r2"),
        ["set-semi-sync", "stop-replication", "point-at"]
    );
}

/// Whoever was promised that it can be committed could not commit it any more. `STOP REPLICA` on r2
/// would hang with the cluster's lock, and the switchover could be neither finished nor undone.
#[test]
fn a_switchover_beside_a_writer_whose_applier_would_hang_is_refused() {
    for (r2, refused) in [
        ("rw ss=both wait_for=2", true),
        ("ro ss=both wait_for=2", false),
        ("rw ss=both wait_for=2 clients=2", false),
        ("rw ss=replica", false),
    ] {
        let request = SwitchoverRequest {
            from: ServerId::new("p1"),
            to: ServerId::new("r1"),
            epoch: LeaseEpoch(1),
            lag_limit: Duration::from_secs(10),
        };
        let snapshot = sketch::snapshot(&format!(
            "p1 primary ss=source\nr1 <- p1 ss=replica\nr2 {r2} <- p1"
        ));
        let planned = plan_switchover(&snapshot, &request, &PlanSettings::default());
        let reasons = planned.err().map(|blocked| blocked.reasons);
        let mut reasons = reasons.into_iter().flatten();
        let found = reasons.any(|reason| reason.code == "applier-would-hang");
        assert_eq!(found, refused, "{r2}");
    }
}

#[test]
fn a_switchover_does_not_leave_a_prepared_transaction_behind() {
    for (on_p1, on_r1, refused) in [
        ("prepared=x:61s", "prepared=", true),
        ("prepared=x:61s", "prepared=x:61s", false),
        ("prepared=x:59s", "prepared=", false),
        ("prepared=x:61s", "", false),
    ] {
        let request = SwitchoverRequest {
            from: ServerId::new("p1"),
            to: ServerId::new("r1"),
            epoch: LeaseEpoch(1),
            lag_limit: Duration::from_secs(10),
        };
        let snapshot = sketch::snapshot(&format!("p1 primary {on_p1}\nr1 <- p1 {on_r1}"));
        let planned = plan_switchover(&snapshot, &request, &PlanSettings::default());
        let codes = planned.err().map(|blocked| blocked.reasons);
        let codes: Vec<_> = codes
            .into_iter()
            .flatten()
            .map(|reason| reason.code)
            .collect();
        let expected: &[&str] = if refused {
            &["prepared-not-replicated"]
        } else {
            &[]
        };
        assert_eq!(codes, expected, "{on_p1} / {on_r1}");
    }
}
