//! What a recovery did, with milliseconds since the loss was noticed.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::Bed;

/// The journal of a recovery as lines for a person.
///
/// # Errors
/// If the node does not answer.
pub fn timeline(bed: &Bed, recovery: &Value) -> Result<String> {
    let id = recovery
        .get("id")
        .and_then(Value::as_str)
        .context("a recovery without id")?;
    let whole = bed.api.get(&format!("/api/v1/recoveries/{id}"))?;
    let text = |key: &str| {
        whole
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let mut lines = vec![format!(
        "{} of {}: {}",
        text("kind"),
        address(&whole, "failed"),
        text("outcome")
    )];
    for line in text("decision").lines() {
        lines.push(format!("  why: {line}"));
    }
    let steps = whole
        .get("steps")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for step in steps
        .iter()
        .filter(|step| step.get("stage").and_then(Value::as_str) != Some("begun"))
    {
        let word = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or("-");
        let millis = millis(step).unwrap_or(0.0);
        let (phase, stage) = (word("phase"), word("stage"));
        lines.push(format!(
            "  {millis:>8.1} ms  {phase:<8} {stage:<7} {}",
            word("text")
        ));
    }
    let errors = whole
        .get("errors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for error in errors {
        lines.push(format!("  problem: {}", error.as_str().unwrap_or("-")));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn address(value: &Value, key: &str) -> String {
    let found = value.get(key);
    let text = found
        .and_then(Value::as_str)
        .or_else(|| found?.get("address")?.as_str());
    text.unwrap_or("-").to_owned()
}

/// Milliseconds since the trigger at which a journal line was written.
pub fn millis(step: &Value) -> Option<f64> {
    let micros = step.get("since_trigger_us").and_then(Value::as_f64);
    micros
        .map(|micros| micros / 1000.0)
        .or_else(|| step.get("since_trigger_ms").and_then(Value::as_f64))
}
