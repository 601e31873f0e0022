//! What the other nodes ask of this one. It changes nothing, so it is open like all reading.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::problem::Problem;
use super::request::{Asked, Body};
use crate::peers::wire::{ReportDocument, SightingsBody, SightingsDocument};
use crate::server::App;

/// Where other nodes ask for sightings: a question too long for a URL.
pub(super) const SIGHTINGS: &str = "/peer/sightings";

/// Longest time that a question is kept.
const WAIT_MAX_MS: u64 = 30_000;

/// `GET /peer/report?wait=MS&seen=TOKEN`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Question {
    wait: u64,
    seen: String,
}

/// `GET /peer/report`: at once if the report is not the one that the asker has seen, else when it changes.
pub(super) async fn report(
    State(app): State<Arc<App>>,
    Asked(Question { wait, seen }): Asked<Question>,
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

/// `POST /peer/sightings`.
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
