use super::*;
use crate::planning::{Blocked, Candidate, Election, Step, candidates, plan_relocate};
use crate::sketch;

const DEAD: &str = "
    p1 primary silent refused 2s
    r1 <- p1 io=connecting
    r2 <- p1 io=connecting
";
const HUNG: &str = "
    p1 primary silent timeout-handshake 2s
    r1 <- p1 reconnect-failed=500ms
    r2 <- p1
";

fn secured(snapshot: &Snapshot) -> Plan {
    let subject = snapshot.cluster.primary.clone().expect("a primary");
    let request = SecureRequest {
        kind: RecoveryKind::Failover,
        subject,
        epoch: LeaseEpoch(3),
        first_step: 1,
    };
    plan_secure(snapshot, &request, &PlanSettings::default()).expect("a plan")
}

fn choose(
    snapshot: &Snapshot,
    subject: &ServerId,
    order: &[ServerId],
    list: &[Candidate],
) -> Result<Choice, Blocked> {
    let election = Election {
        kind: RecoveryKind::Failover,
        replaced: subject,
        order,
        list,
        snapshot,
        revoked_after: None,
        requested: None,
        consent: None,
    };
    election.choose()
}

fn words(plan: &Plan) -> Vec<&'static str> {
    let steps = plan.steps.iter();
    steps
        .filter_map(|step| match &step.action {
            Action::Command { command, .. } => Some(command.word()),
            _ => None,
        })
        .collect()
}

#[test]
fn receivers_of_a_hung_source_are_severed_those_of_a_dead_one_stopped() {
    let hung = words(&secured(&sketch::snapshot(HUNG)));
    assert_eq!(hung, ["fence", "sever-receivers", "sever-receivers"]);
    let dead = words(&secured(&sketch::snapshot(DEAD)));
    assert_eq!(dead, ["stop-receivers", "stop-receivers"]);
}

#[test]
fn a_receiver_that_still_shows_as_running_has_ended_only_if_it_was_severed_before_the_reading() {
    for (sketch, allowed) in [
        ("severed=1s", true),
        // Read 100 ms ago, severed after that; severed before this recovery; not at all.
        ("severed=50ms", false),
        ("severed=9s", false),
        ("", false),
    ] {
        let text = format!("p1 primary silent timeout-handshake 9s\n r1 <- p1 {sketch}");
        let snapshot = sketch::snapshot(&text);
        let subject = snapshot.cluster.primary.clone().expect("a primary");
        let began = snapshot
            .taken_at
            .since(crate::time::Timestamp::from_millis(3000));
        let began = crate::time::Timestamp::default().plus(began);
        let list = candidates(&snapshot, &subject, Some(began));
        let first = list.first().expect("a candidate");
        assert_eq!(first.is_allowed(), allowed, "{sketch}");
    }
}

#[test]
fn writes_are_open_before_the_dead_channel_is_forgotten() {
    let snapshot = sketch::snapshot(DEAD);
    let secured = secured(&snapshot);
    let list = candidates(&snapshot, &secured.subject, None);
    let order: Vec<ServerId> = list.iter().map(|c| c.server.clone()).collect();
    let choice = choose(&snapshot, &secured.subject, &order, &list);
    let choice = choice.expect("a choice");
    let plan = plan_promote(&snapshot, &secured, &choice, &PlanSettings::default(), 50);
    let place = |word| words(&plan).iter().position(|other| *other == word);
    assert!(
        place("open-writes") < place("forget-replication"),
        "{plan:?}"
    );
    // A successor that is still fed by a sibling forgets first.
    let fed = Choice {
        catch_up_from: order.iter().find(|id| **id != choice.successor).cloned(),
        ..choice
    };
    let plan = plan_promote(&snapshot, &secured, &fed, &PlanSettings::default(), 50);
    let place = |word| words(&plan).iter().position(|other| *other == word);
    assert!(
        place("forget-replication") < place("open-writes"),
        "{plan:?}"
    );
}

#[test]
fn finishing_forward_leaves_the_successor_without_channels() {
    let snapshot = sketch::snapshot(DEAD);
    let (subject, successor) = (ServerId::new("p1"), ServerId::new("r1"));
    let target = (&subject, &successor);
    let steps = finish_steps(&snapshot, target, Vec::new(), 7, &PlanSettings::default());
    let forgets = |action: &Action| {
        matches!(action, Action::Command { server, command: ServerCommand::ForgetReplication { channel: Some(name) } }
            if server.as_str() == "r1" && name.is_empty())
    };
    assert!(steps.iter().any(|step| forgets(&step.action)));
}

/// The channels that commands of a plan change on `server`: `*` for all.
fn changed<'a>(steps: impl Iterator<Item = &'a Step>, server: &str) -> Vec<String> {
    let channels = steps.filter_map(|step| match &step.action {
        Action::Command {
            server: id,
            command,
        } if id.as_str() == server => match command {
            ServerCommand::ForgetReplication { channel }
            | ServerCommand::StopReceivers { channel }
            | ServerCommand::SeverReceivers { channel } => {
                Some(channel.clone().unwrap_or_else(|| "*".to_owned()))
            }
            ServerCommand::PointAt { channel, .. } => Some(channel.clone()),
            _ => None,
        },
        _ => None,
    });
    channels.collect()
}

/// Its other channel has the lower name, and is in any state; its source is a member (recorded as
/// such by an older version) or not.
#[test]
fn a_promotion_touches_the_channels_that_lead_to_the_replaced_server_and_no_others() {
    for p2 in ["p2 rw foreign=9\n", ""] {
        for state in ["", "io=stopped sql=stopped", "io=connecting"] {
            let snapshot = sketch::snapshot(&format!(
                "p1 primary silent refused 2s
                 {p2}
                 m1 <- p2@aaa brings=9 {state} <- p1@zzz io=connecting
                 r1 <- p1@main io=connecting"
            ));
            let secured = secured(&snapshot);
            let list = candidates(&snapshot, &secured.subject, None);
            assert!(
                list.iter().all(|c| c.missing == Some(0) && c.is_allowed()),
                "{list:?}"
            );
            for successor in ["m1", "r1"] {
                let order = [ServerId::new(successor)];
                let choice = choose(&snapshot, &secured.subject, &order, &list);
                let choice = choice.expect("a choice");
                assert_eq!(
                    choice.catch_up_from, None,
                    "nothing of another cluster is fetched"
                );
                let fed = Choice {
                    catch_up_from: list
                        .iter()
                        .map(|c| c.server.clone())
                        .find(|id| *id != choice.successor),
                    ..choice.clone()
                };
                for choice in [choice, fed] {
                    let plan =
                        plan_promote(&snapshot, &secured, &choice, &PlanSettings::default(), 50);
                    let steps = || secured.steps.iter().chain(&plan.steps);
                    assert!(
                        changed(steps(), "m1").iter().all(|name| name == "zzz"),
                        "{plan:?}"
                    );
                    assert!(
                        changed(steps(), "r1").iter().all(|name| name == "main"),
                        "{plan:?}"
                    );
                    assert!(changed(plan.steps.iter(), successor).len() < 3);
                    assert!(
                        steps()
                            .all(|step| step.action.server().is_none_or(|id| id.as_str() != "p2"))
                    );
                }
            }
        }
    }
}

/// A node that was started after the primary had died left the cluster without acknowledgements,
/// and the next failover lost a transaction; so did one whose successor had died before it was told
/// to wait for them.
#[test]
fn a_primary_that_was_never_told_to_wait_is_taken_for_what_its_replicas_are() {
    for (read, primary, replica, wanted) in [
        (false, "ss=source", "ss=replica", true),
        (false, "ss=source", "", false),
        (true, "ss=replica", "ss=replica", true),
        (true, "ss=replica", "", false),
        // Somebody does not want it.
        (true, "", "ss=replica", false),
    ] {
        let mut snapshot = sketch::snapshot(&format!(
            "p1 primary silent refused 2s {primary}
             r1 <- p1 io=connecting {replica}
             r2 <- p1 io=connecting {replica}"
        ));
        let subject = ServerId::new("p1");
        let dead = snapshot.servers.get_mut(&subject).expect("the primary");
        dead.facts = dead.facts.take().filter(|_| read);
        let secured = secured(&snapshot);
        let list = candidates(&snapshot, &subject, None);
        let order: Vec<ServerId> = list.iter().map(|c| c.server.clone()).collect();
        let choice = choose(&snapshot, &subject, &order, &list);
        let choice = choice.expect("a choice");
        let plan = plan_promote(&snapshot, &secured, &choice, &PlanSettings::default(), 50);
        let target = (&subject, &choice.successor);
        let finish = finish_steps(&snapshot, target, Vec::new(), 7, &PlanSettings::default());
        for steps in [&plan.steps, &finish] {
            let waits = steps.iter().any(|step| {
                matches!(&step.action, Action::Command { server, command: ServerCommand::SetSemiSync { source: Some(true), .. } } if *server == choice.successor)
            });
            assert_eq!(waits, wanted, "{primary} {replica}: {steps:?}");
        }
    }
}

/// A replica that connects before its source waits for acknowledgements is taken on without them
/// (tried on MySQL 9.7).
#[test]
fn finishing_forward_ends_as_an_undisturbed_failover_does_with_semi_sync() {
    let snapshot = sketch::snapshot(
        "p1 primary silent timeout-handshake 9s ss=source
         r1 rw ss=replica
         r2 <- p1 io=connecting ss=replica",
    );
    let (subject, successor) = (ServerId::new("p1"), ServerId::new("r1"));
    let target = (&subject, &successor);
    let settings = PlanSettings::default();
    let epoch = crate::ids::LeaseEpoch::default();
    let moved = plan_relocate(&snapshot, RecoveryKind::Failover, target, epoch, &settings);
    let moved = moved.expect("r2 can be moved").steps;
    let steps = finish_steps(&snapshot, target, moved, 7, &settings);
    let side = |source, replica| {
        let command = ServerCommand::SetSemiSync { source, replica };
        let found = steps.iter().find(|step| {
            matches!(&step.action, Action::Command { server, command: sent } if *server == successor && *sent == command)
        });
        found.map(|step| step.id)
    };
    let on = side(Some(true), None).expect("the successor waits for acknowledgements");
    assert!(side(None, Some(false)).is_some(), "{steps:?}");
    let of_r2 = |step: &&Step| step.action.server().is_some_and(|id| id.as_str() == "r2");
    let first = steps.iter().find(of_r2).expect("r2 is moved");
    let confirmed = steps.iter().find(|step| first.after.contains(&step.id));
    assert!(confirmed.is_some_and(|step| step.after.contains(&on)));
}

/// A successor fell silent when it had just been opened: nobody was pointed at it yet, and it had a
/// replica of its own.
#[test]
fn who_replaces_a_silent_successor_takes_over_what_that_one_did_not() {
    let involved = |first: &str| {
        let snapshot = sketch::snapshot(&format!(
            "
            cluster past=failover:succeeded:p0:p1:1m
            p0 {first}
            p1 primary silent timeout-handshake 2s
            r1 <- p0 io=connecting
            r2 <- p1
            "
        ));
        let secured = secured(&snapshot);
        let stopped: BTreeSet<String> = secured
            .steps
            .iter()
            .filter(|step| step.phase == Phase::Revoke)
            .filter_map(|step| Some(step.action.server()?.to_string()))
            .collect();
        let list = candidates(&snapshot, &secured.subject, None);
        let considered: BTreeSet<String> = list.iter().map(|c| c.server.to_string()).collect();
        assert_eq!(stopped, considered);
        considered.into_iter().collect::<Vec<String>>()
    };
    assert_eq!(involved("silent refused 9s"), ["r1", "r2"]);
    // One that is back keeps what follows it.
    assert_eq!(involved("ro"), ["r2"]);
}

/// MariaDB drops a relay log when its receiver is started while neither thread runs: 50
/// acknowledged rows were gone on both replicas.
#[test]
fn a_stopped_applier_of_mariadb_is_started_before_the_receiver_is_stopped() {
    for (flavor, sql, expected) in [
        (
            "mariadb",
            "sql=stopped",
            &["start-appliers", "stop-receivers"][..],
        ),
        ("mariadb", "sql=running", &["stop-receivers"]),
        ("", "sql=stopped", &["stop-receivers"]),
    ] {
        let text = format!(
            "p1 primary {flavor} silent refused 2s\nr1 {flavor} unapplied=5 <- p1 io=connecting {sql}"
        );
        let plan = secured(&sketch::snapshot(&text));
        assert_eq!(words(&plan), expected, "{flavor} {sql}");
        let ids: Vec<StepId> = plan.steps.iter().map(|step| step.id).collect();
        let mut pairs = plan.steps.iter().zip(plan.steps.iter().skip(1));
        assert!(
            pairs.all(|(one, next)| next.after.contains(&one.id)),
            "{ids:?}"
        );
    }
}

/// With consent to lose what only r2 has, r2 keeps its relay log: it may be the only copy.
#[test]
fn who_holds_what_is_given_up_is_left_as_it_is() {
    let snapshot = sketch::snapshot(
        "p1 primary silent refused 2s
         r1 missing=5 <- p1 io=connecting
         r2 unapplied=5 <- p1 io=connecting sql=stopped:1062",
    );
    let choice = Choice {
        successor: ServerId::new("r1"),
        catch_up_from: None,
        given_up: 5,
        risked: Vec::new(),
    };
    let plan = plan_promote(
        &snapshot,
        &secured(&snapshot),
        &choice,
        &PlanSettings::default(),
        50,
    );
    let touched = |step: &Step| step.action.server() == Some(&ServerId::new("r2"));
    assert!(!plan.steps.iter().any(touched), "{:?}", plan.steps);
}

fn promoted(text: &str) -> Plan {
    let snapshot = sketch::snapshot(text);
    let secured = secured(&snapshot);
    let list = candidates(&snapshot, &secured.subject, None);
    let order: Vec<ServerId> = list.iter().map(|c| c.server.clone()).collect();
    let choice = choose(&snapshot, &secured.subject, &order, &list);
    let choice = choice.expect("a choice");
    plan_promote(&snapshot, &secured, &choice, &PlanSettings::default(), 50)
}

/// What was written between the opening and the order to wait was acknowledged to clients and was
/// on one server only.
#[test]
fn the_successor_waits_from_its_first_write_on() {
    let plan = promoted(
        "p1 primary silent refused 2s ss=source
         r1 ss=replica <- p1 io=connecting
         r2 ss=replica <- p1 io=connecting",
    );
    let id_of = |wanted: fn(&ServerCommand) -> bool| {
        let mut steps = plan.steps.iter();
        let step = steps.find(
            |step| matches!(&step.action, Action::Command { command, .. } if wanted(command)),
        );
        step.map(|step| step.id)
    };
    let on = id_of(|command| {
        matches!(
            command,
            ServerCommand::SetSemiSync {
                source: Some(true),
                ..
            }
        )
    });
    let opened = id_of(|command| matches!(command, ServerCommand::OpenWrites(_)));
    assert!(on.is_some() && on < opened, "{plan:?}");
    let pointed = id_of(|command| matches!(command, ServerCommand::PointAt { .. }));
    assert!(opened < pointed, "{plan:?}");
}

/// 1,600 transactions received, none applied within 10 s.
#[test]
fn a_successor_whose_applier_waits_for_acknowledgements_is_released_before_it_drains() {
    let plan = promoted(
        "p1 primary silent refused 2s ss=both
         r1 ss=both <- p1 io=connecting",
    );
    let sides: Vec<(&Step, Option<bool>)> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Command {
                command: ServerCommand::SetSemiSync { source, .. },
                ..
            } => Some((step, *source)),
            _ => None,
        })
        .collect();
    let place = |wanted| sides.iter().position(|(_, source)| *source == Some(wanted));
    assert!(place(false) < place(true), "{plan:?}");
    let drain = plan.steps.iter().find(|step| step.phase == Phase::Drain);
    assert_eq!(
        drain.map(|step| step.id),
        sides.first().map(|(step, _)| step.id)
    );
}

/// Stopping such an applier hung, and with it the session that held the lock: nobody could do
/// anything about the replica for an hour.
#[test]
fn a_replica_whose_applier_waits_for_acknowledgements_is_released_before_it_is_pointed_elsewhere() {
    let plan = promoted(
        "p1 primary silent refused 2s ss=both
         r1 ss=both <- p1 io=connecting
         r2 ss=both missing=5 <- p1 io=connecting",
    );
    assert_eq!(
        plan.words_on("r2"),
        ["set-semi-sync", "point-at"],
        "{plan:?}"
    );
}

/// A fence waits for the commits that a full disk holds. That undid seven failovers in turn.
#[test]
fn a_fence_behind_a_full_disk_is_waived_only_where_nothing_is_acknowledged_any_more() {
    for (primary, replicas, waived) in [
        ("commit=refused:1021 ss=source clients=2", "", true),
        ("statement:1114 ss=source clients=2", "", true),
        ("commit=stalled:12s ss=source clients=2", "", true),
        ("space=waits:2 awaited=1s ss=source clients=2", "", true),
        // It works; it does not wait; it gives up waiting; somebody else may acknowledge.
        ("commit=ok ss=source clients=2", "", false),
        ("commit=refused:1021", "", false),
        (
            "commit=refused:1021 ss=source clients=2 timeout=10s",
            "",
            false,
        ),
        ("commit=refused:1021 ss=source clients=3", "", false),
        (
            "commit=refused:1021 ss=source clients=2",
            "r3 silent <- p1",
            false,
        ),
    ] {
        let snapshot = sketch::snapshot(&format!(
            "p1 primary {primary}\nr1 <- p1\nr2 <- p1\n{replicas}"
        ));
        let plan = secured(&snapshot);
        assert_eq!(
            plan.fence_waiver.is_some(),
            waived || primary.starts_with("statement"),
            "{primary} {replicas}"
        );
        let revokes = plan.steps.iter().filter(|step| {
            matches!(&step.action, Action::Command { command, .. } if command.word().ends_with("-receivers"))
        });
        for step in revokes {
            assert_eq!(
                step.on_failure == OnFailure::Abort,
                waived,
                "{primary} {replicas}: {step:?}"
            );
        }
    }
}

/// Stopping a receiver waits for a source that it does not reach, or for its own full disk.
#[test]
fn receivers_that_would_keep_us_waiting_are_severed() {
    for (replicas, expected) in [
        ("r1 <- p1\nr2 <- p1", ["stop-receivers", "stop-receivers"]),
        (
            "r1 <- p1 io=connecting\nr2 <- p1",
            ["sever-receivers", "sever-receivers"],
        ),
        (
            "r1 <- p1 starving=9s\nr2 <- p1",
            ["sever-receivers", "stop-receivers"],
        ),
    ] {
        let plan = secured(&sketch::snapshot(&format!("p1 primary\n{replicas}")));
        assert_eq!(words(&plan).get(1..), Some(&expected[..]), "{replicas}");
    }
}
