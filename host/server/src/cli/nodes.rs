//! `baton nodes`: which Baton nodes there are, and who of them leads.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::NodesCommand;
use super::client::{Client, Verb, segment};
use super::failure::Failure;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, PLAIN, WARN, table};
use super::screen::Screen;
use super::{json, words};

/// How long a change of the lease may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Lists the nodes as the first node that answers knows them.
pub(crate) fn show(client: &Client, screen: Screen) -> Result<(), Failure> {
    let answer = client.read("/api/v1/nodes")?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&listing(json::items(&answer), screen.width));
    }
    Ok(())
}

/// Changes which there are, or who leads.
pub(crate) fn change(
    client: &Client,
    screen: Screen,
    command: &NodesCommand,
) -> Result<(), Failure> {
    let (verb, path, text) = match command {
        NodesCommand::Forget { node } => (
            Verb::Delete,
            format!("/api/v1/nodes/{}", segment(node)),
            format!("{node} is forgotten"),
        ),
        NodesCommand::Reelect => (
            Verb::Post,
            "/api/v1/node/reelect".to_owned(),
            "the leader gave the lease up; see `baton nodes`".to_owned(),
        ),
        NodesCommand::GrabElection => (
            Verb::Post,
            "/api/v1/node/grab-election".to_owned(),
            "the node leads".to_owned(),
        ),
    };
    let body = match verb {
        Verb::Post => json!({}),
        Verb::Delete => Value::Null,
    };
    let answer = client.change(verb, &path, &body, LIMIT)?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&text);
    }
    Ok(())
}

pub(super) fn listing(nodes: &[Value], width: Option<usize>) -> String {
    let head = [
        "NODE", "STATE", "EPOCH", "STORE", "HEARS", "SEEN", "VERSION", "URL",
    ];
    let mut rows = vec![head.map(|text| Cell::new(DIM, text)).to_vec()];
    rows.extend(nodes.iter().map(row));
    table(&rows, width).join("\n")
}

fn row(node: &Value) -> Vec<Cell> {
    let text = |path: &str| json::text(node, path).unwrap_or_default();
    let leads = json::flag(node, "is_leader") == Some(true);
    let store = json::flag(node, "store_answers");
    let state = match (text("life").as_str(), leads, store) {
        (_, true, Some(false)) => Cell::new(WARN, "acts without the store"),
        (_, true, _) => Cell::new(GOOD, "leads"),
        ("this" | "answers", ..) => Cell::plain("follows"),
        ("gone", ..) => Cell::new(BAD, "its process is gone"),
        ("silent", ..) => Cell::new(BAD, "silent"),
        ("strange", ..) => Cell::new(BAD, "no Baton node answers there"),
        ("registered", ..) => Cell::new(WARN, "registered, and no peer of this node"),
        (other, ..) => Cell::plain(other),
    };
    let store = match store {
        Some(true) => Cell::plain("answers"),
        Some(false) => Cell::new(BAD, "away"),
        None => Cell::plain(""),
    };
    let hears: Vec<&str> = json::list(node, "hears")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let seen = match (text("life").as_str(), json::number(node, "answered_age_ms")) {
        ("this", _) => "here".to_owned(),
        (_, Some(age)) => format!("{} ago", words::short(Duration::from_millis(age))),
        (_, None) => "never".to_owned(),
    };
    vec![
        Cell::new(
            NAME,
            json::word(node, "name").unwrap_or_else(|| "?".to_owned()),
        ),
        state,
        Cell::plain(text("epoch")),
        store,
        Cell::plain(hears.join(" ")),
        Cell::plain(seen),
        Cell::plain(text("version")),
        Cell::new(PLAIN, text("url")),
    ]
}
