//! `baton status`: one node.

use std::time::SystemTime;

use serde_json::Value;

use super::client::Client;
use super::failure::Failure;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, PLAIN, WARN, paint, table};
use super::screen::Screen;
use super::{json, words};

/// Shows the state of the first node that answers.
pub(crate) fn show(client: &Client, screen: Screen) -> Result<(), Failure> {
    let answer = client.read("/api/v1/node")?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&render(&answer, SystemTime::now(), screen.width));
    }
    Ok(())
}

pub(super) fn render(node: &Value, now: SystemTime, width: Option<usize>) -> String {
    let text = |path: &str| json::text(node, path).unwrap_or_default();
    let lease = match (json::flag(node, "is_leader"), json::text(node, "leader")) {
        (Some(true), _) if json::flag(node, "stands_in") == Some(true) => Cell::new(
            WARN,
            format!("acts without the store, epoch {}", text("lease_epoch")),
        ),
        (Some(true), _) => Cell::new(GOOD, format!("leads, epoch {}", text("lease_epoch"))),
        (_, Some(leader)) => Cell::plain(format!("follows {leader}")),
        (_, None) => Cell::new(WARN, "nobody is known to lead"),
    };
    let store = match json::text(node, "store_problem") {
        None => Cell::plain(text("store")),
        Some(problem) => Cell::new(BAD, format!("{}: {problem}", text("store"))),
    };
    let recoveries = match json::flag(node, "recoveries_enabled") {
        Some(true) => Cell::new(GOOD, "enabled"),
        Some(false) => Cell::new(WARN, "disabled"),
        None => Cell::new(BAD, "the switch cannot be read, which means disabled"),
    };
    let warm = match json::flag(node, "warm") {
        Some(false) => Cell::new(WARN, "not every known server has been read yet"),
        _ => Cell::plain("every known server has been read"),
    };
    let rows = [
        ("lease", lease),
        ("recoveries", recoveries),
        ("policy", Cell::plain(text("policy"))),
        ("store", store),
        ("picture", warm),
        (
            "started",
            Cell::new(PLAIN, words::ago(&text("started_at"), now)),
        ),
    ];
    let rows = rows.map(|(name, value)| vec![Cell::new(DIM, format!("  {name}")), value]);
    let head = format!(
        "{} {}",
        paint(NAME, &text("name")),
        paint(DIM, &text("version"))
    );
    format!("{head}\n{}", table(&rows, width).join("\n"))
}
