//! `baton plugin`: components before they are used.

use std::fmt::Write as _;

use baton_wasm::{Inspection, PolicyChoice, StartError};
use serde_json::{Value, json};

use super::failure::Failure;
use super::paint::{GOOD, paint};
use super::screen::Screen;

pub(crate) fn inspect(plugin: &str, screen: Screen) -> Result<(), Failure> {
    let found = baton_wasm::inspect(plugin).map_err(|error| refused(&error))?;
    let schema = serde_json::from_str(&found.identity.settings_schema).unwrap_or(Value::Null);
    if screen.json {
        Screen::show_json(&json!({
            "world": found.world.name(), "identity": found.identity, "schema": schema, "sha256": found.digest,
            "bytes": found.bytes, "imports": found.imports, "exports": found.exports,
        }));
    } else {
        Screen::show(&described(&found, &schema));
    }
    Ok(())
}

fn described(found: &Inspection, schema: &Value) -> String {
    let identity = &found.identity;
    let wants = match identity.wants.as_slice() {
        [] => "nothing extra".to_owned(),
        wants => wants.join(", "),
    };
    let lines = [
        ("name", format!("{}@{}", identity.name, identity.version)),
        ("says", identity.description.clone()),
        ("world", found.world.name().to_owned()),
        ("imports", found.imports.join(", ")),
        ("exports", found.exports.join(", ")),
        ("wants", wants),
        ("size", format!("{} bytes", found.bytes)),
        ("sha256", found.digest.clone()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<9} {value}").unwrap_or_default();
    }
    text.push_str(&settings(schema));
    text
}

fn settings(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return "settings  none".to_owned();
    };
    let mut text = "settings".to_owned();
    for (name, property) in properties {
        let default = property.get("default").unwrap_or(&Value::Null);
        let about = property.get("description").and_then(Value::as_str);
        let about = about.unwrap_or_default();
        write!(text, "\n  {name} (default {default}): {about}").unwrap_or_default();
    }
    text
}

pub(crate) fn check(plugin: &str, settings: &str, screen: Screen) -> Result<(), Failure> {
    let settings = serde_json::from_str(settings)
        .map_err(|error| Failure::Usage(format!("--settings is not JSON: {error}")))?;
    let choice = PolicyChoice {
        plugin: plugin.to_owned(),
        settings,
    };
    let policy = baton_wasm::check(&choice).map_err(|error| refused(&error))?;
    let (label, world) = (policy.label(), policy.world().name());
    if screen.json {
        Screen::show_json(&json!({ "ok": true, "policy": label, "world": world }));
    } else {
        let ok = paint(GOOD, "ok:");
        Screen::show(&format!(
            "{ok} {label} is a {world}, and takes its settings"
        ));
    }
    Ok(())
}

fn refused(error: &StartError) -> Failure {
    Failure::Refused(error.problems().join("\n"))
}
