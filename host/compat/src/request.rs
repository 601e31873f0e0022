//! What was asked, decoded.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::answer::{Failure, failed};

/// Longest path or query that is looked at. Owners and reasons live in paths, so it is generous.
const LENGTH_MAX: usize = 8192;

/// A decoded request.
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// Decoded segments after `/api`, in the "replica" spelling.
    pub(crate) path: Vec<String>,
    query: BTreeMap<String, String>,
}

impl ApiRequest {
    /// Decodes path and query.
    pub(crate) fn read(parts: &Parts) -> Result<Self, Failure> {
        let path = parts.uri.path();
        if path.len() + parts.uri.query().unwrap_or_default().len() > LENGTH_MAX {
            return Err(failed("the request's path is too long"));
        }
        let below = path.strip_prefix("/api").unwrap_or(path);
        let below = below.strip_prefix('/').unwrap_or(below);
        let below = below.strip_suffix('/').unwrap_or(below);
        let mut path = below
            .split('/')
            .map(decoded)
            .collect::<Result<Vec<_>, _>>()?;
        if path.iter().any(String::is_empty) {
            return Err(Failure::NoRoute);
        }
        if let Some(first) = path.first_mut() {
            *first = modern(first);
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| failed("the request's query cannot be read"))?;
        let mut query = BTreeMap::new();
        for (name, value) in pairs {
            // The first of several values, as the predecessor takes it.
            query.entry(name).or_insert(value);
        }
        Ok(Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            path,
            query,
        })
    }

    /// A query parameter; empty if it is not there.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The comment, which acknowledgements require.
    pub(crate) fn comment(&self) -> Result<String, Failure> {
        let comment = self.parameter("comment").trim();
        if comment.is_empty() {
            return Err(failed("No acknowledge comment given"));
        }
        Ok(comment.to_owned())
    }
}

fn decoded(segment: &str) -> Result<String, Failure> {
    let text = percent_decode_str(segment).decode_utf8();
    Ok(text
        .map_err(|_| failed("the request's path is not UTF-8"))?
        .into_owned())
}

/// The predecessor's older words, as it maps them itself.
fn modern(first: &str) -> String {
    match first {
        "enslave-siblings" => "take-siblings".to_owned(),
        "enslave-master" => "take-master".to_owned(),
        _ => first.replace("slave", "replica"),
    }
}
