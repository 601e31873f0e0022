//! `baton recoveries`: the list, and one recovery's steps with their times.

use std::time::{Duration, SystemTime};

use anstyle::Style;
use serde_json::Value;

use super::client::{Client, segment};
use super::failure::Failure;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, NOTE, PLAIN, WARN, append, paint, table};
use super::screen::Screen;
use super::{json, timeline, words};

/// Lists recoveries.
pub(crate) fn show(
    client: &Client,
    screen: Screen,
    cluster: Option<&str>,
    limit: u32,
) -> Result<(), Failure> {
    let filter = cluster
        .map(|cluster| format!("&cluster={}", segment(cluster)))
        .unwrap_or_default();
    let answer = client.read(&format!("/api/v1/recoveries?limit={limit}{filter}"))?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&listing(
            json::items(&answer),
            SystemTime::now(),
            screen.width,
        ));
    }
    Ok(())
}

/// Shows one recovery with its steps.
pub(crate) fn show_one(client: &Client, screen: Screen, id: &str) -> Result<(), Failure> {
    let answer = client.read(&format!("/api/v1/recoveries/{}", segment(id)))?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&render(&answer, SystemTime::now(), screen.width));
    }
    Ok(())
}

/// A list as text.
pub(super) fn listing(recoveries: &[Value], now: SystemTime, width: Option<usize>) -> String {
    if recoveries.is_empty() {
        return "no recoveries".to_owned();
    }
    let head = [
        "ID", "CLUSTER", "KIND", "OUTCOME", "FROM", "TO", "TOOK", "WHEN", "",
    ];
    let mut rows = vec![head.map(|text| Cell::new(DIM, text)).to_vec()];
    for recovery in recoveries {
        let text = |path: &str| json::text(recovery, path).unwrap_or_default();
        let took = json::number(recovery, "duration_ms")
            .map(|took| words::short(Duration::from_millis(took)));
        let acknowledged = json::at(recovery, "acknowledged").is_some();
        let note = match (json::flag(recovery, "automatic"), acknowledged) {
            (Some(true), false) => "by itself, not acknowledged",
            (Some(true), true) => "by itself",
            _ => "",
        };
        rows.push(vec![
            Cell::plain(text("id")),
            Cell::new(NAME, text("cluster_name")),
            Cell::plain(text("kind")),
            Cell::new(outcome_style(&text("outcome")), text("outcome")),
            Cell::plain(server(recovery, "failed").unwrap_or_default()),
            Cell::plain(server(recovery, "successor").unwrap_or_default()),
            Cell::plain(took.unwrap_or_default()),
            Cell::new(DIM, words::ago(&text("started_at"), now)),
            Cell::new(DIM, note),
        ]);
    }
    table(&rows, width).join("\n")
}

/// One recovery as text.
pub(super) fn render(recovery: &Value, now: SystemTime, width: Option<usize>) -> String {
    let mut out = headline(recovery, now);
    for error in json::list(recovery, "errors")
        .iter()
        .filter_map(Value::as_str)
    {
        append(&mut out, format_args!("\n  {}", paint(BAD, error)));
    }
    let lost: Vec<String> = json::list(recovery, "lost")
        .iter()
        .filter_map(|lost| json::text(lost, "id"))
        .collect();
    if !lost.is_empty() {
        append(
            &mut out,
            format_args!(
                "\n  {}",
                paint(WARN, &format!("left behind: {}", lost.join(", ")))
            ),
        );
    }
    let steps = json::list(recovery, "steps");
    out.push_str("\n\n");
    for line in table(&timeline::rows(steps), width) {
        out.push_str(&line);
        out.push('\n');
    }
    let phases = timeline::phases(steps);
    if !phases.is_empty() {
        let texts: Vec<String> = phases
            .iter()
            .map(|(phase, micros)| format!("{phase} {}", words::millis(*micros)))
            .collect();
        append(
            &mut out,
            format_args!("\n{}\n", paint(NOTE, &texts.join(" · "))),
        );
    }
    out
}

/// What happened, in one line.
pub(super) fn headline(recovery: &Value, now: SystemTime) -> String {
    let text = |path: &str| json::text(recovery, path).unwrap_or_default();
    let outcome = text("outcome");
    let mut line = format!(
        "{} of {} {}",
        paint(NAME, &text("kind")),
        paint(NAME, &text("cluster_name")),
        paint(outcome_style(&outcome), &outcome)
    );
    if let Some(failed) = server(recovery, "failed") {
        append(&mut line, format_args!(": {failed}"));
    }
    if let Some(successor) = server(recovery, "successor") {
        append(&mut line, format_args!(" → {successor}"));
    }
    if let Some(took) = json::number(recovery, "duration_ms") {
        append(
            &mut line,
            format_args!(" in {}", words::millis(took.saturating_mul(1000))),
        );
    }
    let details = [
        json::text(recovery, "finding"),
        Some(words::ago(&text("started_at"), now)),
        Some(format!("by {}", text("node"))),
        Some(text("id")),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    format!("{line}  {}", paint(DIM, &details.join(" · ")))
}

fn server(value: &Value, path: &str) -> Option<String> {
    let at = |name: &str| json::text(value, &format!("{path}.{name}"));
    at("address").or_else(|| at("id"))
}

fn outcome_style(outcome: &str) -> Style {
    match outcome {
        "succeeded" => GOOD,
        "failed" => BAD,
        "unwound" => WARN,
        "running" => NOTE,
        _ => PLAIN,
    }
}
