//! The rules as tables: facts in, words out.

use std::fmt::Write as _;
use std::time::Duration;

use baton_core::model::TimeoutPhase;
use baton_core::time::Timestamp;
use baton_ports::{BackendContent, WrongKind};

use super::*;
use crate::progress::{Probe, Reading};
use crate::testing::{Server, server};

const UUID: &str = "7c6c29d3-0001-11ef-b1a5-000000000001";

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A probe half a second after the last one.
pub(crate) fn probe(number: u64, outcome: Result<Reading, ProbeFailure>) -> Probe {
    Probe {
        at: at(number * 500),
        ended: at(number * 500 + 1),
        outcome,
    }
}

pub(crate) fn reading(facts: BackendFacts, proof: BackendProof) -> Reading {
    Reading {
        facts: Ok(facts),
        proof,
        proof_took: Duration::from_millis(1),
        content: None,
        round_trip: Duration::from_millis(1),
    }
}

fn good(facts: BackendFacts) -> Progress {
    history([Ok(reading(facts, BackendProof::Held))])
}

fn history(outcomes: impl IntoIterator<Item = Result<Reading, ProbeFailure>>) -> Progress {
    let mut progress = Progress::default();
    for (number, outcome) in (1..).zip(outcomes) {
        progress.take(probe(number, outcome));
    }
    progress
}

fn synced() -> GaleraFacts {
    GaleraFacts {
        on: true,
        ready: true,
        primary: true,
        local_state: 4,
        size: Some(3),
        uuid: UUID.into(),
        index: Some(0),
        last_committed: Some(7),
        desync: false,
        reject_queries: "NONE".into(),
        read_only: false,
    }
}

fn with(change: impl FnOnce(&mut GaleraFacts)) -> BackendFacts {
    let mut facts = synced();
    change(&mut facts);
    BackendFacts::Galera(facts)
}

fn sql_node() -> NdbFacts {
    NdbFacts {
        ready_nodes: Some(2),
        data_nodes: Some(2),
        node_id: Some(50),
        system: Some("MC_1".into()),
        read_only: false,
        super_read_only: false,
    }
}

fn member() -> GroupFacts {
    GroupFacts {
        group: Some("g".into()),
        state: "ONLINE".into(),
        primary: true,
        super_read_only: false,
        read_only: false,
        offline: false,
        members: 3,
        seen: 3,
    }
}

fn memory() -> Memory<'static> {
    Memory {
        identity: None,
        epoch: None,
        had_tables: true,
        schema_version: 1,
    }
}

/// `n1: ready` or `n1: not-ready word word (note)`, a line each.
fn words(nodes: &[Progress], memory: Memory<'_>) -> String {
    let addresses = ["n1:3306", "n2:3306", "n3:3306"];
    let subjects: Vec<Subject<'_>> = nodes
        .iter()
        .zip(addresses)
        .map(|(progress, address)| Subject {
            address,
            database: "baton",
            progress,
        })
        .collect();
    let mut out = String::new();
    for (subject, verdict) in subjects.iter().zip(judge(&subjects, memory)) {
        let ready = match verdict.ready {
            Some(true) => "ready",
            Some(false) => "no:",
            None => "unknown",
        };
        write!(out, "{} {ready}", subject.address.trim_end_matches(":3306")).unwrap();
        for condition in &verdict.against {
            write!(out, " {}", condition.word.as_str()).unwrap();
            assert!(
                condition.text.starts_with(subject.address),
                "{}",
                condition.text
            );
        }
        for note in &verdict.notes {
            write!(out, " ({})", note.word.as_str()).unwrap();
        }
        out.push('\n');
    }
    out
}

fn alone(facts: BackendFacts) -> String {
    words(&[good(facts)], memory())
}

#[test]
fn galera() {
    let table = [
        ("synced", with(|_| {}), "n1 ready"),
        ("no cluster", with(|f| f.on = false), "n1 no: wrong-kind"),
        (
            "minority",
            with(|f| {
                f.ready = false;
                f.primary = false;
                f.local_state = 0;
            }),
            "n1 no: not-primary-component joining",
        ),
        // As seen for 20 to 60 ms after a partition or at the beginning of a shutdown.
        (
            "synced but non-primary",
            with(|f| {
                f.ready = false;
                f.primary = false;
            }),
            "n1 no: not-primary-component",
        ),
        (
            "synced but not ready",
            with(|f| f.ready = false),
            "n1 no: not-ready",
        ),
        (
            "joining",
            with(|f| {
                f.ready = false;
                f.local_state = 1;
            }),
            "n1 no: joining",
        ),
        ("joined", with(|f| f.local_state = 3), "n1 no: joining"),
        (
            "donor, nothing better",
            with(|f| f.local_state = 2),
            "n1 ready (donor)",
        ),
        (
            "donor and read-only",
            with(|f| {
                f.local_state = 2;
                f.read_only = true;
            }),
            "n1 no: donor read-only",
        ),
        (
            "rejecting",
            with(|f| f.reject_queries = "ALL".into()),
            "n1 no: rejecting-queries",
        ),
        (
            "read-only",
            with(|f| f.read_only = true),
            "n1 no: read-only",
        ),
        (
            "position lost",
            with(|f| f.uuid = ZERO_UUID.into()),
            "n1 no: zero-uuid",
        ),
    ];
    for (name, facts, expected) in table {
        assert_eq!(alone(facts).trim(), expected, "{name}");
    }
}

#[test]
fn a_donor_is_not_used_beside_a_full_member() {
    let nodes = [good(with(|f| f.local_state = 2)), good(with(|_| {}))];
    insta::assert_snapshot!(words(&nodes, memory()), @r"
    n1 no: donor
    n2 ready
    ");
}

#[test]
fn ndb() {
    let with = |change: &dyn Fn(&mut NdbFacts)| {
        let mut facts = sql_node();
        change(&mut facts);
        alone(BackendFacts::Ndb(facts))
    };
    assert_eq!(with(&|_| {}), "n1 ready\n");
    assert_eq!(
        with(&|f| f.ready_nodes = Some(1)),
        "n1 ready (data-nodes-missing)\n"
    );
    assert_eq!(with(&|f| f.ready_nodes = Some(0)), "n1 no: no-data-nodes\n");
    assert_eq!(with(&|f| f.ready_nodes = None), "n1 no: wrong-kind\n");
    assert_eq!(with(&|f| f.super_read_only = true), "n1 no: read-only\n");
}

#[test]
fn group() {
    let with = |change: &dyn Fn(&mut GroupFacts)| {
        let mut facts = member();
        change(&mut facts);
        alone(BackendFacts::Group(facts))
    };
    assert_eq!(with(&|_| {}), "n1 ready\n");
    let secondary = |f: &mut GroupFacts| {
        f.primary = false;
        f.super_read_only = true;
    };
    assert_eq!(with(&secondary), "n1 no: not-primary\n");
    assert_eq!(with(&|f| f.seen = 1), "n1 no: no-quorum\n");
    assert_eq!(with(&|f| f.super_read_only = true), "n1 no: read-only\n");
    assert_eq!(with(&|f| f.offline = true), "n1 no: offline\n");
    assert_eq!(with(&|f| f.group = None), "n1 no: wrong-kind\n");
    let recovering = |f: &mut GroupFacts| {
        f.state = "RECOVERING".into();
        f.super_read_only = true;
    };
    assert_eq!(with(&recovering), "n1 no: joining read-only\n");
    let expelled = |f: &mut GroupFacts| {
        f.state = "ERROR".into();
        f.super_read_only = true;
        f.offline = true;
    };
    assert_eq!(with(&expelled), "n1 no: not-member offline read-only\n");
}

#[test]
fn nodes_of_two_clusters() {
    let foreign = || good(with(|f| f.uuid = "another".into()));
    let own = || good(with(|_| {}));
    insta::assert_snapshot!(words(&[foreign(), own(), own()], memory()), @r"
    n1 no: foreign-cluster
    n2 ready
    n3 ready
    ");
    // One each: the first configured one is meant.
    insta::assert_snapshot!(words(&[foreign(), own()], memory()), @r"
    n1 ready
    n2 no: foreign-cluster
    ");
    // Once a cluster was used, no majority of others changes what is meant.
    let used = Memory {
        identity: Some(UUID),
        ..memory()
    };
    insta::assert_snapshot!(words(&[foreign(), foreign(), own()], used), @r"
    n1 no: foreign-cluster
    n2 no: foreign-cluster
    n3 ready
    ");
}

#[test]
fn a_server_of_another_kind() {
    let stranger = Reading {
        facts: Err(WrongKind),
        ..reading(with(|_| {}), BackendProof::NotTried)
    };
    assert_eq!(
        words(&[history([Ok(stranger)])], memory()),
        "n1 no: wrong-kind\n"
    );
}

#[test]
fn what_the_tables_say() {
    let holding = |content: BackendContent| {
        let mut reading = reading(with(|_| {}), BackendProof::Held);
        reading.content = Some(content);
        words(
            &[history([Ok(reading)])],
            Memory {
                epoch: Some((12, at(0))),
                ..memory()
            },
        )
    };
    let usual = BackendContent {
        epoch: Some(12),
        schema: Some(1),
        ..BackendContent::default()
    };
    assert_eq!(holding(usual.clone()), "n1 ready\n");
    assert_eq!(
        holding(BackendContent {
            epoch: Some(11),
            ..usual.clone()
        }),
        "n1 ready (history-older)\n"
    );
    assert_eq!(
        holding(BackendContent {
            epoch: Some(13),
            ..usual.clone()
        }),
        "n1 ready\n"
    );
    assert_eq!(
        holding(BackendContent {
            moved_to: Some("other".to_owned()),
            ..usual.clone()
        }),
        "n1 no: moved\n"
    );
    // The marks of a copy come first and go last, so its rows are nobody's state.
    assert_eq!(
        holding(BackendContent {
            closed: true,
            ..usual.clone()
        }),
        "n1 no: closed-copy\n"
    );
    // A backend that came back empty: a person decides.
    assert_eq!(holding(BackendContent::default()), "n1 no: history-older\n");
    assert_eq!(
        holding(BackendContent {
            schema: Some(2),
            ..usual.clone()
        }),
        "n1 no: schema-newer\n"
    );
    assert_eq!(
        holding(BackendContent {
            no_database: true,
            ..usual.clone()
        }),
        "n1 no: no-database\n"
    );
    assert_eq!(
        holding(BackendContent {
            denied: true,
            ..usual.clone()
        }),
        "n1 no: no-rights\n"
    );
}

#[test]
fn a_silent_node_is_suspected_first_and_has_to_prove_itself_afterwards() {
    let ok = || Ok(reading(with(|_| {}), BackendProof::Held));
    let late = || Err(ProbeFailure::Timeout(TimeoutPhase::Statement));
    let after =
        |outcomes: Vec<Result<Reading, ProbeFailure>>| words(&[history(outcomes)], memory());
    assert_eq!(after(vec![]), "n1 unknown\n");
    assert_eq!(after(vec![late()]), "n1 no: unreachable\n");
    assert_eq!(after(vec![ok(), late()]), "n1 ready\n");
    assert_eq!(after(vec![ok(), late(), ok()]), "n1 ready\n");
    assert_eq!(after(vec![ok(), late(), late()]), "n1 no: unreachable\n");
    assert_eq!(
        after(vec![ok(), Err(ProbeFailure::Refused)]),
        "n1 no: unreachable\n"
    );
    assert_eq!(
        after(vec![ok(), late(), late(), ok(), ok()]),
        "n1 no: not-proven\n"
    );
    assert_eq!(
        after(vec![ok(), late(), late(), ok(), ok(), ok()]),
        "n1 ready\n"
    );
}

#[test]
fn status_variables_alone_prove_nothing() {
    let ok = || Ok(reading(with(|_| {}), BackendProof::Held));
    let lies = |number| Ok(reading(with(|_| {}), BackendProof::Refused(number)));
    let lost = || Err(ProbeFailure::Refused);
    // As measured on a node that was frozen and left behind: "Synced", but reads through the
    // cluster fail.
    let frozen = || vec![ok(), lost(), lies(1205), lies(1205), lies(1205), lies(1047)];
    assert_eq!(words(&[history(frozen())], memory()), "n1 no: not-proven\n");
    let back = frozen().into_iter().chain([ok(), ok()]);
    assert_eq!(words(&[history(back)], memory()), "n1 no: not-proven\n");
    let back = frozen().into_iter().chain([ok(), ok(), ok()]);
    assert_eq!(words(&[history(back)], memory()), "n1 ready\n");
    let never = [Ok(reading(with(|_| {}), BackendProof::Late))];
    assert_eq!(words(&[history(never)], memory()), "n1 no: not-proven\n");
}

#[test]
fn a_stall_of_all_is_waited_for_and_a_stall_of_one_is_not() {
    let ok = || Ok(reading(with(|_| {}), BackendProof::Held));
    let late = || Ok(reading(with(|_| {}), BackendProof::Late));
    let stalled = || history([ok(), late(), late(), late()]);
    insta::assert_snapshot!(words(&[stalled(), stalled()], memory()), @r"
    n1 ready
    n2 ready
    ");
    insta::assert_snapshot!(words(&[stalled(), history([ok(), ok(), ok()])], memory()), @r"
    n1 no: not-proven
    n2 ready
    ");
    // The stall has ended for the one and is about to end for the other; neither is left.
    let over = history([ok(), late(), late(), late(), ok()]);
    insta::assert_snapshot!(words(&[stalled(), over], memory()), @r"
    n1 ready
    n2 ready
    ");
    let before = history([ok()]);
    insta::assert_snapshot!(words(&[stalled(), before], memory()), @r"
    n1 ready
    n2 ready
    ");
}

#[test]
fn pairs() {
    let node = |server: Server| {
        history([Ok(reading(
            BackendFacts::Pair(Box::new(server.facts())),
            BackendProof::NotTried,
        ))])
    };
    let table = [
        (
            "as it should be",
            server(1).open(),
            server(2),
            "n1 ready\nn2 no: read-only\n",
        ),
        (
            "both closed",
            server(1),
            server(2),
            "n1 no: read-only\nn2 no: read-only\n",
        ),
        (
            "both open",
            server(1).open(),
            server(2).open(),
            "n1 no: both-writable\nn2 no: both-writable\n",
        ),
        (
            "one server twice",
            server(1).open(),
            server(2).uid("uid-1"),
            "n1 no: same-server\nn2 no: same-server read-only\n",
        ),
        (
            "follows nobody",
            server(1).open(),
            server(2).alone(),
            "n1 ready\nn2 no: read-only (not-replicating)\n",
        ),
        (
            "applier broken",
            server(1).open(),
            server(2).applier_error(1062),
            "n1 ready\nn2 no: read-only (not-replicating)\n",
        ),
        (
            "follows a stranger",
            server(1).open(),
            server(2).source(9),
            "n1 ready\nn2 no: read-only foreign-cluster\n",
        ),
    ];
    for (name, one, two, expected) in table {
        assert_eq!(words(&[node(one), node(two)], memory()), expected, "{name}");
    }
}

#[test]
fn one_of_a_pair_is_used_without_the_other() {
    let open = || {
        Ok(reading(
            BackendFacts::Pair(Box::new(server(1).open().facts())),
            BackendProof::NotTried,
        ))
    };
    let lost = || Err(ProbeFailure::Refused);
    insta::assert_snapshot!(words(&[history([open()]), history([lost()])], memory()), @r"
    n1 ready
    n2 no: unreachable
    ");
    // No read can prove anything here: the good probes alone have to do.
    assert_eq!(
        words(&[history([open(), lost(), open(), open()])], memory()),
        "n1 no: not-proven\n"
    );
    assert_eq!(
        words(
            &[history([open(), lost(), open(), open(), open()])],
            memory()
        ),
        "n1 ready\n"
    );
}

#[test]
fn a_node_that_lacks_what_its_fellows_have_is_behind() {
    let shows = |epoch| {
        let mut reading = reading(with(|_| {}), BackendProof::Held);
        reading.content = Some(BackendContent {
            epoch,
            ..BackendContent::default()
        });
        history([Ok(reading)])
    };
    let behind = |nodes: &[Progress], seen_at| {
        let subjects: Vec<Subject<'_>> = nodes
            .iter()
            .map(|progress| Subject {
                address: "n",
                database: "baton",
                progress,
            })
            .collect();
        let memory = Memory {
            epoch: Some((12, at(seen_at))),
            ..memory()
        };
        let verdicts = judge(&subjects, memory);
        verdicts
            .iter()
            .map(|verdict| verdict.epoch_behind)
            .collect::<Vec<_>>()
    };
    let two = [shows(Some(12)), shows(Some(9))];
    assert_eq!(behind(&two, 0), [Some(0), Some(3)]);
    // Read before the highest epoch was seen.
    assert_eq!(behind(&two, 5_000), [Some(0), Some(0)]);
    // All lost the same: waiting would not bring it back.
    let both = [shows(Some(9)), shows(Some(9))];
    assert_eq!(behind(&both, 0), [Some(0), Some(0)]);
}
