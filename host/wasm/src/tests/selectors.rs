//! The built-in selectors, asked through the runtime: which node, why, and when they change it.

use baton_core::policy::Reach;
use baton_core::policy::backend::{
    BackendKind, BackendNode, OTHER_BACKEND_STATE, SelectQuestion, Selection,
};
use baton_ports::Selectors;
use serde_json::{Value, json};

use super::fixture::{block_on, builtin_selector, selector_behind_the_port, with_settings};
use crate::question::Question as _;
use crate::self_check;

const FIRST: &str = "backend-first";
const SYNCHRONOUS: &str = "backend-prefer-synchronous";
const NEAREST: &str = "backend-nearest";

const MINUTE: u32 = 60_000;
const HOUR: u32 = 60 * MINUTE;

/// Ready for an hour.
fn node(backend: &str, kind: BackendKind) -> BackendNode {
    let pattern = self_check::select_question().nodes.remove(1);
    BackendNode {
        backend: backend.into(),
        kind,
        id: format!("{backend}/db"),
        ready_for: Some(HOUR),
        ..pattern
    }
}

fn down(mut node: BackendNode, word: &str) -> BackendNode {
    node.ready = Some(false);
    node.not_ready = vec![word.into()];
    node.ready_for = None;
    node
}

fn ready_for(mut node: BackendNode, time: u32) -> BackendNode {
    node.ready_for = Some(time);
    node
}

fn ask(nodes: Vec<BackendNode>, current: Option<u32>) -> SelectQuestion {
    let mut question = self_check::select_question();
    for (index, node) in nodes.into_iter().enumerate() {
        let id = format!("{}{index}", node.id);
        let node = BackendNode { id, ..node };
        if index == 0 {
            question.nodes.clear();
        }
        question.nodes.push(node);
    }
    question.current = current;
    question.current_for = current.map(|_| HOUR);
    question
}

fn answer(name: &'static str, settings: &Value, question: &SelectQuestion) -> Selection {
    let selector = with_settings(&builtin_selector(name), settings).expect("settings");
    let reply = block_on(selector_behind_the_port(selector).select(question));
    assert_eq!(reply.fallback, None, "{:?}", reply.log);
    reply.answer
}

/// The choice, and the code of the first reason.
fn choice(
    name: &'static str,
    settings: &Value,
    question: &SelectQuestion,
) -> (Option<u32>, String) {
    let answer = answer(name, settings, question);
    let code = answer.reasons.first().map(|why| why.code.clone());
    (answer.chosen, code.unwrap_or_default())
}

fn check(name: &'static str, table: Vec<(&str, Value, SelectQuestion, Option<u32>, &str)>) {
    for (case, settings, question, chosen, code) in table {
        let found = choice(name, &settings, &question);
        assert_eq!(found, (chosen, code.to_owned()), "{name}: {case}");
    }
}

#[test]
fn first_takes_the_first_and_stays() {
    let galera = || node("g", BackendKind::Galera);
    let mut both = galera();
    both.not_ready = vec!["both-writable".into()];
    let behind = || {
        let mut behind = galera();
        behind.epoch_behind = Some(1);
        behind
    };
    let mut lying = galera();
    lying.proof_ok = Some(false);
    let none = || json!({});
    check(
        FIRST,
        vec![
            (
                "at start",
                none(),
                ask(vec![galera(), galera()], None),
                Some(0),
                "takes-first",
            ),
            (
                "never back",
                none(),
                ask(vec![galera(), galera()], Some(1)),
                Some(1),
                "stays",
            ),
            (
                "current down",
                none(),
                ask(vec![galera(), galera(), down(galera(), "silent")], Some(2)),
                Some(0),
                "takes-first",
            ),
            (
                "a donor that is ready is used",
                none(),
                ask(
                    vec![down(galera(), "joining"), {
                        let mut donor = galera();
                        donor.not_ready = vec!["donor".into()];
                        donor
                    }],
                    None,
                ),
                Some(1),
                "takes-first",
            ),
            (
                "both writable",
                none(),
                ask(vec![both.clone(), both], Some(0)),
                None,
                "no-node-fit",
            ),
            (
                "an older history is left out",
                none(),
                ask(vec![behind(), galera()], None),
                Some(1),
                "takes-first",
            ),
            (
                "but not left",
                none(),
                ask(vec![behind(), galera()], Some(0)),
                Some(0),
                "stays",
            ),
            (
                "nor is a cluster that lost commits",
                none(),
                ask(vec![behind(), behind()], None),
                Some(0),
                "takes-first",
            ),
            (
                "status lies, proof does not",
                none(),
                ask(vec![lying, galera()], Some(0)),
                Some(1),
                "takes-first",
            ),
            (
                "nobody",
                none(),
                ask(
                    vec![down(galera(), "silent"), down(galera(), "no-quorum")],
                    Some(0),
                ),
                None,
                "no-node-fit",
            ),
            (
                "a settled one before one that just came",
                none(),
                ask(vec![ready_for(galera(), 100), galera()], None),
                Some(1),
                "takes-first",
            ),
            (
                "but one that just came before none",
                none(),
                ask(
                    vec![ready_for(galera(), 100), down(galera(), "silent")],
                    None,
                ),
                Some(0),
                "takes-first",
            ),
        ],
    );
}

#[test]
fn first_goes_back_late_and_seldom() {
    let galera = || node("g", BackendKind::Galera);
    let five = json!({ "return-after-ms": 5 * MINUTE });
    let back = |ready: u32, changes: u32, here_for: u32| {
        let mut question = ask(vec![ready_for(galera(), ready), galera()], Some(1));
        question.changes = changes;
        question.current_for = Some(here_for);
        question
    };
    check(
        FIRST,
        vec![
            (
                "ready long enough",
                five.clone(),
                back(5 * MINUTE, 0, HOUR),
                Some(0),
                "goes-to-better",
            ),
            (
                "not yet",
                five.clone(),
                back(5 * MINUTE - 1, 0, HOUR),
                Some(1),
                "stays",
            ),
            (
                "just came here",
                five.clone(),
                back(HOUR, 0, MINUTE),
                Some(1),
                "stays",
            ),
            (
                "changed often",
                five.clone(),
                back(HOUR, 4, HOUR),
                Some(1),
                "stays",
            ),
            (
                "off",
                json!({ "return-after-ms": null }),
                back(HOUR, 0, HOUR),
                Some(1),
                "stays",
            ),
        ],
    );
    let reasons = answer(FIRST, &five, &back(1_000, 0, HOUR)).reasons;
    assert_eq!(reasons[1].code, "not-yet");
    assert!(
        reasons[1]
            .text
            .contains("it has been ready for 1000 of 300000 ms"),
        "{}",
        reasons[1].text
    );
}

#[test]
fn a_node_that_refuses_statements_is_left_if_there_is_another() {
    let galera = || node("g", BackendKind::Galera);
    let refusing = |nodes, count| {
        let mut question = ask(nodes, Some(0));
        question.failures = vec![("unknown-outcome".into(), 9), ("refused".into(), count)];
        question
    };
    let two = || vec![galera(), galera()];
    check(
        FIRST,
        vec![
            ("few", json!({}), refusing(two(), 2), Some(0), "stays"),
            (
                "many",
                json!({}),
                refusing(two(), 3),
                Some(1),
                "takes-first",
            ),
            (
                "no other",
                json!({}),
                refusing(vec![galera()], 3),
                Some(0),
                "stays",
            ),
            (
                "off",
                json!({ "refusals": null }),
                refusing(two(), 3),
                Some(0),
                "stays",
            ),
        ],
    );
    let left = answer(FIRST, &json!({}), &refusing(two(), 3));
    assert_eq!(left.usable, [1, 0], "the refusing one is the last resort");
}

#[test]
fn synchronous_before_asynchronous() {
    let pair = || node("pair", BackendKind::MasterMaster);
    let galera = || node("galera", BackendKind::Galera);
    let ndb = || node("ndb", BackendKind::Ndb);
    let group = || node("group", BackendKind::GroupReplication);
    let none = || json!({});
    check(
        SYNCHRONOUS,
        vec![
            (
                "NDB",
                none(),
                ask(vec![pair(), ndb(), galera()], None),
                Some(1),
                "takes-first",
            ),
            (
                "Galera",
                none(),
                ask(vec![pair(), galera(), ndb()], None),
                Some(1),
                "takes-first",
            ),
            (
                "group",
                none(),
                ask(vec![pair(), group()], None),
                Some(1),
                "takes-first",
            ),
            (
                "only the pair is left",
                none(),
                ask(
                    vec![
                        pair(),
                        down(ndb(), "no-data-nodes"),
                        down(galera(), "no-quorum"),
                    ],
                    Some(1),
                ),
                Some(0),
                "takes-first",
            ),
            (
                "back to NDB",
                none(),
                ask(vec![pair(), ndb()], Some(0)),
                Some(1),
                "goes-to-better",
            ),
            (
                "not yet",
                none(),
                ask(vec![pair(), ready_for(ndb(), MINUTE)], Some(0)),
                Some(0),
                "stays",
            ),
            (
                "no change among equals",
                none(),
                ask(vec![ndb(), galera()], Some(1)),
                Some(1),
                "stays",
            ),
        ],
    );
    let why = answer(SYNCHRONOUS, &none(), &ask(vec![pair(), ndb()], None)).reasons;
    assert!(
        why[0].text.contains("ndb, which is synchronous"),
        "{}",
        why[0].text
    );
}

/// Another backend holds other data: it is no choice, however healthy, until the host says that the
/// state is there.
#[test]
fn state_elsewhere_is_no_choice() {
    let elsewhere = |kind| {
        let mut node = down(node("other", kind), OTHER_BACKEND_STATE);
        node.ready_for = Some(HOUR);
        node
    };
    let pair = || node("pair", BackendKind::MasterMaster);
    for name in [FIRST, SYNCHRONOUS, NEAREST] {
        let nodes = vec![
            elsewhere(BackendKind::Ndb),
            elsewhere(BackendKind::Galera),
            pair(),
        ];
        let answered = answer(name, &json!({}), &ask(nodes, Some(2)));
        assert_eq!(
            (answered.chosen, answered.usable.as_slice()),
            (Some(2), &[2][..])
        );
        let nodes = vec![elsewhere(BackendKind::Ndb), down(pair(), "silent")];
        let answered = answer(name, &json!({}), &ask(nodes, Some(1)));
        assert_eq!(answered.chosen, None, "{name}");
        assert!(
            answered
                .reasons
                .iter()
                .any(|why| why.code == "state-is-elsewhere"),
            "{:?}",
            answered.reasons
        );
    }
}

fn placed(zone: &str, round_trip_us: u32) -> BackendNode {
    let mut placed = node("g", BackendKind::Galera);
    placed.tags = vec![("zone".into(), zone.into())];
    placed.probe.state = Reach::Answering;
    placed.probe.round_trip_us = Some(round_trip_us);
    placed
}

#[test]
fn nearest_by_zone_then_round_trip() {
    let zone_b = || json!({ "self-zone": "b" });
    let told = |nodes, current| {
        let mut question = ask(nodes, current);
        question.extra = vec![("self-zone".into(), "b".into())];
        question
    };
    let nodes = || vec![placed("a", 100), placed("b", 900), placed("b", 400)];
    let mut fresh = placed("b", 400);
    fresh.ready_for = Some(MINUTE);
    check(
        NEAREST,
        vec![
            (
                "setting",
                zone_b(),
                ask(nodes(), None),
                Some(2),
                "takes-first",
            ),
            (
                "told by the host",
                json!({}),
                told(nodes(), None),
                Some(2),
                "takes-first",
            ),
            (
                "the setting counts",
                json!({ "self-zone": "a" }),
                told(nodes(), None),
                Some(0),
                "takes-first",
            ),
            (
                "zone unknown",
                json!({}),
                ask(nodes(), None),
                Some(0),
                "takes-first",
            ),
            (
                "home to the zone",
                zone_b(),
                ask(nodes(), Some(0)),
                Some(2),
                "goes-to-better",
            ),
            (
                "not yet",
                zone_b(),
                ask(vec![placed("a", 100), fresh], Some(0)),
                Some(0),
                "stays",
            ),
            (
                "never out of the zone",
                zone_b(),
                ask(vec![placed("a", 100), placed("b", 90_000)], Some(1)),
                Some(1),
                "stays",
            ),
        ],
    );
}

/// Round trips of 300 to 1,900 µs are noise; 40 ms against 1 ms is another place.
#[test]
fn jitter_does_not_flap() {
    let table = [
        (1_900, 300, 0),
        (300, 1_900, 0),
        (6_000, 4_100, 0),
        (40_000, 25_000, 0),
        (40_000, 1_000, 1),
    ];
    for (here, other, expected) in table {
        let question = ask(vec![placed("x", here), placed("x", other)], Some(0));
        let (chosen, _) = choice(NEAREST, &json!({}), &question);
        assert_eq!(chosen, Some(expected), "{here} µs here, {other} µs there");
    }
    let mut often = ask(vec![placed("x", 40_000), placed("x", 1_000)], Some(0));
    often.changes = 4;
    assert_eq!(choice(NEAREST, &json!({}), &often).0, Some(0));
}

#[test]
fn a_zone_is_a_text() {
    let wrong = json!({ "self-zone": 3 });
    let refused = with_settings(&builtin_selector(NEAREST), &wrong).expect_err("refused");
    assert!(
        refused
            .to_string()
            .contains("/self-zone: must be a text, not 3"),
        "{refused}"
    );
}

#[test]
fn costly_facts_come_to_those_that_want_them() {
    let mut question = self_check::select_question();
    question.nodes[0].facts = vec![("wsrep_ready".into(), "ON".into())];
    question.nodes[0].tags = vec![("zone".into(), "a".into())];
    for (wants, facts, tags) in [
        (&[][..], 0, 0),
        (&["tags"], 0, 1),
        (&["facts"], 1, 0),
        (&["tags", "facts"], 1, 1),
    ] {
        let wants: Vec<String> = wants.iter().map(|&want| want.to_owned()).collect();
        let node = question.to_contract(&wants).nodes.remove(0);
        assert_eq!(
            (node.facts.len(), node.tags.len()),
            (facts, tags),
            "{wants:?}"
        );
    }
}
