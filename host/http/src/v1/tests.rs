//! The OpenAPI document, the table of endpoints, and its copy in the documents.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::endpoints::endpoints;
use super::openapi;

fn document() -> Value {
    Value::Object(openapi::document(&endpoints()))
}

/// Each object in the document, with the path to it.
fn visit(value: &Value, at: &str, each: &mut impl FnMut(&str, &Value)) {
    each(at, value);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                visit(field, &format!("{at}/{name}"), each);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| visit(item, &format!("{at}/*"), each)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn each_endpoint_has_one_row() {
    let mut seen = BTreeSet::new();
    for endpoint in endpoints() {
        let key = (endpoint.path, endpoint.verb);
        assert!(seen.insert(key), "{key:?} has two rows");
        assert!(!endpoint.summary.is_empty(), "{key:?} says nothing");
    }
}

#[test]
fn openapi_refers_to_nothing_that_is_not_there() {
    let document = document();
    visit(&document, "", &mut |at, value| {
        let Some(target) = value.get("$ref").and_then(Value::as_str) else {
            return;
        };
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{at}: no {target}");
    });
}

/// `BATON_UPDATE_DOCS=1 cargo nextest run --workspace documented_endpoints` writes it anew.
#[test]
fn documented_endpoints_are_those_served() {
    const BEGIN: &str = "<!-- endpoints of /api/v1, generated -->\n";
    const END: &str = "<!-- end of the endpoints of /api/v1 -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("BATON_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "docs/api.md is out of date: BATON_UPDATE_DOCS=1"
        );
    }
}

fn table() -> String {
    let document = document();
    let line = |endpoint: &Endpoint| {
        let (path, verb) = (endpoint.path, endpoint.verb.word());
        let escaped = path.replace('/', "~1");
        let operation = document
            .pointer(&format!("/paths/{escaped}/{verb}"))
            .unwrap();
        let verb = verb.to_uppercase();
        let takes = [query_of(operation), body_of(&document, operation)].concat();
        format!("| {verb} | `{path}` | {takes} | {} |\n", endpoint.summary)
    };
    std::iter::once("| | Path | Takes | What |\n| --- | --- | --- | --- |\n".to_owned())
        .chain(endpoints().iter().map(line))
        .collect()
}

/// `?skip=&limit=`.
fn query_of(operation: &Value) -> String {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let names: Vec<String> = parameters
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter.get("name")?.as_str())
        .map(|name| format!("{name}="))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("`?{}`", names.join("&"))
    }
}

/// `{"to", "deadline"?}`.
fn body_of(document: &Value, operation: &Value) -> String {
    let reference = operation.pointer("/requestBody/content/application~1json/schema/$ref");
    let Some(reference) = reference.and_then(Value::as_str) else {
        return String::new();
    };
    let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: Vec<String> = properties
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .map(|name| format!("\"{name}\"{}", if is_required(name) { "" } else { "?" }))
        .collect();
    if fields.is_empty() {
        "`{}`".to_owned()
    } else {
        format!("`{{{}}}`", fields.join(", "))
    }
}

/// A route that is not made from a row has no access rule and no description.
#[test]
fn routes_are_made_from_rows() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let makers = [
        "http/src/server.rs",
        "http/src/v1/endpoint.rs",
        "compat/src/lib.rs",
    ];
    let mut folders = vec![host.join("http/src"), host.join("compat/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // A test may make a router of its own.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let makes = [".route(", ".route_service(", ".nest("].iter();
            let is_test = path.ends_with("tests.rs");
            let is_maker = makers.iter().any(|maker| path.ends_with(maker));
            let call = makes.copied().find(|call| code.contains(call));
            assert!(
                is_test || is_maker || call.is_none(),
                "{} makes a route without a row",
                path.display()
            );
        }
    }
}
