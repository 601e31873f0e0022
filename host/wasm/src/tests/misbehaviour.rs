//! A policy that passes its self-check and misbehaves afterwards, through the port: the way it
//! happens in production.

use std::time::Duration;

use baton_core::policy::Verdict;
use baton_ports::Policies;

use super::fixture::{behind_the_port, block_on, default_policy, misbehaving};
use crate::{DEFAULT_POLICY, PolicyChoice, self_check};

#[test]
fn assessments_fall_back_to_the_default() {
    let mut question = self_check::assess_question();
    question.context.decision = "real".into();
    let cases = [
        ("obey", None),
        ("trap", Some("trap")),
        ("spin", Some("fuel")),
        ("allocate", Some("memory")),
        ("flood-log", Some("fuel")),
        ("decline", Some("declined")),
        ("unknown-server", Some("nonsense")),
        ("empty-ask", Some("nonsense")),
        ("huge-answer", Some("malformed")),
    ];
    for (how, expected) in cases {
        let reply = block_on(behind_the_port(misbehaving(how)).assess(&question));
        assert_eq!(
            reply.fallback.as_ref().map(|failure| failure.kind.as_str()),
            expected,
            "{how}"
        );
        let by = if expected.is_none() {
            "failover-misbehaving@0.1.0"
        } else {
            "failover-default@0.1.0"
        };
        assert_eq!(reply.policy, by, "{how}");
        assert_eq!(reply.answer.verdict, Verdict::Act, "{how}");
    }
}

#[test]
fn rankings_fall_back_to_the_default() {
    let mut question = self_check::rank_question();
    question.context.decision = "real".into();
    for (how, text) in [
        (
            "unknown-server",
            "names server 4000000000, which the question does not have",
        ),
        (
            "dead-server",
            "ranks server 0, which is not among the candidates",
        ),
        ("named-twice", "names server 1 twice"),
        (
            "empty-list",
            "ranks nobody and vetoes only 0 of 2 candidates",
        ),
    ] {
        let reply = block_on(behind_the_port(misbehaving(how)).rank(&question));
        let failure = reply.fallback.expect(how);
        assert_eq!(failure.kind, "nonsense", "{how}");
        assert!(failure.text.contains(text), "{how}: {}", failure.text);
        assert_eq!(
            reply.answer.order.first().map(|ranked| ranked.server),
            Some(1),
            "{how}"
        );
    }
}

#[test]
fn a_panic_is_explained_in_the_log() {
    let mut question = self_check::assess_question();
    question.context.decision = "real".into();
    let reply = block_on(behind_the_port(misbehaving("trap")).assess(&question));
    assert!(
        reply.log.iter().any(|line| line.contains("told to trap")),
        "{:?}",
        reply.log
    );
}

/// Nothing stands behind the default, so what is left then is to do nothing, or to take the most
/// advanced candidate.
#[test]
fn without_any_policy_nothing_is_done() {
    let mut broken = default_policy();
    broken.limits.fuel = 1;
    broken.limits.fuel_per_server = 0;
    let policies = crate::WasmPolicies(crate::registry::Registry::with(
        super::fixture::engine(),
        broken.clone(),
        broken,
    ));
    let reply = block_on(policies.assess(&self_check::assess_question()));
    assert_eq!(
        (reply.answer.verdict, reply.policy.as_str()),
        (Verdict::Hold, "none")
    );
    assert_eq!(
        reply.fallback.map(|failure| failure.kind),
        Some("fuel".to_owned())
    );
    let reply = block_on(policies.rank(&self_check::rank_question()));
    let order: Vec<u32> = reply
        .answer
        .order
        .iter()
        .map(|ranked| ranked.server)
        .collect();
    assert_eq!(order, [1, 2]);
}

#[test]
fn an_operator_sets_the_deadline() {
    let mut spinning = misbehaving("spin");
    spinning.limits.fuel = u64::MAX;
    let policies = behind_the_port(spinning).with_deadline(Duration::from_millis(15));
    let mut question = self_check::assess_question();
    question.context.decision = "real".into();
    let reply = block_on(policies.assess(&question));
    let failure = reply.fallback.expect("endless");
    assert_eq!(
        (failure.kind.as_str(), failure.text.as_str()),
        ("deadline", "the policy gave no answer within 15ms")
    );
    policies
        .reload(&PolicyChoice::of("builtin:failover-cautious"))
        .expect("fine");
    assert_eq!(
        policies.current().limits.deadline,
        Duration::from_millis(15)
    );
    policies
        .reload(&PolicyChoice::of(DEFAULT_POLICY))
        .expect("fine");
    assert_ne!(
        policies.current().limits.deadline,
        Duration::from_millis(15)
    );
}
