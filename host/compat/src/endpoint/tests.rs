//! The table of paths, and its copy in the documents.

use std::fmt::Write as _;
use std::path::Path;

use baton_http_core::Scope;

use super::*;
use crate::ENDPOINTS;
use crate::not_served::is_not_served;

fn is_parameter(segment: &str) -> bool {
    segment.starts_with(':')
}

#[test]
fn no_path_fits_two_rows() {
    for (n, one) in ENDPOINTS.iter().enumerate() {
        for other in ENDPOINTS.iter().skip(n + 1) {
            let (a, b) = (one.pattern.split('/'), other.pattern.split('/'));
            let is_apart = a.clone().count() != b.clone().count()
                || a.zip(b)
                    .any(|(a, b)| a != b && !is_parameter(a) && !is_parameter(b));
            assert!(is_apart, "{} and {}", one.pattern, other.pattern);
        }
    }
}

#[test]
fn rows_are_served_and_have_the_scope_of_their_handler() {
    for endpoint in ENDPOINTS.iter() {
        let first = endpoint.pattern.split('/').next().unwrap_or_default();
        assert!(!is_not_served(first), "{first} is served and refused");
        let is_change = matches!(endpoint.handler, Handler::Change(_));
        assert_eq!(
            endpoint.access.scope == Scope::Change,
            is_change,
            "{}",
            endpoint.pattern
        );
    }
}

/// `BATON_UPDATE_DOCS=1 cargo nextest run --workspace documented_paths` writes it anew.
#[test]
fn documented_paths_are_those_served() {
    const BEGIN: &str = "<!-- paths of /api, generated -->\n";
    const END: &str = "<!-- end of the paths of /api -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let text = std::fs::read_to_string(&file).expect("docs/api.md");
    let (before, rest) = text.split_once(BEGIN).expect("the begin of the paths");
    let (_, after) = rest.split_once(END).expect("the end of the paths");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("BATON_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).expect("docs/api.md");
    } else {
        assert!(
            text == wanted,
            "docs/api.md is out of date: BATON_UPDATE_DOCS=1"
        );
    }
}

/// The table of served paths for `docs/api.md`.
fn table() -> String {
    let mut rows: Vec<(String, &str, &str)> = Vec::new();
    for endpoint in ENDPOINTS.iter() {
        let access = match (endpoint.access.scope, endpoint.access.forward) {
            (Scope::Read, _) => "",
            (Scope::Change, Forward::ToLeader) => "changes, on the leader",
            (Scope::Change, Forward::Never) => "changes, on the node that is asked",
        };
        match rows.last_mut() {
            Some((paths, summary, row)) if *summary == endpoint.summary && *row == access => {
                // Writing to a string cannot fail.
                let written = write!(paths, ", `{}`", endpoint.pattern);
                debug_assert!(written.is_ok());
            }
            _ => rows.push((format!("`{}`", endpoint.pattern), endpoint.summary, access)),
        }
    }
    let lines = rows
        .into_iter()
        .map(|(paths, summary, access)| format!("| {paths} | {access} | {summary} |\n"));
    std::iter::once("| Path | Changes | What |\n| --- | --- | --- |\n".to_owned())
        .chain(lines)
        .collect()
}
