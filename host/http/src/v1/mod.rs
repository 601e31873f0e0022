//! The designed API under `/api/v1`: resources, POST for changes, problem details. `endpoints` is
//! its table.

mod bodies;
mod changes;
mod documents;
mod endpoint;
mod endpoints;
mod nodes;
mod openapi;
mod peers;
mod problem;
mod reads;
mod request;
mod schema;
mod signature;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use axum::Router;
use baton_control::ClusterView;
use baton_core::ids::ServerId;

use crate::server::App;
pub(crate) use problem::Problem;

/// In whose name a change is made.
#[derive(Clone)]
struct By(String);

/// All routes below `/api/v1`.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    endpoint::routes(app, endpoints::endpoints())
}

/// Method and path of each endpoint below `/api/v1`, for whoever asks them.
pub fn paths() -> Vec<(&'static str, &'static str)> {
    let endpoints = endpoints::endpoints().into_iter();
    endpoints
        .map(|endpoint| (endpoint.verb.word(), endpoint.path))
        .collect()
}

fn require_cluster(app: &App, hint: &str) -> Result<Arc<ClusterView>, Problem> {
    app.control
        .find_cluster(hint)
        .ok_or_else(|| Problem::unknown("cluster", hint))
}

fn require_server(app: &App, hint: &str) -> Result<(Arc<ClusterView>, ServerId), Problem> {
    app.control
        .find_server(hint)
        .ok_or_else(|| Problem::unknown("server", hint))
}
