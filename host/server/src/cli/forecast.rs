//! `--dry-run` of `failover`, `switchover` and `rejoin`: what the order would come to now.

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Verb, segment};
use super::failure::Failure;
use super::json;
use super::paint::{BAD, DIM, GOOD, NAME, PLAIN, paint};
use super::screen::Screen;

/// The policy is asked; no server is.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks what an order would come to, and shows it. An order that would not succeed is a failure of
/// the command, as the order would be.
pub(crate) fn show(
    client: &Client,
    screen: Screen,
    cluster: &str,
    order: &Value,
) -> Result<(), Failure> {
    let path = format!("/api/v1/clusters/{}/forecast", segment(cluster));
    let answer = client.change(Verb::Post, &path, order, LIMIT)?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&render(&answer));
    }
    let succeeds = json::text(&answer, "outcome").as_deref() == Some("succeeded");
    if succeeds && json::list(&answer, "problems").is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(
        "nothing was changed; see above".to_owned(),
    ))
}

/// A forecast as text.
pub(super) fn render(document: &Value) -> String {
    let text = |path: &str| json::text(document, path).unwrap_or_default();
    let subject = json::text(document, "subject.address").unwrap_or_else(|| text("subject.id"));
    let mut lines = vec![
        paint(NAME, &format!("{} of {subject}", text("kind"))),
        paint(
            DIM,
            "nothing is changed: this is what the order would come to now",
        ),
    ];
    lines.extend(json::list(document, "steps").iter().map(step));
    let problems = json::list(document, "problems").iter();
    let problems = problems.filter_map(Value::as_str);
    lines.extend(problems.map(|problem| paint(BAD, &format!("  ! {problem}"))));
    let successor = json::text(document, "successor.address");
    let end = match (text("outcome").as_str(), successor) {
        ("succeeded", Some(successor)) => paint(GOOD, &format!("would succeed: {successor}")),
        ("succeeded", None) => paint(GOOD, "would succeed"),
        (outcome, _) => paint(BAD, &format!("would end as {outcome}")),
    };
    lines.push(end);
    lines.join("\n")
}

fn step(step: &Value) -> String {
    let phase = json::text(step, "phase").unwrap_or_default();
    let text = json::text(step, "text").unwrap_or_default();
    if json::flag(step, "fails") == Some(true) {
        paint(
            BAD,
            &format!("  {phase:<8} {text} (would fail: it does not answer)"),
        )
    } else {
        paint(PLAIN, &format!("  {phase:<8} {text}"))
    }
}
