//! Each invariant of ARCHITECTURE.md, broken on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Objection, check};
use crate::command::{Guard, ServerCommand};
use crate::gtid::GtidSet;
use crate::ids::{Address, LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Snapshot, Switch};
use crate::planning::{
    Action, Choice, Election, Plan, PlanSettings, SecureRequest, Step, candidates, plan_promote,
    plan_reopen, plan_secure,
};
use crate::sketch;

fn snapshot() -> Snapshot {
    let mut snapshot = sketch::snapshot(
        "
        p1 primary silent refused 2s
        r1 <- p1 io=connecting
        r2 <- p1 io=connecting
    ",
    );
    snapshot.control.lease = Some(LeaseEpoch(3));
    snapshot.control.enabled = Switch::On;
    snapshot
}

fn id(name: &str) -> ServerId {
    let snapshot = snapshot();
    let found = snapshot
        .servers
        .keys()
        .find(|id| id.as_str().starts_with(name));
    found.cloned().expect("a server of the sketch")
}

fn promotion(snapshot: &Snapshot) -> Plan {
    let settings = PlanSettings::default();
    let request = SecureRequest {
        kind: RecoveryKind::Failover,
        subject: id("p1"),
        epoch: LeaseEpoch(3),
        first_step: 1,
    };
    let secured = plan_secure(snapshot, &request, &settings).expect("a secure plan");
    let choice = Choice {
        successor: id("r1"),
        catch_up_from: None,
        given_up: 0,
        risked: Vec::new(),
    };
    plan_promote(snapshot, &secured, &choice, &settings, 50)
}

#[test]
fn a_sound_plan_has_no_objection() {
    let snapshot = snapshot();
    assert_eq!(check(&promotion(&snapshot), &snapshot), Vec::new());
}

#[test]
fn invariant_1_one_writable() {
    let snapshot = snapshot();
    let mut plan = promotion(&snapshot);
    let open = plan
        .steps
        .iter()
        .find(|step| step.action.opens_writes())
        .cloned()
        .expect("it opens writes");
    let command = ServerCommand::OpenWrites(Guard {
        within: Duration::from_millis(250),
    });
    let mut second = open;
    second.id = 99;
    second.action = Action::Command {
        server: id("r2"),
        command,
    };
    plan.steps.push(second);
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::SeveralWritable(_)))
    );
}

#[test]
fn invariant_2_fence_or_waiver() {
    let snapshot = snapshot();
    let mut plan = promotion(&snapshot);
    plan.fence_waiver = None;
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::NotFenced { .. }))
    );
}

#[test]
fn invariant_3_epoch() {
    let mut snapshot = snapshot();
    let plan = promotion(&snapshot);
    snapshot.control.lease = Some(LeaseEpoch(4));
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::StaleEpoch { .. }))
    );
    snapshot.control.lease = None;
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::StaleEpoch { .. }))
    );
}

#[test]
fn invariant_4_confirmed() {
    let snapshot = snapshot();
    let mut plan = promotion(&snapshot);
    for step in plan
        .steps
        .iter_mut()
        .filter(|step| step.action.opens_writes())
    {
        step.after = BTreeSet::new();
    }
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::NotConfirmed { .. }))
    );
}

#[test]
fn invariant_5_members() {
    let mut snapshot = snapshot();
    let plan = promotion(&snapshot);
    snapshot.servers.remove(&id("r2"));
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::Stranger { .. }))
    );
}

#[test]
fn invariant_6_sources() {
    let snapshot = snapshot();
    let own = snapshot
        .servers
        .get(&id("r2"))
        .map(|server| server.address.clone())
        .expect("r2");
    let old = snapshot
        .servers
        .get(&id("p1"))
        .map(|server| server.address.clone())
        .expect("p1");
    let stranger = Address::new("elsewhere", 3306).expect("an address");
    for wrong in [own, old, stranger] {
        let mut plan = promotion(&snapshot);
        for step in &mut plan.steps {
            if let Action::Command {
                server,
                command: ServerCommand::PointAt { source, .. },
            } = &mut step.action
                && *server == id("r2")
            {
                *source = wrong.clone();
            }
        }
        let objections = check(&plan, &snapshot);
        assert!(
            objections
                .iter()
                .any(|o| matches!(o, Objection::WrongSource { .. })),
            "{wrong}: {objections:?}"
        );
    }
}

#[test]
fn invariant_7_no_discard() {
    let mut snapshot = snapshot();
    let plan = promotion(&snapshot);
    let more = GtidSet::parse_mysql("00000000-0000-0000-0000-000000000001:1-1100").expect("a set");
    if let Some(facts) = snapshot
        .servers
        .get_mut(&id("r2"))
        .and_then(|server| server.facts.as_mut())
    {
        facts.value.executed = facts.value.executed.union(&more);
    }
    assert!(
        check(&plan, &snapshot)
            .iter()
            .any(|o| matches!(o, Objection::Discards { .. }))
    );
    // The choice itself refuses it too, or lets the successor catch up first.
    let list = candidates(&snapshot, &id("p1"), None);
    let election = Election {
        kind: RecoveryKind::Failover,
        replaced: &id("p1"),
        order: &[id("r1")],
        list: &list,
        snapshot: &snapshot,
        revoked_after: None,
        requested: None,
        consent: None,
    };
    let choice = election.choose();
    assert_eq!(
        choice.map(|choice| choice.catch_up_from),
        Ok(Some(id("r2")))
    );
}

/// Whoever may go on acknowledging to the old primary must be fewer than it waits for, also if the
/// plan's maker overlooked them.
#[test]
fn invariant_23_no_acknowledgement_elsewhere() {
    let drawn = |r2: &str| {
        let mut snapshot = sketch::snapshot(&format!(
            "p1 primary silent timeout-connect 2s ss=source
             r1 <- p1 ss=replica io=stopped acked=3s
             r2 <- p1 ss=replica {r2} acked=3s"
        ));
        snapshot.control.lease = Some(LeaseEpoch(3));
        snapshot
    };
    let objects = |snapshot: &Snapshot, accepted: bool| {
        let before = crate::time::Timestamp::from_micros(snapshot.taken_at.micros() - 1_000_000);
        let plan = Plan {
            revoked_after: Some(before),
            loss_consented: accepted,
            ..promotion(snapshot)
        };
        let objections = check(&plan, snapshot);
        objections
            .iter()
            .any(|o| matches!(o, Objection::Acknowledged { .. }))
    };
    assert!(objects(&drawn("io=connecting"), false));
    assert!(!objects(&drawn("io=stopped"), false));
    assert!(!objects(&drawn("io=connecting"), true));
}

#[test]
fn invariant_8_switch() {
    let mut snapshot = snapshot();
    let plan = promotion(&snapshot);
    for state in [Switch::Off, Switch::Unreadable] {
        snapshot.control.enabled = state;
        assert!(check(&plan, &snapshot).contains(&Objection::SwitchedOff));
    }
}

#[test]
fn a_living_primary_is_fenced_in_the_first_half_and_the_second_one_knows() {
    let mut snapshot = sketch::snapshot(
        "
        p1 primary rw
        r1 <- p1
        r2 <- p1
    ",
    );
    snapshot.control.lease = Some(LeaseEpoch(3));
    snapshot.control.enabled = Switch::On;
    assert_eq!(check(&promotion(&snapshot), &snapshot), Vec::new());
}

/// A plan of one command.
fn only(server: &str, command: ServerCommand) -> Plan {
    let mut plan = promotion(&snapshot());
    let mut step = plan.steps.first().cloned().expect("a step");
    step.after.clear();
    step.action = Action::Command {
        server: ServerId::new(server),
        command,
    };
    plan.steps = vec![step];
    plan
}

fn shared() -> Snapshot {
    let mut snapshot = sketch::snapshot(
        "
        p1 primary silent refused 2s
        p2 rw foreign=2
        m1 <- p1@one io=connecting <- p2@two io=stopped
        r1 <- p1 io=connecting
    ",
    );
    snapshot.control.lease = Some(LeaseEpoch(3));
    snapshot
}

#[test]
fn invariant_20_own_servers() {
    let snapshot = shared();
    let fence = ServerCommand::Fence { kill_writers: true };
    let objections = check(&only("p2", fence.clone()), &snapshot);
    assert!(
        matches!(objections.as_slice(), [Objection::OtherCluster { .. }]),
        "{objections:?}"
    );
    assert_eq!(check(&only("r1", fence), &snapshot), []);
}

#[test]
fn invariant_21_own_channels() {
    let snapshot = shared();
    let named = |name: &str| Some(name.to_owned());
    for (channel, allowed) in [(named("one"), true), (named("two"), false), (None, false)] {
        for command in [
            ServerCommand::ForgetReplication {
                channel: channel.clone(),
            },
            ServerCommand::StartAppliers {
                channel: channel.clone(),
            },
            ServerCommand::SeverReceivers {
                channel: channel.clone(),
            },
        ] {
            let objections = check(&only("m1", command), &snapshot);
            let objects = objections
                .iter()
                .any(|objection| matches!(objection, Objection::OtherChannel { .. }));
            assert_eq!(objects, !allowed, "{channel:?}: {objections:?}");
        }
    }
}

/// Only the recorded primary is opened again, and only if nobody who answers has more.
#[test]
fn invariant_24_events_after_writes() {
    let mut snapshot = sketch::snapshot(
        "p1 primary silent refused 2s events=on
         r1 <- p1 io=connecting events=on:replica
         r2 <- p1 io=connecting",
    );
    snapshot.control.lease = Some(LeaseEpoch(3));
    snapshot.control.enabled = Switch::On;
    let plan = promotion(&snapshot);
    assert_eq!(check(&plan, &snapshot), Vec::new());
    let is_restoring = |step: &Step| {
        matches!(
            &step.action,
            Action::Command {
                command: ServerCommand::RestoreEvents { .. },
                ..
            }
        )
    };
    let refused = |plan: &Plan| {
        let objections = check(plan, &snapshot);
        let early = |o: &Objection| matches!(o, Objection::EventsBeforeWrites { .. });
        objections.iter().any(early)
    };
    // It no longer waits for the opening, or is about a replica.
    let mut early = plan.clone();
    let mut elsewhere = plan;
    for step in early.steps.iter_mut().filter(|step| is_restoring(step)) {
        step.after.clear();
    }
    assert!(refused(&early));
    for step in elsewhere.steps.iter_mut().filter(|step| is_restoring(step)) {
        if let Action::Command { server, .. } = &mut step.action {
            *server = id("r2");
        }
    }
    assert!(refused(&elsewhere));
    // Nobody is opened: the recorded primary was before, a replica was not.
    for (server, is_refused) in [("p1", false), ("r2", true)] {
        let states = std::collections::BTreeMap::new();
        let command = ServerCommand::RestoreEvents {
            states,
            keep_decided: true,
        };
        assert_eq!(refused(&only(server, command)), is_refused, "{server}");
    }
}

#[test]
fn invariant_22_reopened() {
    let settings = PlanSettings::default();
    for (text, opened, sound) in [
        ("p1 primary ro\nr1 <- p1", "p1", true),
        ("p1 primary ro\nr1 quarantined errant=3", "p1", true),
        ("p1 primary ro\nr1 <- p1 ahead=1", "p1", false),
        ("p1 primary ro\nr1 <- p1", "r1", false),
    ] {
        let text = text.replace("<- p1 ahead=1", "ahead=1 <- p1");
        let mut snapshot = sketch::snapshot(&text);
        snapshot.control.lease = Some(LeaseEpoch(3));
        let plan = plan_reopen(
            &snapshot,
            &ServerId::new(opened),
            LeaseEpoch(3),
            &settings,
            1,
        );
        let objections = check(&plan, &snapshot);
        assert_eq!(objections.is_empty(), sound, "{text}: {objections:?}");
    }
}
