//! `baton explain`: what is wrong, what Baton would do, and why not.

use serde_json::Value;

use super::client::{Client, segment};
use super::failure::Failure;
use super::json;
use super::paint::{BAD, Cell, DIM, GOOD, NAME, NOTE, PLAIN, WARN, paint, table, wrap};
use super::screen::Screen;
use super::view::{FindingView, Severity};

/// Explains a cluster.
pub(crate) fn show(client: &Client, screen: Screen, cluster: &str) -> Result<(), Failure> {
    let answer = client.read(&format!(
        "/api/v1/clusters/{}/explanation",
        segment(cluster)
    ))?;
    if screen.json {
        Screen::show_json(&answer);
    } else {
        Screen::show(&render(&answer, screen.width));
    }
    Ok(())
}

/// An explanation as text.
pub(super) fn render(document: &Value, width: Option<usize>) -> String {
    let mut page = Page {
        out: String::new(),
        width,
    };
    let name = json::text(document, "name").unwrap_or_default();
    page.line(&paint(NAME, &name), "");
    page.text(PLAIN, "  ", &intention(document));
    page.text(
        DIM,
        "  ",
        &format!(
            "asked: {}",
            json::text(document, "policy").unwrap_or_default()
        ),
    );
    findings(&mut page, document);
    reasons(&mut page, "Why", document, "reasons");
    reasons(&mut page, "What stops it", document, "obstacles");
    steps(&mut page, document);
    candidates(&mut page, document);
    page.head("Expected loss");
    page.text(PLAIN, "  ", &loss(document));
    page.out
}

struct Page {
    out: String,
    width: Option<usize>,
}

impl Page {
    fn head(&mut self, text: &str) {
        self.out.push('\n');
        self.line(&paint(NAME, text), "");
    }

    fn line(&mut self, painted: &str, indent: &str) {
        self.out.push_str(indent);
        self.out.push_str(painted);
        self.out.push('\n');
    }

    /// A text that may take several lines.
    fn text(&mut self, style: anstyle::Style, indent: &str, text: &str) {
        let room = self
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(indent.len()));
        for line in wrap(text, room) {
            self.line(&paint(style, &line), indent);
        }
    }
}

fn server(value: &Value, path: &str) -> String {
    let at = |name: &str| json::text(value, &format!("{path}.{name}"));
    at("address")
        .or_else(|| at("id"))
        .unwrap_or_else(|| "?".to_owned())
}

fn intention(document: &Value) -> String {
    let kind = json::text(document, "intention.kind").unwrap_or_else(|| "recovery".to_owned());
    let failed = server(document, "intention.failed");
    match json::text(document, "intention.action").as_deref() {
        Some("nothing") => "Nothing to do.".to_owned(),
        Some("recovering") => format!("A {kind} is under way."),
        Some("act") => format!("It begins a {kind} now: {failed}."),
        Some("wait") => format!("It waits; it may come to a {kind}: {failed}."),
        Some("hold") => format!("It does nothing about {failed}, for the reasons below."),
        other => other
            .unwrap_or("It does not say what it would do.")
            .to_owned(),
    }
}

fn findings(page: &mut Page, document: &Value) {
    page.head("Findings");
    let findings = json::list(document, "findings");
    if findings.is_empty() {
        page.text(GOOD, "  ", "none");
    }
    for value in findings {
        let finding = FindingView::read(value);
        let style = match finding.severity {
            Severity::Critical => BAD,
            Severity::Warning => WARN,
            Severity::Notice => NOTE,
        };
        let recovery = json::text(value, "recovery")
            .map(|kind| format!(" → {kind}"))
            .unwrap_or_default();
        let title = format!(
            "{} {}{recovery}",
            paint(style, &finding.code),
            server(value, "server")
        );
        page.line(&title, "  ");
        for text in &finding.evidence {
            page.text(PLAIN, "    ", text);
        }
    }
}

fn reasons(page: &mut Page, head: &str, document: &Value, path: &str) {
    let reasons = json::list(document, path);
    if reasons.is_empty() {
        return;
    }
    page.head(head);
    for reason in reasons {
        let code = json::text(reason, "code").unwrap_or_default();
        let text = json::text(reason, "text").unwrap_or_default();
        page.text(PLAIN, "  ", &format!("{text} ({code})"));
    }
}

/// What the recovery would do, and what would go wrong with it.
fn steps(page: &mut Page, document: &Value) {
    let steps = json::list(document, "steps");
    let problems = json::list(document, "problems");
    if steps.is_empty() && problems.is_empty() {
        return;
    }
    page.head("What it would do");
    for step in steps {
        let text = json::text(step, "text").unwrap_or_default();
        if json::flag(step, "fails") == Some(true) {
            page.text(WARN, "  ", &format!("{text} (would fail)"));
        } else {
            page.text(PLAIN, "  ", &text);
        }
    }
    for problem in problems.iter().filter_map(Value::as_str) {
        page.text(BAD, "  ", problem);
    }
}

fn candidates(page: &mut Page, document: &Value) {
    let candidates = json::list(document, "candidates");
    if candidates.is_empty() {
        return;
    }
    page.head("Who would take over");
    let mut ordered: Vec<&Value> = candidates.iter().collect();
    ordered.sort_by_key(|candidate| json::number(candidate, "rank").unwrap_or(u64::MAX));
    let rows: Vec<Vec<Cell>> = ordered.into_iter().map(candidate_row).collect();
    for line in table(&rows, page.width.map(|width| width.saturating_sub(2))) {
        page.line(&line, "  ");
    }
}

fn candidate_row(candidate: &Value) -> Vec<Cell> {
    let count = |path: &str| json::number(candidate, path);
    let rank = count("rank");
    let (place, style) = match rank {
        Some(1) => ("1.".to_owned(), GOOD),
        Some(rank) => (format!("{rank}."), PLAIN),
        None => ("–".to_owned(), DIM),
    };
    let behind = match (count("missing"), count("unapplied")) {
        (Some(0), Some(0)) => "complete".to_owned(),
        (missing, unapplied) => {
            let part = |count: Option<u64>, word: &str| {
                count
                    .filter(|count| *count > 0)
                    .map(|n| format!("{n} {word}"))
            };
            [part(missing, "missing"), part(unapplied, "unapplied")]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ")
        }
    };
    let texts = json::list(candidate, "reasons")
        .iter()
        .filter_map(|reason| json::text(reason, "text"))
        .map(|text| text.trim_end_matches('.').to_owned());
    vec![
        Cell::new(style, place),
        Cell::new(style, server(candidate, "server")),
        Cell::plain(behind),
        Cell::new(DIM, texts.collect::<Vec<_>>().join("; ")),
    ]
}

fn loss(document: &Value) -> String {
    match json::text(document, "expected_loss.kind").as_deref() {
        Some("none") => "none".to_owned(),
        Some("nothing-acknowledged") => "nothing that was acknowledged".to_owned(),
        Some("at-most") if json::number(document, "expected_loss.transactions") == Some(0) => {
            "none, as far as the primary's last known state tells".to_owned()
        }
        Some("at-most") => {
            let number = json::number(document, "expected_loss.transactions").unwrap_or_default();
            format!(
                "at most {number} {}",
                if number == 1 {
                    "transaction"
                } else {
                    "transactions"
                }
            )
        }
        _ => {
            let reason = json::text(document, "expected_loss.reason")
                .unwrap_or_else(|| "no reason is given".to_owned());
            format!("not known: {reason}")
        }
    }
}
