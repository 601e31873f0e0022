use super::*;
use crate::check::Approved;
use crate::execution::{Event, PlanRun, StepFailure};
use crate::ids::LeaseEpoch;
use crate::model::RecoveryKind;
use crate::planning::{
    Choice, SecureRequest, SwitchoverRequest, finish_steps, plan_attach, plan_fence, plan_promote,
    plan_secure, plan_switchover,
};
use crate::sketch;

/// One line a step: number, what it waits for, what it does; of steps that matter here.
fn shown(steps: &[Step]) -> String {
    let mut lines = Vec::new();
    for step in steps {
        let (server, text) = match &step.action {
            Action::Command { server, command } => match command {
                ServerCommand::RestoreEvents {
                    states,
                    keep_decided,
                } => {
                    let states = states
                        .iter()
                        .map(|(name, state)| format!("{name} {state:?}"));
                    let kept = if *keep_decided { ", keep decided" } else { "" };
                    (server, states.collect::<Vec<_>>().join(", ") + kept)
                }
                _ => (server, String::new()),
            },
            Action::AwaitReplicating { server, .. } => (server, String::new()),
            _ => continue,
        };
        let words = match &step.action {
            Action::Command { command, .. } => command.word(),
            _ => "await-replicating",
        };
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        let line = format!(
            "{} after {}: {words} {server} {text}",
            step.id,
            after.join(",")
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn settings() -> PlanSettings {
    PlanSettings::default()
}

fn failover(text: &str) -> Vec<Step> {
    let snapshot = sketch::snapshot(text);
    let subject = ServerId::new("p1");
    let request = SecureRequest {
        kind: RecoveryKind::Failover,
        subject: subject.clone(),
        epoch: LeaseEpoch(3),
        first_step: 1,
    };
    let secured = plan_secure(&snapshot, &request, &settings()).expect("a plan");
    let choice = Choice {
        successor: ServerId::new("r1"),
        catch_up_from: None,
        given_up: 0,
        risked: Vec::new(),
    };
    plan_promote(&snapshot, &secured, &choice, &settings(), 50).steps
}

#[test]
fn a_failover_restores_events_when_siblings_follow() {
    insta::assert_snapshot!(shown(&failover("
        p1 primary silent refused 2s events=on,off:disabled,mine:here,unknown:replica
        r1 <- p1 io=connecting events=on:replica,off:replica,mine:replica
        r2 <- p1 io=connecting
    ")), @r"
    52 after 51: open-writes r1
    55 after 52: forget-replication r1
    56 after 52: point-at r2
    57 after 56: await-replicating r2
    58 after 52,57: restore-events r1 app.mine ReplicaDisabled { set_here: true }, app.off Disabled, app.on Enabled
    ");
}

#[test]
fn nothing_is_done_about_events_that_are_not_there_or_not_known() {
    for events in ["", "scheduler=off"] {
        let steps = failover(&format!(
            "p1 primary silent refused 2s {events}\n r1 <- p1 io=connecting events=on:replica"
        ));
        assert!(!shown(&steps).contains("events"), "{steps:?}");
    }
}

/// Without a sibling nobody acknowledges the change: it is made when the old primary is back.
#[test]
fn a_successor_that_waits_for_acknowledgements_of_nobody_is_not_kept_waiting() {
    let steps = failover(
        "p1 primary silent refused 2s ss=source events=on\n r1 <- p1 io=connecting ss=replica",
    );
    assert!(!shown(&steps).contains("events"), "{steps:?}");
}

#[test]
fn a_switchover_moves_events_before_the_old_primary_attaches() {
    let snapshot = sketch::snapshot(
        "p1 primary events=on\n r1 <- p1 events=on:replica\n r2 <- p1 events=on:replica",
    );
    let request = SwitchoverRequest {
        from: ServerId::new("p1"),
        to: ServerId::new("r1"),
        epoch: LeaseEpoch(3),
        lag_limit: std::time::Duration::from_secs(10),
    };
    let plan = plan_switchover(&snapshot, &request, &settings()).expect("a plan");
    insta::assert_snapshot!(shown(&plan.steps), @r"
    2 after 1: stop-replication r2
    4 after 3: point-at r2
    5 after 4: await-replicating r2
    6 after 5: fence p1
    8 after 7: forget-replication r1
    11 after 10: open-writes r1
    14 after 11: disable-events p1
    16 after 15: point-at p1
    17 after 16: await-replicating p1
    18 after 11,17: restore-events r1 app.on Enabled
    ");
}

/// It has what its successor lacks, and is not attached.
#[test]
fn an_old_primary_that_is_set_aside_runs_no_event() {
    let snapshot = sketch::snapshot("p1 primary events=on\n r1 <- p1 events=on:replica");
    let request = SwitchoverRequest {
        from: ServerId::new("p1"),
        to: ServerId::new("r1"),
        epoch: LeaseEpoch(3),
        lag_limit: std::time::Duration::from_secs(10),
    };
    let plan = plan_switchover(&snapshot, &request, &settings()).expect("a plan");
    let mut run = PlanRun::new(Approved::unchecked(plan));
    let (mut begun, mut events) = (Vec::new(), Vec::new());
    loop {
        let ready = run.advance(std::mem::take(&mut events));
        if ready.is_empty() {
            break;
        }
        events.extend(ready.iter().map(|step| match &step.action {
            Action::Classify { .. } => Event::Failed(
                step.id,
                StepFailure {
                    text: "errant".to_owned(),
                    outcome_unknown: false,
                },
            ),
            _ => Event::Done(step.id),
        }));
        begun.extend(ready);
    }
    let shown = shown(&begun);
    assert!(shown.contains("disable-events p1"), "{shown}");
    assert!(!shown.contains("point-at p1"), "{shown}");
}

#[test]
fn who_goes_on_with_a_failover_restores_events() {
    let snapshot = sketch::snapshot(
        "p1 primary silent refused 9s events=on\n r1 rw events=on:replica\n r2 <- p1 io=connecting",
    );
    let target = (&ServerId::new("p1"), &ServerId::new("r1"));
    let steps = finish_steps(&snapshot, target, Vec::new(), 7, &settings());
    insta::assert_snapshot!(shown(&steps), @r"
    9 after 8: forget-replication r1
    10 after 7,8,9: restore-events r1 app.on Enabled
    ");
}

#[test]
fn a_returned_server_disables_its_events_and_tells_what_the_primary_lacks() {
    let before = sketch::snapshot(
        "p1 rw events=on,late:disabled,decided,mine:here
         r1 primary events=on:replica,late:replica,decided:here,mine:replica,new:replica",
    );
    let (returned, primary) = (ServerId::new("p1"), ServerId::new("r1"));
    let epoch = LeaseEpoch(3);
    let fence = plan_fence(&before, &returned, epoch, &settings());
    insta::assert_snapshot!(shown(&fence.steps), @r"
    2 after 1: fence p1
    5 after 4: disable-events p1
    ");
    // When it is attached, its own events are disabled.
    let now = sketch::snapshot("p1 ro events=on:here\n r1 primary events=on:replica");
    let attach = plan_attach(&now, (&returned, &primary), epoch, &settings(), 9);
    let attach = with_events_restored(attach, &before, &settings());
    insta::assert_snapshot!(shown(&attach.steps), @r"
    9 after : point-at p1
    10 after 9: await-replicating p1
    11 after 9,10: restore-events r1 app.decided Enabled, app.late Disabled, app.mine ReplicaDisabled { set_here: true }, app.on Enabled, keep decided
    ");
}
