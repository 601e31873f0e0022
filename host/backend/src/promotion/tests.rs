//! Roles of a pair, as a table: what each side says, then what is done.

use baton_core::model::TimeoutPhase;
use baton_ports::{BackendFacts, BackendProof};

use super::*;
use crate::progress::{Probe, Reading};
use crate::rules::pair::pair_facts;
use crate::rules::{Memory, Subject, judge};
use crate::testing::{Server, server};

const PATIENCE: Duration = Duration::from_secs(10);

/// The instant of the decision, in milliseconds.
const NOW: u64 = 20_000;

/// One side: when it was read last, what it said, and since when it has been failing with what.
#[derive(Clone)]
struct Said {
    read: u64,
    facts: ServerFacts,
    failing: Option<(u64, ProbeFailure)>,
    followed: Option<u64>,
    peers: bool,
}

fn says(server: Server) -> Said {
    Said {
        read: NOW - 10,
        followed: Some(NOW - 10),
        facts: server.facts(),
        failing: None,
        peers: false,
    }
}

/// The active node, which fails since then.
fn gone(since: u64, failure: ProbeFailure) -> Said {
    Said {
        read: since - 400,
        failing: Some((since, failure)),
        ..says(server(1).open())
    }
}

fn progress(said: &Said) -> Progress {
    let mut progress = Progress::default();
    let probe = |at: u64, outcome| Probe {
        at: Timestamp::from_millis(at),
        ended: Timestamp::from_millis(at),
        outcome,
    };
    progress.take(probe(
        said.read,
        Ok(Reading {
            facts: Ok(BackendFacts::Pair(Box::new(said.facts.clone()))),
            proof: BackendProof::NotTried,
            proof_took: Duration::ZERO,
            content: None,
            round_trip: Duration::ZERO,
        }),
    ));
    if let Some((since, failure)) = &said.failing {
        progress.take(probe(*since, Err(failure.clone())));
        progress.take(probe(*since + 100, Err(failure.clone())));
    }
    progress
}

fn decided(one: &Said, two: &Said, used: Option<usize>) -> String {
    decided_after(one, two, used, None)
}

fn decided_after(one: &Said, two: &Said, used: Option<usize>, closed_since: Option<u64>) -> String {
    let (first, second) = (progress(one), progress(two));
    let side = |said: &Said, progress| {
        let address = if std::ptr::eq(said, one) { "n1" } else { "n2" };
        Side {
            address,
            progress,
            facts: pair_facts(Subject {
                address,
                database: "baton",
                progress,
            }),
            followed: said.followed.map(Timestamp::from_millis),
            answered: Some(Timestamp::from_millis(said.read)),
            seen_by_peers: said.peers,
        }
    };
    let before = Before {
        used,
        closed_since: closed_since.map(Timestamp::from_millis),
        patience: PATIENCE,
    };
    match decide(
        [side(one, &first), side(two, &second)],
        before,
        Timestamp::from_millis(NOW),
    ) {
        Decision::Nothing => "nothing".to_owned(),
        Decision::Hold(why) => format!("hold: {why}"),
        Decision::Promote {
            candidate,
            reconnect: false,
            ..
        } => format!("promote n{}", candidate + 1),
        Decision::Promote {
            candidate,
            reconnect: true,
            ..
        } => format!("reconnect and promote n{}", candidate + 1),
        Decision::Fence { node, .. } => format!("fence n{}", node + 1),
    }
}

fn passive() -> Said {
    says(server(2).receiver(ThreadState::Connecting))
}

#[test]
fn one_open_and_one_closed_is_how_it_should_be() {
    assert_eq!(
        decided(&says(server(1).open()), &says(server(2)), Some(0)),
        "nothing"
    );
    assert_eq!(
        decided(&says(server(1)), &says(server(2).open()), Some(0)),
        "nothing"
    );
}

#[test]
fn a_process_that_is_gone_is_replaced_at_once() {
    assert_eq!(
        decided(&gone(NOW - 50, ProbeFailure::Refused), &passive(), Some(0)),
        "promote n2"
    );
}

#[test]
fn a_silent_one_is_replaced_after_a_while() {
    let silent = |since| gone(since, ProbeFailure::Timeout(TimeoutPhase::Connect));
    insta::assert_snapshot!(decided(&silent(NOW - 9_000), &passive(), Some(0)),
        @"hold: n1 is silent, and n2 still counts it as connected or it may come back: waiting");
    assert_eq!(
        decided(&silent(NOW - 10_000), &passive(), Some(0)),
        "promote n2"
    );
    // The passive one's receiver has noticed nothing: it is made to connect anew.
    let unaware = says(server(2));
    assert_eq!(
        decided(&silent(NOW - 10_000), &unaware, Some(0)),
        "reconnect and promote n2"
    );
    assert!(decided(&gone(NOW - 50, ProbeFailure::Refused), &unaware, Some(0)).starts_with("hold"));
}

#[test]
fn reasons_not_to_open_the_passive_one() {
    let refused = || gone(NOW - 50, ProbeFailure::Refused);
    let table = [
        (
            "peers reach the active one",
            Said {
                peers: true,
                ..refused()
            },
            passive(),
        ),
        (
            "it answers, and cannot be fenced",
            gone(NOW - 15_000, ProbeFailure::TooManyConnections),
            passive(),
        ),
        (
            "read before the loss",
            refused(),
            Said {
                read: NOW - 400,
                ..passive()
            },
        ),
        ("follows nobody", refused(), says(server(2).alone())),
        (
            "applier stopped",
            refused(),
            says(
                server(2)
                    .receiver(ThreadState::Connecting)
                    .applier(ThreadState::Stopped),
            ),
        ),
        (
            "not seen following",
            refused(),
            Said {
                followed: None,
                ..passive()
            },
        ),
        (
            "followed long ago",
            refused(),
            Said {
                followed: Some(NOW - 10_000),
                ..passive()
            },
        ),
    ];
    for (name, one, two) in table {
        let decided = decided(&one, &two, Some(0));
        assert!(decided.starts_with("hold: "), "{name}: {decided}");
    }
}

#[test]
fn two_open_ones() {
    let open = |id| says(server(id).open());
    assert_eq!(decided(&open(1), &open(2), Some(1)), "fence n1");
    assert!(decided(&open(1), &open(2), None).starts_with("hold"));
    let used_elsewhere = Said {
        peers: true,
        ..open(1)
    };
    assert!(decided(&used_elsewhere, &open(2), Some(1)).starts_with("hold"));
    let subjects = [progress(&open(1)), progress(&open(2))];
    let subjects: Vec<Subject<'_>> = subjects
        .iter()
        .map(|progress| Subject {
            address: "n",
            database: "baton",
            progress,
        })
        .collect();
    for verdict in judge(
        &subjects,
        Memory {
            schema_version: 1,
            ..Memory::default()
        },
    ) {
        assert_eq!(verdict.ready, Some(false));
        assert!(
            verdict
                .against
                .iter()
                .any(|condition| condition.word.as_str() == "both-writable")
        );
    }
}

#[test]
fn two_closed_ones() {
    let closed = |id, executed: &str| says(server(id).executed(executed));
    let since = Some(NOW - 10_000);
    let same = (closed(1, "1-1-5,2-2-3"), closed(2, "1-1-5,2-2-3"));
    assert!(decided_after(&same.0, &same.1, Some(1), Some(NOW - 9_000)).starts_with("hold"));
    assert_eq!(
        decided_after(&same.0, &same.1, Some(1), since),
        "promote n2"
    );
    assert_eq!(decided_after(&same.0, &same.1, None, since), "promote n1");
    let behind = closed(1, "1-1-4,2-2-3");
    assert_eq!(
        decided_after(&behind, &same.1, Some(0), since),
        "promote n2"
    );
    let forked = closed(1, "1-1-6,2-2-2");
    assert!(decided_after(&forked, &same.1, Some(0), since).starts_with("hold"));
}
