//! What the other nodes ask of this one. It changes nothing, so it is open like all reading.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::Problem;
use super::request::{Body, QueryParameters};
use crate::peers::wire::{ReportDocument, SightingsBody, SightingsDocument};
use crate::server::App;

/// Longest time that a request is held.
const WAIT_MAX_MS: u64 = 30_000;

/// How long to wait for a change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReportQuery {
    /// Milliseconds after which the question is answered although nothing changed.
    wait: u64,
    /// The token of the report that the asker has.
    seen: String,
}

/// `GET /peer/report`: at once if the asker has seen another report, else when the report changes.
pub(super) async fn report(
    State(app): State<Arc<App>>,
    QueryParameters(ReportQuery { wait, seen }): QueryParameters<ReportQuery>,
) -> Json<ReportDocument> {
    let report = app.control.peer_report();
    let document = ReportDocument::of(&report);
    if document.token != seen || wait == 0 {
        return Json(document);
    }
    let wait = Duration::from_millis(wait.min(WAIT_MAX_MS));
    let report = app.control.peer_report_changed(&report, wait).await;
    Json(ReportDocument::of(&report))
}

/// `POST /peer/sightings`: POST, because the list of servers is too long for a URL.
pub(super) async fn sightings(
    State(app): State<Arc<App>>,
    Body(body): Body<SightingsBody>,
) -> Result<Json<SightingsDocument>, Problem> {
    let servers = body
        .addresses()
        .map_err(|text| Problem::invalid(format!("{text:?} is no address of a server")))?;
    let sightings = app.control.peer_sightings(&servers);
    Ok(Json(SightingsDocument::of(&sightings)))
}
