//! Lenient reading of the API's JSON: what is missing is shown as missing, not as an error, so that
//! a program of one version can speak to nodes of another.

use serde_json::Value;

use super::paint::append;

/// The value at a dotted path.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
        .filter(|value| !value.is_null())
}

/// A text, or a number as text.
pub(crate) fn text(value: &Value, path: &str) -> Option<String> {
    match at(value, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A text that says something.
pub(crate) fn word(value: &Value, path: &str) -> Option<String> {
    text(value, path).filter(|text| !text.is_empty())
}

/// True or false.
pub(crate) fn flag(value: &Value, path: &str) -> Option<bool> {
    at(value, path)?.as_bool()
}

/// A whole number.
pub(crate) fn number(value: &Value, path: &str) -> Option<u64> {
    at(value, path)?.as_u64()
}

/// Elements of a list; none if there is no list.
pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Elements of an answer that is a list, bare or under `items`.
pub(crate) fn items(value: &Value) -> &[Value] {
    value
        .as_array()
        .map_or_else(|| list(value, "items"), Vec::as_slice)
}

/// True for a problem document (RFC 9457).
pub(crate) fn is_problem(value: &Value) -> bool {
    at(value, "title").is_some() || at(value, "detail").is_some()
}

/// True if a node refuses because it does not lead.
pub(crate) fn is_not_leader(problem: &Value) -> bool {
    text(problem, "type").is_some_and(|kind| kind.ends_with("not-leader"))
}

/// A problem for people: what, and each reason on its own line.
pub(crate) fn problem_text(problem: &Value) -> String {
    let mut out = text(problem, "detail")
        .or_else(|| text(problem, "title"))
        .unwrap_or_else(|| "refused".to_owned());
    for reason in list(problem, "reasons") {
        let line = reason
            .as_str()
            .map(str::to_owned)
            .or_else(|| text(reason, "text"));
        if let Some(line) = line.filter(|line| *line != out) {
            out.push_str("\n  ");
            out.push_str(&line);
        }
    }
    if let Some(id) = text(problem, "recovery") {
        append(
            &mut out,
            format_args!("\n  all steps: baton recoveries --steps {id}"),
        );
    }
    out
}
