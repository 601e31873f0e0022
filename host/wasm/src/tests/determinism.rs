//! The same question gets the same answer for the same work, and a record of it says the same.

use super::fixture::{cautious_policy, default_policy};
use crate::record;
use crate::self_check::{assess_question, rank_question};

fn records() -> [String; 2] {
    [
        record::assess_question_json(&assess_question()).expect("written"),
        record::rank_question_json(&rank_question()).expect("written"),
    ]
}

#[test]
fn same_bytes_and_same_fuel_twice() {
    assert_eq!(records(), records());
    for policy in [default_policy(), cautious_policy()] {
        for recorded in records() {
            let first = record::replay(&policy, &recorded).expect("replayed");
            let second = record::replay(&policy, &recorded).expect("replayed");
            assert_eq!(first, second);
            assert!(first.answer.is_ok() && first.fuel > 1_000, "{first:?}");
        }
    }
}

#[test]
fn a_replay_gives_the_recorded_answer() {
    use baton_ports::Policies;
    let policies = super::fixture::behind_the_port(default_policy());
    let [assess, rank] = records();
    let answer = super::fixture::block_on(policies.assess(&assess_question())).answer;
    let recorded = record::assessment_json(&answer).expect("written");
    assert_eq!(
        record::replay(&default_policy(), &assess)
            .expect("replayed")
            .answer,
        Ok(recorded)
    );
    let answer = super::fixture::block_on(policies.rank(&rank_question())).answer;
    let recorded = record::ranking_json(&answer).expect("written");
    assert_eq!(
        record::replay(&default_policy(), &rank)
            .expect("replayed")
            .answer,
        Ok(recorded)
    );
}

#[test]
fn another_policy_answers_a_recorded_question_differently() {
    let [assess, _] = records();
    let by_default = record::replay(&default_policy(), &assess).expect("replayed");
    let cautiously = record::replay(&cautious_policy(), &assess).expect("replayed");
    assert_ne!(by_default.answer, cautiously.answer);
}

#[test]
fn foreign_records_are_refused() {
    let [assess, _] = records();
    let newer = assess.replacen("baton:policy@0.1.0", "baton:policy@0.2.0", 1);
    let error = record::replay(&default_policy(), &newer)
        .expect_err("other contract")
        .to_string();
    assert!(error.contains("baton:policy@0.2.0"), "{error}");
    let unknown = assess.replacen("\"contract\"", "\"surprise\":1,\"contract\"", 1);
    assert!(record::replay(&default_policy(), &unknown).is_err());
    assert!(record::replay(&default_policy(), "{").is_err());
}
