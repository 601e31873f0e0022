//! Probes for process supervisors and load balancers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::server::App;

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// What is missing.
    missing: Vec<String>,
}

/// The process answers.
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// The store is healthy and every known server has been probed: pictures shown now are worth
/// something.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let node = app.control.node();
    let mut missing = Vec::new();
    if let Some(problem) = node.store_problem {
        missing.push(format!("the state store is not healthy: {problem}"));
    }
    missing.extend(node.barred);
    if !node.warm {
        missing.push("not every known server has been probed yet".to_owned());
    }
    readiness(missing)
}

/// Ready if nothing is missing.
pub(crate) fn readiness(missing: Vec<String>) -> Response {
    let ready = missing.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, missing })).into_response()
}
