//! What a node answers before it is ready to serve: that it lives, and what it waits for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceExt as _;

use crate::health;
use crate::v1::Problem;
use baton_http_core::UrlPrefix;

/// Serves in place of the real routes until they exist, on the same socket.
#[derive(Debug)]
pub struct StartupRouter {
    prefix: UrlPrefix,
    waits_for: Mutex<String>,
    routes: OnceLock<Router>,
}

impl StartupRouter {
    /// A closed startup.
    pub fn new(prefix: UrlPrefix) -> Arc<Self> {
        Arc::new(Self {
            prefix,
            waits_for: Mutex::new("the node is starting".to_owned()),
            routes: OnceLock::new(),
        })
    }

    /// What to serve.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(respond).with_state(Arc::clone(self))
    }

    /// Sets what the node waits for, for its answers.
    pub fn wait_for(&self, what: String) {
        *self
            .waits_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// From now on `routes` answer.
    pub fn serve(&self, routes: Router) {
        if self.routes.set(routes).is_err() {
            tracing::debug!("the routes are served already");
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

async fn respond(State(startup): State<Arc<StartupRouter>>, request: Request) -> Response {
    let Some(routes) = startup.routes.get() else {
        return startup.answer(request.uri().path());
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

    async fn ask(startup: &Arc<StartupRouter>, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = startup.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_node_that_waits_lives_is_not_ready_and_says_why() {
        let startup = StartupRouter::new(UrlPrefix::default());
        startup.wait_for("db1 does not answer".to_owned());
        assert_eq!(ask(&startup, "/livez").await, (200, "ok\n".to_owned()));
        for path in ["/readyz", "/api/v1/node", "/api/leader-check", "/"] {
            let (status, text) = ask(&startup, path).await;
            assert_eq!(status, 503, "{path}");
            assert!(text.contains("db1 does not answer"), "{path}: {text}");
        }
        startup.serve(Router::new().route("/readyz", get(|| async { "ready" })));
        assert_eq!(ask(&startup, "/readyz").await, (200, "ready".to_owned()));
    }
}
