//! Settings are validated by the policy, all problems at once.

use serde_json::json;

use super::fixture::{builtin_selector, cautious_policy, default_policy, with_settings};
use crate::load::LoadError;

fn problems(settings: &serde_json::Value) -> Vec<String> {
    match with_settings(&default_policy(), settings) {
        Err(LoadError::Settings { problems, policy }) => {
            assert_eq!(policy, "failover-default");
            problems.iter().map(ToString::to_string).collect()
        }
        other => panic!("expected problems, saw {other:?}"),
    }
}

#[test]
fn every_problem_is_listed() {
    let wrong = json!({
        "silence-ms": -1, "cross-region": "never", "confirmations": "two", "mass-failure-percent": 101,
        "silence_ms": 5, "a/b": 1
    });
    let found = problems(&wrong);
    let all = found.join("\n");
    assert_eq!(found.len(), 6, "{all}");
    assert!(
        all.contains("/silence-ms: must be a whole number from 0 to 3600000, not -1"),
        "{all}"
    );
    assert!(
        all.contains("/cross-region: must be one of allow, avoid, forbid, not \"never\""),
        "{all}"
    );
    assert!(
        all.contains("/confirmations: must be a whole number from 1 to 100, not \"two\""),
        "{all}"
    );
    assert!(
        all.contains("/mass-failure-percent: must be a whole number from 0 to 100, not 101"),
        "{all}"
    );
    assert!(
        all.contains("/silence_ms: unknown setting; known are confirmations, silence-ms"),
        "{all}"
    );
    assert!(all.contains("/a~1b: unknown setting"), "{all}");
}

#[test]
fn settings_must_be_an_object() {
    for wrong in [json!([1]), json!("text"), json!(null)] {
        assert_eq!(problems(&wrong), ["the settings must be a JSON object"]);
    }
}

#[test]
fn null_switches_a_limit_off() {
    let settings = json!({ "lag-max-ms": null, "confirmations": null });
    assert!(with_settings(&default_policy(), &settings).is_ok());
}

#[test]
fn the_schema_knows_every_setting_and_its_default() {
    for policy in [
        default_policy(),
        cautious_policy(),
        builtin_selector("backend-first"),
        builtin_selector("backend-prefer-synchronous"),
        builtin_selector("backend-nearest"),
    ] {
        let identity = policy.identity();
        let schema: serde_json::Value =
            serde_json::from_str(&identity.settings_schema).expect("JSON");
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = schema["properties"].as_object().expect("properties");
        assert!(properties.len() >= 3, "{}", identity.name);
        let mut defaults = serde_json::Map::new();
        for (name, property) in properties {
            assert!(
                property["description"].is_string(),
                "{name} has no description"
            );
            defaults.insert(name.clone(), property["default"].clone());
        }
        let accepted = with_settings(&policy, &serde_json::Value::Object(defaults));
        assert!(
            accepted.is_ok(),
            "{} refuses its own defaults: {accepted:?}",
            identity.name
        );
    }
}

#[test]
fn a_start_lists_each_problem_on_its_own() {
    let settings = json!({ "silence-ms": -1, "nope": 1 });
    let choice = crate::PolicyChoice {
        settings,
        ..crate::PolicyChoice::of(crate::DEFAULT_POLICY)
    };
    let error = crate::WasmPolicies::start(&choice).err().expect("refused");
    let problems = error.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("failover-default: /silence-ms: must be"),
        "{problems:?}"
    );
    let missing = crate::WasmPolicies::start(&crate::PolicyChoice::of("/nowhere/p.wasm"));
    let problems = missing.err().expect("refused").problems();
    assert!(
        problems[0].contains("cannot read the policy /nowhere/p.wasm: No such file"),
        "{problems:?}"
    );
}
