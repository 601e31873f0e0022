//! The description of this API, kept by hand and compared with the routes by a test.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::server::App;

/// The OpenAPI document.
pub(super) const TEXT: &str = include_str!("../../assets/openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document(State(app): State<Arc<App>>) -> Response {
    let base = format!("\"{}/api/v1\"", app.api.settings.url_prefix.as_str());
    (
        [(CONTENT_TYPE, "application/json")],
        TEXT.replace("\"/api/v1\"", &base),
    )
        .into_response()
}
