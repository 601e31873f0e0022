//! Policies are replaced while questions are being answered.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use baton_core::policy::Verdict;
use baton_ports::Policies;
use serde_json::json;

use super::fixture::{behind_the_port, block_on, default_policy};
use crate::load::PolicyChoice;
use crate::self_check::assess_question;

const CALLS: u32 = 1_000;

/// Two settings of the default policy that answer the same question differently: each answer must
/// be one or the other, whole.
#[test]
fn under_load_each_answer_is_of_one_policy() {
    let policies = behind_the_port(default_policy());
    let patient = PolicyChoice {
        settings: json!({ "confirmations": 7 }),
        ..PolicyChoice::of(crate::DEFAULT_POLICY)
    };
    let eager = PolicyChoice::of(crate::DEFAULT_POLICY);
    let (done, acted, waited) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let question = assess_question();
    thread::scope(|scope| {
        scope.spawn(|| {
            for choice in [&patient, &eager].into_iter().cycle() {
                policies.reload(choice).expect("reload");
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let ask = || {
            for _ in 0..CALLS / 2 {
                let reply = block_on(policies.assess(&question));
                assert_eq!(reply.fallback, None);
                let codes: Vec<&str> = reply
                    .answer
                    .reasons
                    .iter()
                    .map(|why| why.code.as_str())
                    .collect();
                match reply.answer.verdict {
                    Verdict::Act => {
                        assert_eq!(codes, ["confirmed", "replicas-agree"]);
                        acted.fetch_add(1, Ordering::Relaxed);
                    }
                    Verdict::Wait(_) => {
                        assert_eq!(codes, ["too-few-confirmations"]);
                        waited.fetch_add(1, Ordering::Relaxed);
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let second = scope.spawn(ask);
        ask();
        second.join().expect("asker");
        done.store(true, Ordering::Relaxed);
    });
    let (acted, waited) = (acted.into_inner(), waited.into_inner());
    assert_eq!(acted + waited, CALLS);
    assert!(
        acted > 0 && waited > 0,
        "both policies must have answered: {acted}, {waited}"
    );
}

#[test]
fn a_refused_policy_leaves_the_old_one_in_force() {
    let policies = behind_the_port(default_policy());
    let before = policies.describe();
    let wrong = [
        PolicyChoice::of("builtin:nope"),
        PolicyChoice::of("/nowhere/policy.wasm"),
        PolicyChoice {
            settings: json!({ "nope": 1 }),
            ..PolicyChoice::of(crate::DEFAULT_POLICY)
        },
    ];
    for choice in wrong {
        policies.reload(&choice).expect_err("refused");
        assert_eq!(policies.describe(), before);
        assert_eq!(policies.current().settings(), "{}");
    }
    policies
        .reload(&PolicyChoice::of("builtin:failover-cautious"))
        .expect("fine");
    assert_eq!(
        policies.describe(),
        "failover-cautious@0.1.0 (builtin:failover-cautious)"
    );
}
