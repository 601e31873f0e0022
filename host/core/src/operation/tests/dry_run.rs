//! What a dry run says is what the machine does when each step does what it is for.

use std::time::Duration;

use super::play::{id, order};
use crate::execution::expected_after;
use crate::model::{RecoveryKind, RecoveryOutcome, Snapshot};
use crate::operation::{Ahead, DryRun, DryRunSettings, Forecast, Order, Ranked};
use crate::planning::{Candidate, PlanSettings, Repair, plan_repair};
use crate::sketch;

fn settings() -> DryRunSettings {
    DryRunSettings {
        plan: PlanSettings::default(),
        lag_limit: Duration::from_secs(10),
        read_limit: Duration::from_secs(1),
        attaches_by_itself: true,
    }
}

/// A policy that ranks as the candidates come.
pub(super) fn forecast(order: Order, snapshot: &Snapshot) -> Forecast {
    let mut ahead = DryRun::begin(order, snapshot, settings());
    loop {
        match ahead {
            Ahead::Ended(forecast) => return *forecast,
            Ahead::Rank(run, list) => {
                let allowed = list.iter().filter(|one| one.is_allowed());
                let order = allowed.map(|one| (one.server.clone(), vec!["it is near".to_owned()]));
                ahead = run.ranked(Ranked {
                    policy: "test".to_owned(),
                    order: order.collect(),
                    failure: None,
                });
            }
        }
    }
}

fn told(forecast: &Forecast) -> String {
    let steps = forecast.steps.iter().map(|step| {
        let fails = if step.fails { " (would fail)" } else { "" };
        format!("{}: {}{fails}\n", step.phase.word(), step.text)
    });
    let problems = forecast.problems.iter();
    let problems = problems.map(|problem| format!("problem: {problem}\n"));
    let end = format!("end: {}\n", forecast.outcome.word());
    steps.chain(problems).chain([end]).collect()
}

fn of(kind: RecoveryKind, text: &str) -> String {
    told(&forecast(order(kind), &sketch::snapshot(text)))
}

#[test]
fn a_failover_is_foreseen_step_by_step() {
    let lost = "
        p1 primary silent refused 2s
        r1 <- p1 io=connecting
        r2 missing=3 <- p1 io=connecting";
    insta::assert_snapshot!(of(RecoveryKind::Failover, lost), @r"
    lock: confirm the locks on 2 servers
    revoke: stop-receivers on r1
    revoke: read r1
    revoke: stop-receivers on r2
    revoke: read r2
    choose: test ranks r1, r2: it is near
    choose: r1 takes over; 1 replica follows
    drain: wait until r1 has applied what it received
    promote: arm the guard on r1 and confirm the locks on 1 servers
    promote: open-writes on r1
    route: record r1 as primary
    route: send clients to r1
    verify: forget-replication on r1
    repoint: point r2 at r1:3306
    verify: read back that r2 replicates from r1
    verify: read back that r1 is writable
    end: succeeded
    ");
}

#[test]
fn a_failover_that_is_impossible_says_why() {
    let lost = "
        p1 primary silent refused 2s
        r1 must_not <- p1 io=connecting
        r2 <- p1 io=connecting filtered";
    insta::assert_snapshot!(of(RecoveryKind::Failover, lost), @r"
    lock: confirm the locks on 2 servers
    revoke: stop-receivers on r1
    revoke: read r1
    revoke: stop-receivers on r2
    revoke: read r2
    problem: no failover is possible: r1 has the promotion rule must_not; r2 replicates with filters: it is not a full copy
    end: failed
    ");
}

#[test]
fn a_switchover_is_foreseen_step_by_step() {
    let alive = "
        p1 primary
        r1 <- p1
        r2 <- p1";
    insta::assert_snapshot!(of(RecoveryKind::Switchover, alive), @r"
    choose: test ranks r1, r2: it is near
    lock: confirm the locks on 3 servers
    repoint: stop-replication on r2
    drain: wait until r1 has applied all that r2 executed
    repoint: point r2 at r1:3306
    verify: read back that r2 replicates from r1
    fence: fence on p1
    drain: wait until r1 has applied all that p1 executed
    promote: forget-replication on r1
    drain: read p1 again: r1 must have all that it executed
    promote: arm the guard on r1 and confirm the locks on 2 servers
    promote: open-writes on r1
    route: record r1 as primary
    route: send clients to r1
    rejoin: compare the history of p1 with that of r1
    rejoin: point p1 at r1:3306
    verify: read back that p1 replicates from r1
    verify: read back that r1 is writable
    end: succeeded
    ");
}

#[test]
fn the_order_of_a_person_is_foreseen_as_the_person_gave_it() {
    let alive = sketch::snapshot("p1 primary\nr1 <- p1\nr2 <- p1 lag=60s");
    let mut ordered = order(RecoveryKind::Switchover);
    ordered.requested = Some(id("r2"));
    let forecast = forecast(ordered, &alive);
    assert_eq!(forecast.outcome, RecoveryOutcome::Failed);
    let why = "no switchover is possible: r2 lags by 60 s, more than 10 s";
    assert_eq!(forecast.problems, [why]);
    assert_eq!(forecast.after.servers, alive.servers);
}

#[test]
fn a_returned_server_is_foreseen_as_attached_or_set_aside() {
    let back = |wrote: &str| {
        let text = format!(
            "cluster past=failover:succeeded:p1:r1:1m
             p1 rw {wrote}
             r1 primary
             r2 <- r1"
        );
        forecast(order(RecoveryKind::Rejoin), &sketch::snapshot(&text))
    };
    let clean = back("");
    assert_eq!(
        clean.outcome,
        RecoveryOutcome::Succeeded,
        "{}",
        told(&clean)
    );
    let followed = &clean.after.facts(&id("p1")).unwrap().channels;
    assert_eq!(followed.len(), 1, "{}", told(&clean));
    let diverged = back("errant=2");
    assert_eq!(diverged.outcome, RecoveryOutcome::Failed);
    assert!(told(&diverged).contains("2 transactions that the primary lacks"));
}

/// After a repair nothing is left of what it repairs.
#[test]
fn a_repair_that_was_made_is_not_planned_again() {
    let before = sketch::snapshot("p1 primary\nr1 <- p1 io=stopped");
    let repair = Repair::StartReceiver {
        replica: id("r1"),
        channel: String::new(),
    };
    let plan = plan_repair(
        &before,
        &repair,
        crate::ids::LeaseEpoch(7),
        Duration::from_secs(1),
    );
    let after = expected_after(&before, &plan);
    let channel = &after.facts(&id("r1")).unwrap().channels[0];
    assert!(channel.is_replicating());
}

/// Candidates of a forecast are those that the policy was asked about.
#[test]
fn candidates_are_those_that_were_ranked() {
    let lost = sketch::snapshot("p1 primary silent refused 2s\nr1 <- p1 io=connecting");
    let forecast = forecast(order(RecoveryKind::Failover), &lost);
    let names: Vec<&str> = forecast
        .candidates
        .iter()
        .map(|one: &Candidate| one.server.as_str())
        .collect();
    assert_eq!(names, ["r1"]);
}
