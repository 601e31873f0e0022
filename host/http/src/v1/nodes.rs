//! The Baton nodes, and who of them leads.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use baton_core::ids::NodeName;

use super::By;
use super::bodies::NoBody;
use super::documents;
use super::problem::Problem;
use super::request::{Body, Name};
use super::schema::{NodeDocument, NodeViewDocument};
use crate::server::App;
use baton_http_core::run_detached;

/// `GET /nodes`.
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<NodeViewDocument>> {
    let nodes = app.control.nodes().await;
    Json(nodes.into_iter().map(documents::node_view).collect())
}

/// `DELETE /nodes/{node}`.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Extension(By(by)): Extension<By>,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    let control = Arc::clone(&app.control);
    let name = NodeName::new(name);
    run_detached(async move { control.forget_node(&name, &by).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /node/reelect`, which the node that leads carries out.
pub(super) async fn reelect(
    State(app): State<Arc<App>>,
    Extension(By(by)): Extension<By>,
    Body(NoBody {}): Body<NoBody>,
) -> Result<Json<NodeDocument>, Problem> {
    let control = Arc::clone(&app.control);
    run_detached(async move { control.reelect(&by).await }).await?;
    Ok(Json(documents::node(app.control.node())))
}

/// `POST /node/grab-election`, which this node carries out.
pub(super) async fn grab_election(
    State(app): State<Arc<App>>,
    Extension(By(by)): Extension<By>,
    Body(NoBody {}): Body<NoBody>,
) -> Result<Json<NodeDocument>, Problem> {
    let control = Arc::clone(&app.control);
    run_detached(async move { control.grab_election(&by).await }).await?;
    Ok(Json(documents::node(app.control.node())))
}
