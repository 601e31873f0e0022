//! `baton backend`: the databases of Baton's own state.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::MoveTo;
use super::client::{Client, Verb};
use super::failure::Failure;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, NOTE, WARN, append, paint, table};
use super::screen::Screen;
use super::{json, words};

/// Shows the databases as the first node that answers sees them.
pub(crate) fn status(client: &Client, screen: Screen) -> Result<(), Failure> {
    let answer = client.read("/api/v1/backend")?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&render(&answer, screen.width));
    }
    Ok(())
}

/// A copy takes as long as it takes; the node gives up before this.
const MOVE: Duration = Duration::from_secs(60);

/// Moves the state to another backend.
pub(crate) fn move_to(client: &Client, screen: Screen, request: &MoveTo) -> Result<(), Failure> {
    let body = json!({ "to": request.to, "without_peers": request.without_peers });
    let answer = client.change(Verb::Post, "/api/v1/backend/move", &body, MOVE)?;
    if screen.json {
        Screen::show_json(&answer);
        return Ok(());
    }
    let text = |path: &str| json::text(&answer, path).unwrap_or_default();
    Screen::show(&format!(
        "{} from {} to {}: {} rows, writes held for {} ms; now on {} under lease epoch {}",
        paint(GOOD, "moved"),
        text("from"),
        text("to"),
        text("rows"),
        text("held_ms"),
        paint(NAME, &text("node")),
        text("lease_epoch"),
    ));
    Ok(())
}

/// The state of the databases as text.
pub(super) fn render(backend: &Value, width: Option<usize>) -> String {
    if json::text(backend, "mode").as_deref() == Some("embedded") {
        let store = json::text(backend, "store").unwrap_or_default();
        return format!("the state is embedded: {}", paint(NAME, &store));
    }
    let mut out = selection(backend);
    for cluster in json::list(backend, "clusters") {
        out.push_str("\n\n");
        out.push_str(&cluster_lines(cluster, backend, width));
    }
    out
}

fn selection(backend: &Value) -> String {
    let text = |path: &str| json::text(backend, path);
    let mut out = match text("selection.node") {
        Some(node) => {
            let since = json::number(backend, "selection.since_ms").map(Duration::from_millis);
            let since = since.map(words::short).unwrap_or_default();
            format!("{} {} for {since}", paint(GOOD, "uses"), paint(NAME, &node))
        }
        None => paint(BAD, "no database node is fit for use"),
    };
    let details = [
        text("selection.generation").map(|number| format!("choice {number}")),
        text("selection.selector"),
        text("selection.changes_last_hour").map(|count| format!("{count} changes in an hour")),
        text("highest_epoch").map(|epoch| format!("highest lease epoch {epoch}")),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    append(
        &mut out,
        format_args!("  {}", paint(DIM, &details.join(" · "))),
    );
    if let Some(why) = text("selection.fallback") {
        let line = format!("the configured selector failed, the built-in one answered: {why}");
        append(&mut out, format_args!("\n  {}", paint(WARN, &line)));
    }
    for reason in json::list(backend, "selection.reasons") {
        let text = json::text(reason, "text").unwrap_or_default();
        append(&mut out, format_args!("\n  {}", paint(NOTE, &text)));
    }
    out
}

fn cluster_lines(cluster: &Value, backend: &Value, width: Option<usize>) -> String {
    let text = |path: &str| json::text(cluster, path).unwrap_or_default();
    let holds = json::text(backend, "holder").is_some_and(|holder| holder == text("name"));
    let mut out = format!("{} {}", paint(NAME, &text("name")), text("kind"));
    if holds {
        out.push_str(", holds the state");
    }
    if let Some(to) = json::text(cluster, "moved_to") {
        append(&mut out, format_args!(", moved to {to}"));
    }
    if let Some(promotion) = json::text(cluster, "promotion") {
        append(&mut out, format_args!("\n  {}", paint(NOTE, &promotion)));
    }
    let head = ["", "NODE", "STATE", "READ", "MEMBERS", "EPOCH", "SCHEMA"];
    let mut rows = vec![head.map(|text| Cell::new(DIM, text)).to_vec()];
    let nodes = json::list(cluster, "nodes");
    rows.extend(nodes.iter().map(node_row));
    for line in table(&rows, width) {
        append(&mut out, format_args!("\n{line}"));
    }
    for (key, style) in [("against", BAD), ("notes", WARN)] {
        for condition in nodes.iter().flat_map(|node| json::list(node, key)) {
            let text = json::text(condition, "text").unwrap_or_default();
            append(&mut out, format_args!("\n  {}", paint(style, &text)));
        }
    }
    out
}

fn node_row(node: &Value) -> Vec<Cell> {
    let text = |path: &str| json::text(node, path).unwrap_or_default();
    let in_use = json::flag(node, "in_use") == Some(true);
    let (style, state) = match json::flag(node, "ready") {
        Some(true) => (GOOD, "ready".to_owned()),
        _ => match json::text(node, "probe.failure") {
            Some(failure) if text("probe.state") == "silent" => (BAD, failure),
            _ if text("probe.state") == "not_probed" => (DIM, "not probed".to_owned()),
            _ => (WARN, words_against(node)),
        },
    };
    let read = json::number(node, "probe.answered_age_ms")
        .map(|age| format!("{} ago", words::short(Duration::from_millis(age))));
    let members = match (text("members_seen"), text("members")) {
        (seen, all) if seen.is_empty() => all,
        (seen, all) => format!("{seen}/{all}"),
    };
    vec![
        Cell::new(GOOD, if in_use { "→" } else { "" }),
        Cell::new(NAME, text("address")),
        Cell::new(style, state),
        Cell::new(DIM, read.unwrap_or_else(|| "never".to_owned())),
        Cell::plain(members),
        Cell::plain(text("lease_epoch")),
        Cell::plain(text("schema")),
    ]
}

fn words_against(node: &Value) -> String {
    let against = json::list(node, "against").iter();
    let words: Vec<String> = against
        .filter_map(|condition| json::text(condition, "code"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests;
