//! Components that break every rule, one each, and what becomes of them.

use std::time::{Duration, Instant};

use baton_ports::Policies;

use super::fixture::{behind_the_port, block_on, hostile};
use crate::bindings::failover;
use crate::call::{CallFailure, Called};
use crate::convert;
use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};
use crate::load::LoadError;
use crate::policy::Policy;
use crate::question::Question;
use crate::self_check::{assess_question, rank_question};

fn assess(policy: &Policy) -> Called<failover::Assessment> {
    policy.call_assess(&convert::assess_question(&assess_question()))
}

/// What the component does when it is asked `assess`: the kind of failure and its text, or the
/// verdict.
fn outcome(name: &str) -> String {
    match assess(&hostile(name).expect(name)).answer {
        Ok(answer) => format!("{:?}", answer.verdict),
        Err(failure) => format!("{}: {failure}", failure.kind()),
    }
}

#[test]
fn each_is_contained_and_named() {
    let cases = [
        ("obedient", "Verdict::Act"),
        (
            "trap",
            "trap: the policy trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "stack",
            "trap: the policy trapped: wasm trap: call stack exhausted",
        ),
        (
            "spin",
            "fuel: the policy used up its limit of 20060000 units of work",
        ),
        (
            "spin-start",
            "fuel: the policy used up its limit of 20060000 units of work",
        ),
        (
            "spin-realloc",
            "fuel: the policy used up its limit of 20060000 units of work",
        ),
        // Refused memory, it goes on without.
        ("memory", "Verdict::Act"),
        (
            "memory-initial",
            "memory: the policy needs more than its limit of 67108864 bytes of memory",
        ),
        (
            "huge-answer",
            "malformed: the policy's answer is malformed: too much data is being copied",
        ),
        (
            "log-huge-line",
            "malformed: the policy's answer is malformed: too much data is being copied",
        ),
        (
            "huge-list",
            "malformed: the policy's answer is malformed: list pointer/length out of bounds",
        ),
        (
            "bad-pointer",
            "malformed: the policy's answer is malformed: string pointer/length out of bounds",
        ),
        (
            "bad-return",
            "malformed: the policy's answer is malformed: pointer out of bounds of memory",
        ),
        (
            "bad-realloc",
            "malformed: the policy's answer is malformed: realloc return: beyond end of memory",
        ),
        (
            "bad-utf8",
            "malformed: the policy's answer is malformed: invalid utf-8 sequence",
        ),
        (
            "bad-variant",
            "malformed: the policy's answer is malformed: unexpected discriminant: 9",
        ),
        // Not a NaN with the sign of this machine's processor, which would make it 1023.
        ("nan", "Verdict::Wait(511)"),
    ];
    for (name, expected) in cases {
        let seen = outcome(name);
        assert!(
            seen.starts_with(expected),
            "{name}: expected {expected:?}, saw {seen:?}"
        );
    }
}

#[test]
fn metadata_is_bounded_too() {
    let called = hostile("spin-metadata").expect("loads").call_metadata();
    assert_eq!(called.answer, Err(CallFailure::Fuel(20_000_000)));
}

#[test]
fn a_huge_table_is_refused_when_it_is_loaded() {
    let refused = hostile("table").expect_err("50 million entries");
    assert!(
        matches!(&refused, LoadError::Unlinkable(text) if text.contains("table")),
        "{refused}"
    );
}

#[test]
fn a_deadline_ends_what_fuel_does_not_see() {
    let mut policy = hostile("log-flood").expect("loads");
    policy.limits.deadline = Duration::from_millis(20);
    let begun = Instant::now();
    let called = assess(&policy);
    assert_eq!(called.answer.expect_err("endless").kind(), "deadline");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        begun.elapsed()
    );
    assert_eq!(called.log.len(), LOG_LINES_MAX + 1);
    assert!(
        called
            .log
            .iter()
            .all(|line| line.len() <= LOG_LINE_BYTES_MAX + 16)
    );
    assert!(
        called
            .log
            .last()
            .expect("lines")
            .contains("more lines were dropped")
    );
}

#[test]
fn a_deadline_ends_a_spin_when_fuel_is_plenty() {
    for name in ["spin", "spin-start", "spin-realloc"] {
        let mut policy = hostile(name).expect("loads");
        policy.limits.fuel = u64::MAX;
        policy.limits.deadline = Duration::from_millis(20);
        assert_eq!(
            assess(&policy).answer.expect_err("endless").kind(),
            "deadline",
            "{name}"
        );
    }
}

#[test]
fn no_state_survives_a_call() {
    let policy = hostile("counter").expect("loads");
    for _ in 0..3 {
        let verdict = assess(&policy).answer.expect("answers").verdict;
        assert!(matches!(verdict, failover::Verdict::Act), "{verdict:?}");
    }
}

#[test]
fn a_well_formed_lie_is_found_by_the_check() {
    let question = rank_question();
    let policy = hostile("unknown-server").expect("loads");
    let answer = policy
        .call_rank(&convert::rank_question(&question))
        .answer
        .expect("decodes");
    let failure = question.accept(answer).expect_err("server 4000000000");
    assert_eq!(failure.kind(), "nonsense");
    assert!(failure.to_string().contains("4000000000"), "{failure}");
}

#[test]
fn the_default_answers_instead_and_the_failure_is_reported() {
    let question = assess_question();
    for (name, kind) in [
        ("trap", "trap"),
        ("spin", "fuel"),
        ("stack", "trap"),
        ("memory-initial", "memory"),
        ("huge-answer", "malformed"),
        ("bad-utf8", "malformed"),
    ] {
        let policies = behind_the_port(hostile(name).expect("loads"));
        let reply = block_on(policies.assess(&question));
        let failure = reply.fallback.expect(name);
        assert_eq!(failure.kind, kind, "{name}");
        assert_eq!(reply.policy, "failover-default@0.1.0", "{name}");
        assert!(!reply.answer.reasons.is_empty(), "{name}");
    }
}
