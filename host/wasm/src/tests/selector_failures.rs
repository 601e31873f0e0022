//! Selectors that misbehave, and components of the wrong world, through the port: the way it
//! happens in production.

use baton_core::policy::backend::SelectQuestion;
use baton_ports::Selectors;
use serde_json::json;

use super::fixture::{
    block_on, builtin_selector, default_policy, engine, misbehaving_selector, root,
    selector_behind_the_port, with_settings,
};
use crate::load::{LoadError, load};
use crate::registry::Registry;
use crate::{DEFAULT_POLICY, DEFAULT_SELECTOR, PolicyChoice, World, record, self_check};

fn question() -> SelectQuestion {
    let mut question = self_check::select_question();
    question.context.decision = "real".into();
    question
}

#[test]
fn selections_fall_back_to_the_default() {
    let cases = [
        ("obey", None, ""),
        ("trap", Some("trap"), ""),
        ("spin", Some("fuel"), ""),
        ("decline", Some("declined"), "told to decline"),
        (
            "unknown-node",
            Some("nonsense"),
            "names node 4000000000, which the question does not have",
        ),
        (
            "every-node",
            Some("nonsense"),
            "calls node 0 usable, which it is not: silent",
        ),
        ("named-twice", Some("nonsense"), "names node 2 twice"),
        (
            "unlisted",
            Some("nonsense"),
            "chooses node 2 and does not call it usable",
        ),
        (
            "no-choice",
            Some("nonsense"),
            "calls 2 nodes usable and chooses none",
        ),
        ("unknown-reason", Some("nonsense"), "names node 4294967295"),
    ];
    for (how, kind, text) in cases {
        let selectors = selector_behind_the_port(misbehaving_selector(how));
        let reply = block_on(selectors.select(&question()));
        let failure = reply.fallback.as_ref();
        assert_eq!(failure.map(|failure| failure.kind.as_str()), kind, "{how}");
        assert!(
            failure.is_none_or(|failure| failure.text.contains(text)),
            "{how}: {failure:?}"
        );
        // The one that obeys takes the last ready node, the default the first.
        let (by, chosen) = if kind.is_none() {
            ("backend-misbehaving@0.1.0", 2)
        } else {
            ("backend-first@0.1.0", 1)
        };
        assert_eq!(
            (reply.policy.as_str(), reply.answer.chosen),
            (by, Some(chosen)),
            "{how}"
        );
    }
}

/// Nothing stands behind the default but the core's own rule.
#[test]
fn without_any_selector_the_first_ready_node_is_taken() {
    let mut broken = builtin_selector("backend-first");
    broken.limits.fuel = 1;
    broken.limits.fuel_per_server = 0;
    let selectors = crate::WasmSelectors(Registry::with(engine(), broken.clone(), broken));
    let reply = block_on(selectors.select(&question()));
    assert_eq!(reply.policy, "none");
    assert_eq!(reply.answer.chosen, Some(1));
    assert_eq!(reply.answer.reasons[0].code, "no-selector-answers");
    assert_eq!(
        reply.fallback.map(|failure| failure.kind),
        Some("fuel".to_owned())
    );
}

#[test]
fn a_component_of_the_other_world_is_refused() {
    for (plugin, needed, text) in [
        (
            DEFAULT_POLICY,
            World::BackendSelector,
            "made for the world failover-policy; backend-selector is needed here",
        ),
        (
            DEFAULT_SELECTOR,
            World::FailoverPolicy,
            "made for the world backend-selector; failover-policy is needed here",
        ),
    ] {
        let refused = load(&engine(), &PolicyChoice::of(plugin), Some(needed));
        let error = refused.expect_err("refused");
        assert!(matches!(error, LoadError::OtherWorld { .. }));
        assert!(error.to_string().contains(text), "{error}");
    }
    let unknown = load(
        &engine(),
        &PolicyChoice::of("builtin:nope"),
        Some(World::BackendSelector),
    );
    let text = unknown.expect_err("refused").to_string();
    assert!(
        text.ends_with("there are backend-first, backend-prefer-synchronous, backend-nearest"),
        "{text}"
    );
}

#[test]
fn reload_replaces_or_leaves() {
    let selectors = selector_behind_the_port(builtin_selector("backend-first"));
    for wrong in [
        PolicyChoice::of(DEFAULT_POLICY),
        PolicyChoice::of("/nowhere/selector.wasm"),
        PolicyChoice {
            settings: json!({ "settle-ms": "soon" }),
            ..PolicyChoice::of(DEFAULT_SELECTOR)
        },
    ] {
        selectors.reload(&wrong).expect_err("refused");
        assert_eq!(
            selectors.describe(),
            "backend-first@0.1.0 (builtin:backend-first)"
        );
    }
    let file = root().join("plugins/prebuilt/backend-nearest.wasm");
    let file = file.to_string_lossy();
    selectors
        .reload(&PolicyChoice::of(file.clone()))
        .expect("fine");
    assert_eq!(
        selectors.describe(),
        format!("backend-nearest@0.1.0 ({file})")
    );
}

#[test]
fn recorded_selections_are_repeated_to_the_byte() {
    let recorded = record::select_question_json(&question()).expect("JSON");
    let selector = with_settings(
        &builtin_selector("backend-prefer-synchronous"),
        &json!({ "settle-ms": 0 }),
    );
    let selector = selector.expect("settings");
    let first = record::replay(&selector, &recorded).expect("replay");
    assert_eq!(first, record::replay(&selector, &recorded).expect("replay"));
    let answered = block_on(selector_behind_the_port(selector).select(&question()));
    let text = record::selection_json(&answered.answer).expect("JSON");
    assert_eq!(first.answer, Ok(text));
    let asked_of_another = record::replay(&default_policy(), &recorded).expect("replay");
    assert!(
        asked_of_another
            .answer
            .is_err_and(|failure| failure.kind() == "declined")
    );
}
