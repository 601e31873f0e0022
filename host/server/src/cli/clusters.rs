//! `baton clusters` and `baton topology`.

use std::time::SystemTime;

use serde_json::Value;

use super::client::{Client, segment};
use super::failure::Failure;
use super::json;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, NOTE, PLAIN, WARN, paint, table};
use super::screen::Screen;
use super::tree;
use super::view::ClusterView;

/// Lists clusters.
pub(crate) fn show(client: &Client, screen: Screen) -> Result<(), Failure> {
    let answer = client.read("/api/v1/clusters")?;
    if screen.json {
        Screen::show_json(&answer);
        return Ok(());
    }
    Screen::show(&listing(json::items(&answer), screen.width));
    Ok(())
}

pub(super) fn listing(clusters: &[Value], width: Option<usize>) -> String {
    if clusters.is_empty() {
        return "no clusters yet; begin with `baton discover HOST:PORT`".to_owned();
    }
    let head = [
        "CLUSTER", "STATUS", "PRIMARY", "SERVERS", "FINDINGS", "RECOVERY",
    ];
    let mut rows = vec![head.map(|text| Cell::new(DIM, text)).to_vec()];
    rows.extend(clusters.iter().map(row));
    table(&rows, width).join("\n")
}

fn row(cluster: &Value) -> Vec<Cell> {
    let text = |path: &str| json::text(cluster, path).unwrap_or_default();
    let status = text("status");
    let style = match status.as_str() {
        "ok" => GOOD,
        "critical" => BAD,
        "warning" => WARN,
        "recovering" => NOTE,
        _ => PLAIN,
    };
    let (all, answering) = (
        json::number(cluster, "servers"),
        json::number(cluster, "servers_answering"),
    );
    let servers = match (all, answering) {
        (Some(all), Some(answering)) if all != answering => {
            Cell::new(WARN, format!("{answering} of {all}"))
        }
        (all, _) => Cell::plain(all.map(|all| all.to_string()).unwrap_or_default()),
    };
    let primary = match json::text(cluster, "primary.address")
        .or_else(|| json::text(cluster, "primary.id"))
    {
        Some(address) => Cell::plain(address),
        None => Cell::new(BAD, "unknown"),
    };
    let recovery = match (
        json::text(cluster, "recovering.kind"),
        json::flag(cluster, "automatic"),
    ) {
        (Some(kind), _) => Cell::new(NOTE, format!("{kind} under way")),
        (None, Some(true)) => Cell::plain("by itself"),
        (None, _) => Cell::new(DIM, "on request"),
    };
    let findings = Cell::plain(text("findings"));
    vec![
        Cell::new(NAME, text("name")),
        Cell::new(style, status),
        primary,
        servers,
        findings,
        recovery,
    ]
}

/// Shows one cluster or all as trees.
pub(crate) fn show_trees(
    client: &Client,
    screen: Screen,
    cluster: Option<&str>,
) -> Result<(), Failure> {
    let ids = if let Some(hint) = cluster {
        vec![hint.to_owned()]
    } else {
        let answer = client.read("/api/v1/clusters")?;
        json::items(&answer)
            .iter()
            .filter_map(|cluster| json::text(cluster, "id"))
            .collect()
    };
    let mut documents = Vec::new();
    for id in &ids {
        documents.push(client.read(&format!("/api/v1/clusters/{}", segment(id)))?);
    }
    if screen.json {
        match (cluster, documents.pop()) {
            (Some(_), Some(document)) => Screen::show_json(&document),
            (_, last) => Screen::show_json(&documents.into_iter().chain(last).collect()),
        }
        return Ok(());
    }
    let now = SystemTime::now();
    let mut out: Vec<String> = documents
        .iter()
        .map(|document| tree::render(&ClusterView::read(document, now), screen.width))
        .collect();
    if cluster.is_none() {
        out.extend(strays(client)?);
    }
    if out.is_empty() {
        out.push("no clusters yet; begin with `baton discover HOST:PORT`".to_owned());
    }
    Screen::show(&out.join("\n"));
    Ok(())
}

/// Addresses that never answered belong to no cluster, and must be seen somewhere.
fn strays(client: &Client) -> Result<Option<String>, Failure> {
    let answer = client.read("/api/v1/strays")?;
    let rows: Vec<Vec<Cell>> = json::items(&answer)
        .iter()
        .map(|stray| {
            let text = |path: &str| json::text(stray, path).unwrap_or_default();
            vec![
                Cell::new(BAD, format!("○ {}", text("address"))),
                Cell::plain(text("failure")),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let head = paint(NAME, "Never answered");
    Ok(Some(format!("{head}\n{}\n", table(&rows, None).join("\n"))))
}
