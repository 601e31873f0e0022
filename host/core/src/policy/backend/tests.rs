//! Tables of what is admitted and what is accepted.

use super::*;
use crate::policy::{AnswerProblem, Reach};

fn node(backend: &str, ready: Option<bool>, words: &[&str]) -> BackendNode {
    BackendNode {
        id: format!("{backend}/db:3306"),
        address: "db:3306".into(),
        backend: backend.into(),
        kind: BackendKind::Galera,
        probe: ProbeView {
            state: Reach::Answering,
            failure: None,
            error_number: None,
            answered_age: Some(5),
            attempt_age: Some(5),
            failures: 0,
            successes: 1,
            round_trip_us: Some(300),
        },
        peers: Vec::new(),
        used_by: 0,
        ready,
        not_ready: words.iter().map(|&word| word.to_owned()).collect(),
        proof_age: None,
        proof_ok: None,
        ready_for: Some(1_000),
        members: None,
        members_seen: None,
        epoch_behind: Some(0),
        facts: Vec::new(),
        tags: Vec::new(),
    }
}

/// Nodes 0 and 1 are admitted, the others are not, each for another reason.
fn question() -> SelectQuestion {
    SelectQuestion {
        nodes: vec![
            node("a", Some(true), &[]),
            node("a", Some(true), &["donor"]),
            node("a", Some(false), &["joining"]),
            node("a", None, &[]),
            node("a", Some(true), &[BOTH_WRITABLE]),
            node("b", Some(true), &[OTHER_BACKEND_STATE]),
            node("a", Some(false), &[]),
        ],
        ..SelectQuestion::default()
    }
}

fn answer(chosen: Option<u32>, usable: &[u32]) -> Selection {
    Selection {
        chosen,
        usable: usable.to_vec(),
        reasons: Vec::new(),
    }
}

#[test]
fn objections() {
    let word = |word: &str| Some(Objection::Word(word.into()));
    let expected = [
        None,
        None,
        word("joining"),
        Some(Objection::NotKnown),
        word(BOTH_WRITABLE),
        word(OTHER_BACKEND_STATE),
        Some(Objection::NotReady),
    ];
    let found: Vec<_> = question().nodes.iter().map(objection).collect();
    assert_eq!(found, expected);
}

/// A whole cluster may have lost commits; then it is used as it is. A change to an older history is
/// refused while a newer one is there.
#[test]
fn an_older_history_is_the_last_resort() {
    let of = |behind: Option<u32>| BackendNode {
        epoch_behind: behind,
        ..node("a", Some(true), &[])
    };
    let (new, old, unknown) = (|| of(Some(0)), || of(Some(3)), || of(None));
    let down = || node("a", Some(false), &["joining"]);
    for (nodes, current, chosen, refused) in [
        (vec![old(), new()], None, 0, true),
        (vec![old(), new()], Some(1), 0, true),
        (vec![old(), new()], Some(0), 0, false),
        (vec![old(), new()], Some(0), 1, false),
        (vec![old(), old()], None, 0, false),
        (vec![old(), down()], Some(1), 0, false),
        (vec![old(), unknown()], None, 1, false),
    ] {
        let asked = SelectQuestion {
            nodes,
            current,
            ..SelectQuestion::default()
        };
        let given = answer(Some(chosen), &[chosen]);
        let expected = if refused {
            Err(AnswerProblem::ChosenIsBehind(chosen))
        } else {
            Ok(given.clone())
        };
        assert_eq!(check_selection(&asked, given), expected, "{asked:?}");
        let own = first_ready(&asked);
        assert_eq!(check_selection(&asked, own.clone()), Ok(own));
    }
}

#[test]
fn answers_narrow_and_order() {
    for accepted in [
        answer(None, &[]),
        answer(Some(0), &[0]),
        answer(Some(1), &[1]),
        answer(Some(1), &[1, 0]),
        answer(Some(0), &[1, 0]),
    ] {
        assert_eq!(check_selection(&question(), accepted.clone()), Ok(accepted));
    }
}

#[test]
fn answers_never_widen() {
    let refused = |index: u32| AnswerProblem::NodeNotAdmitted {
        node: index,
        why: objection(&question().nodes[index as usize]).expect("not admitted"),
    };
    let mut table = vec![
        (answer(Some(9), &[9]), AnswerProblem::UnknownNode(9)),
        (
            answer(Some(u32::MAX), &[u32::MAX]),
            AnswerProblem::UnknownNode(u32::MAX),
        ),
        (answer(Some(0), &[0, 0]), AnswerProblem::NodeNamedTwice(0)),
        (answer(Some(1), &[0]), AnswerProblem::ChosenNotUsable(1)),
        (answer(Some(2), &[0]), AnswerProblem::ChosenNotUsable(2)),
        (
            answer(None, &[0, 1]),
            AnswerProblem::NothingChosen { usable: 2 },
        ),
    ];
    for index in 2..7 {
        table.push((answer(Some(index), &[index]), refused(index)));
        table.push((answer(Some(0), &[0, index]), refused(index)));
    }
    for (given, problem) in table {
        assert_eq!(check_selection(&question(), given), Err(problem));
    }
}

#[test]
fn reasons_name_nodes_of_the_question_and_are_cut() {
    let reason = |about: &[u32], text: &str| Reason {
        code: "c".into(),
        text: text.into(),
        about: about.to_vec(),
    };
    let mut given = answer(Some(0), &[0]);
    given.reasons = vec![reason(&[9], "")];
    assert_eq!(
        check_selection(&question(), given.clone()),
        Err(AnswerProblem::UnknownNode(9))
    );
    given.reasons = vec![reason(&[2], "a\u{7}b")];
    let accepted = check_selection(&question(), given).expect("accepted");
    assert_eq!(accepted.reasons[0].text, "a b");
}

#[test]
fn without_a_selector_the_node_in_use_stays() {
    for (current, chosen, usable) in [
        (None, Some(0), vec![0, 1]),
        (Some(0), Some(0), vec![0, 1]),
        (Some(1), Some(1), vec![1, 0]),
        (Some(5), Some(0), vec![0, 1]),
        (Some(99), Some(0), vec![0, 1]),
    ] {
        let asked = SelectQuestion {
            current,
            ..question()
        };
        let answer = first_ready(&asked);
        assert_eq!((answer.chosen, answer.usable.clone()), (chosen, usable));
        assert_eq!(check_selection(&asked, answer.clone()), Ok(answer));
    }
    let mut nothing = question();
    nothing.nodes.drain(..2);
    let answer = first_ready(&nothing);
    assert_eq!((answer.chosen, answer.usable.as_slice()), (None, &[][..]));
}

#[test]
fn state_stays_in_its_backend() {
    let fleet = || SelectQuestion {
        nodes: vec![
            node("a", Some(true), &[]),
            node("b", Some(true), &[]),
            node("c", Some(true), &[]),
        ],
        ..SelectQuestion::default()
    };
    let admitted = |holder: Option<&str>, movable: &str| -> Vec<bool> {
        let mut question = fleet();
        confine(&mut question, holder, |backend| backend == movable);
        question
            .nodes
            .iter()
            .map(|node| objection(node).is_none())
            .collect()
    };
    assert_eq!(admitted(None, ""), [true, true, true]);
    assert_eq!(admitted(Some("a"), ""), [true, false, false]);
    assert_eq!(admitted(Some("a"), "c"), [true, false, true]);
    assert_eq!(admitted(Some("gone"), ""), [false, false, false]);
}
