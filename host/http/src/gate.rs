//! What a node answers before it can begin: it lives, and says what it waits for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceExt as _;

use crate::health;
use crate::settings::UrlPrefix;
use crate::v1::Problem;

/// Serves in place of the real routes until they are there. The socket is the same one before and after.
#[derive(Debug)]
pub struct Gate {
    prefix: UrlPrefix,
    waits_for: Mutex<String>,
    routes: OnceLock<Router>,
}

impl Gate {
    /// A closed gate.
    pub fn new(prefix: UrlPrefix) -> Arc<Self> {
        Arc::new(Self {
            prefix,
            waits_for: Mutex::new("the node is starting".to_owned()),
            routes: OnceLock::new(),
        })
    }

    /// What to serve.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(pass).with_state(Arc::clone(self))
    }

    /// Says what stands against the beginning.
    pub fn wait_for(&self, what: String) {
        *self
            .waits_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// From now on `routes` answer.
    pub fn open(&self, routes: Router) {
        if self.routes.set(routes).is_err() {
            tracing::debug!("the gate is open already");
        }
    }

    fn answer(&self, path: &str) -> Response {
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        if path == "/livez" {
            return "ok\n".into_response();
        }
        let what = self
            .waits_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut response = if path == "/readyz" {
            health::readiness(vec![what])
        } else if path == "/api/v1" || path.starts_with("/api/v1/") {
            Problem::starting(what).into_response()
        } else {
            // What clients of the predecessor's API know how to read.
            let envelope = json!({"Code": "ERROR", "Message": what, "Details": null});
            (StatusCode::SERVICE_UNAVAILABLE, Json(envelope)).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let Some(routes) = gate.routes.get() else {
        return gate.answer(request.uri().path());
    };
    match routes.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;

    use super::*;

    async fn ask(gate: &Arc<Gate>, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = gate.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_node_that_waits_lives_is_not_ready_and_says_why() {
        let gate = Gate::new(UrlPrefix::default());
        gate.wait_for("db1 does not answer".to_owned());
        assert_eq!(ask(&gate, "/livez").await, (200, "ok\n".to_owned()));
        for path in ["/readyz", "/api/v1/node", "/api/leader-check", "/"] {
            let (status, text) = ask(&gate, path).await;
            assert_eq!(status, 503, "{path}");
            assert!(text.contains("db1 does not answer"), "{path}: {text}");
        }
        gate.open(Router::new().route("/readyz", get(|| async { "ready" })));
        assert_eq!(ask(&gate, "/readyz").await, (200, "ready".to_owned()));
    }
}
