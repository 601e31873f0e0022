//! `baton failover`, `switchover`, `rejoin`: long operations, shown while they go on.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::arguments::{Failover, Loss, Switchover};
use super::client::{Client, segment};
use super::failure::Failure;
use super::paint::append;
use super::screen::Screen;
use super::{forecast, json, progress, recoveries};

/// How long an answer may take where the request sets no limit; the node has limits of its own.
const PATIENCE: Duration = Duration::from_mins(15);

/// What the network and the undoing may take beyond a deadline.
const MARGIN: Duration = Duration::from_mins(1);

/// Replaces a primary, dead or alive.
pub(crate) fn failover(client: &Client, screen: Screen, request: &Failover) -> Result<(), Failure> {
    let mut body = body(request.to.as_deref(), None);
    if let (Some(loss), Some(fields)) = (request.accept_loss, body.as_object_mut()) {
        let loss = match loss {
            Loss::AtMost(most) => json!(most),
            Loss::Unknown => json!("unknown"),
        };
        fields.insert("accept_loss".to_owned(), loss);
    }
    if request.dry_run {
        let order = order("failover", None, body);
        return forecast::show(client, screen, &request.cluster, &order);
    }
    let cluster = client.read(&format!("/api/v1/clusters/{}", segment(&request.cluster)))?;
    if !request.yes {
        confirm(&cluster)?;
    }
    let path = format!("/api/v1/clusters/{}/failover", segment(&request.cluster));
    conclude(
        screen,
        &progress::change(client, screen, &path, &body, PATIENCE)?,
    )
}

/// Replaces a living primary.
pub(crate) fn switchover(
    client: &Client,
    screen: Screen,
    request: &Switchover,
) -> Result<(), Failure> {
    if request.dry_run {
        let order = order("switchover", None, body(request.to.as_deref(), None));
        return forecast::show(client, screen, &request.cluster, &order);
    }
    let path = format!("/api/v1/clusters/{}/switchover", segment(&request.cluster));
    let body = body(request.to.as_deref(), request.deadline);
    let limit = request
        .deadline
        .map_or(PATIENCE, |deadline| deadline.saturating_add(MARGIN));
    conclude(
        screen,
        &progress::change(client, screen, &path, &body, limit)?,
    )
}

/// Attaches a server to its cluster's primary.
pub(crate) fn rejoin(
    client: &Client,
    screen: Screen,
    server: &str,
    dry_run: bool,
) -> Result<(), Failure> {
    if dry_run {
        let order = order("rejoin", Some(server), json!({}));
        return forecast::show(client, screen, server, &order);
    }
    let path = format!("/api/v1/servers/{}/rejoin", segment(server));
    conclude(
        screen,
        &progress::change(client, screen, &path, &json!({}), PATIENCE)?,
    )
}

/// What a dry run is asked about.
fn order(order: &str, server: Option<&str>, mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("order".to_owned(), order.into());
        if let Some(server) = server {
            fields.insert("server".to_owned(), server.into());
        }
    }
    body
}

fn body(to: Option<&str>, deadline: Option<Duration>) -> Value {
    let mut body = serde_json::Map::new();
    if let Some(to) = to {
        body.insert("to".to_owned(), to.into());
    }
    if let Some(deadline) = deadline {
        body.insert(
            "deadline".to_owned(),
            humantime::format_duration(deadline).to_string().into(),
        );
    }
    Value::Object(body)
}

/// Shows how it ended; anything but success is a failure of the command.
fn conclude(screen: Screen, recovery: &Value) -> Result<(), Failure> {
    if screen.json {
        Screen::show_json(recovery);
    } else {
        Screen::show(&recoveries::headline(recovery, SystemTime::now()));
    }
    let text = match json::text(recovery, "outcome").as_deref() {
        // The primary is another one, and somebody was left behind: a script must not take that for
        // all of it.
        Some("succeeded") if !json::list(recovery, "lost").is_empty() => {
            "it succeeded in part: not every server follows".to_owned()
        }
        Some("succeeded") | None => return Ok(()),
        Some(outcome) => format!("it {outcome}"),
    };
    Err(Failure::Refused(with_errors(text, recovery)))
}

fn with_errors(mut text: String, recovery: &Value) -> String {
    let errors = json::list(recovery, "errors").iter();
    for error in errors.filter_map(Value::as_str) {
        append(&mut text, format_args!("\n  {error}"));
    }
    let id = json::text(recovery, "id").unwrap_or_default();
    append(
        &mut text,
        format_args!("\n  all steps: baton recoveries --steps {id}"),
    );
    text
}

/// Asks a person; without one, `--yes` is needed.
fn confirm(cluster: &Value) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    let name = json::text(cluster, "name").unwrap_or_default();
    let primary =
        json::text(cluster, "primary.address").unwrap_or_else(|| "which is not known".to_owned());
    if !stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "this replaces the primary of {name} ({primary}) even if it is alive; add --yes to go on without being asked"
        )));
    }
    let mut out = anstream::stderr();
    let question =
        format!("Replace the primary of {name} ({primary}), even if it is alive? [y/N] ");
    let asked = write!(out, "{question}").and_then(|()| out.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| stdin.lock().read_line(&mut answer));
    match (read, answer.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::Refused("nothing was done".to_owned())),
    }
}
