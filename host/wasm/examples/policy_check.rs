//! Loads a policy as Baton would and says what it is: `cargo run -p baton-wasm --example policy_check -- PLUGIN [SETTINGS]`.
//!
//! `PLUGIN` is `builtin:NAME` or a file, `SETTINGS` a JSON object.

use std::process::ExitCode;

use baton_wasm::{PolicyChoice, WasmPolicies};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(plugin) = args.next() else {
        eprintln!("usage: policy_check PLUGIN [SETTINGS]");
        return ExitCode::from(2);
    };
    let settings = match serde_json::from_str(&args.next().unwrap_or_else(|| "{}".to_owned())) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("the settings are not JSON: {error}");
            return ExitCode::from(2);
        }
    };
    match WasmPolicies::start(&PolicyChoice { plugin, settings }) {
        Ok(policies) => {
            describe(&policies);
            ExitCode::SUCCESS
        }
        Err(error) => {
            for problem in error.problems() {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn describe(policies: &WasmPolicies) {
    let policy = policies.current();
    let identity = policy.identity();
    println!("policy    {} ({})", policy.label(), policy.origin());
    println!("says      {}", identity.description);
    println!("sha256    {}", policy.digest());
    println!(
        "wants     {}",
        if identity.wants.is_empty() {
            "nothing extra".into()
        } else {
            identity.wants.join(", ")
        }
    );
    println!("settings  {}", policy.settings());
    let schema = serde_json::from_str::<serde_json::Value>(&identity.settings_schema);
    let properties = schema
        .ok()
        .and_then(|schema| schema.get("properties")?.as_object().cloned());
    for (name, property) in properties.unwrap_or_default() {
        let of = |key: &str| {
            property
                .get(key)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        println!(
            "  {name} (default {}): {}",
            of("default"),
            of("description")
        );
    }
}
