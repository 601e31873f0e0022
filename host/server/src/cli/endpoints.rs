//! Holds the paths that commands ask for to the endpoints of the API.

use std::fs;
use std::path::Path;

/// The paths below `/api/v1` in string literals of the command line's sources, without queries.
fn asked() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "rs") || path.ends_with("endpoints.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for literal in code.flat_map(|line| line.split("\"/api/v1/").skip(1)) {
            let end = literal.find(['"', '?']).unwrap();
            found.push(literal.get(..end).unwrap().to_owned());
        }
    }
    found
}

/// Whether a path whose parts in braces are anything is that of an endpoint.
fn is_endpoint(asked: &str, path: &str) -> bool {
    let (asked, path) = (asked.split('/'), path.trim_start_matches('/').split('/'));
    asked.clone().count() == path.clone().count()
        && asked
            .zip(path)
            .all(|(asked, part)| asked == part || asked.starts_with('{') && part.starts_with('{'))
}

#[test]
fn commands_ask_for_endpoints_that_exist() {
    let paths = baton_http::paths();
    let asked = asked();
    assert!(asked.len() > 20, "only {} paths found", asked.len());
    for one in asked {
        let is_served = paths.iter().any(|(_, path)| is_endpoint(&one, path));
        assert!(is_served, "no endpoint is /api/v1/{one}");
    }
}
