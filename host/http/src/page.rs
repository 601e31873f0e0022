//! The web page: three files inside the program, which need nothing from the network.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use crate::server::App;

const INDEX: &str = include_str!("../assets/index.html");
const STYLE: &str = include_str!("../assets/baton.css");
const SCRIPT: &str = include_str!("../assets/baton.js");
/// Own files only; nothing inline, so that a name of a server can never become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`.
pub(crate) async fn index(State(app): State<Arc<App>>) -> Response {
    // The prefix consists of unreserved characters only.
    let page = INDEX.replace("{base}", app.api.settings.url_prefix.as_str());
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
}

/// `GET /assets/...`.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "baton.css" => ("text/css; charset=utf-8", STYLE),
        "baton.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return baton_compat::not_found_page().await,
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}
