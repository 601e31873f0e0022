//! A recovery's journal as a timeline: each step once, with its beginning and how long it took.

use anstyle::Style;
use serde_json::Value;

use super::paint::{BAD, Cell, DIM, GOOD, NAME, PLAIN, WARN};
use super::{json, words};

/// One step: a line of the journal that begins it and the one that ends it, where there are both.
#[derive(Debug)]
struct Step<'a> {
    number: Option<u64>,
    phase: String,
    begun: u64,
    ended: Option<u64>,
    /// The line that says most.
    line: &'a Value,
}

/// Rows of a table: when it began, how long it took, how it stands, what.
pub(super) fn rows(lines: &[Value]) -> Vec<Vec<Cell>> {
    steps(lines)
        .iter()
        .map(|step| row(step.line, step.begun, step.ended))
        .collect()
}

/// Rows for lines that are new since the last look; a line that begins a step is left out if its
/// end is new, too.
pub(super) fn rows_of_new(lines: &[&Value]) -> Vec<Vec<Cell>> {
    let ends = |begin: &Value| {
        lines
            .iter()
            .any(|line| is_end(line) && key(line) == key(begin) && moment(line) >= moment(begin))
    };
    let told = lines.iter().filter(|line| is_end(line) || !ends(line));
    told.map(|line| row(line, moment(line), None)).collect()
}

/// How long each phase took, in the order in which they began; time in which two steps of a phase
/// ran counts once.
pub(super) fn phases(lines: &[Value]) -> Vec<(String, u64)> {
    let mut phases: Vec<(String, u64, u64)> = Vec::new();
    let mut steps = steps(lines);
    steps.sort_by_key(|step| step.begun);
    for step in steps {
        let ended = step.ended.unwrap_or(step.begun);
        match phases.iter_mut().find(|(phase, _, _)| *phase == step.phase) {
            Some((_, total, covered)) => {
                *total += ended.saturating_sub(step.begun.max(*covered));
                *covered = (*covered).max(ended);
            }
            None => phases.push((step.phase, ended.saturating_sub(step.begun), ended)),
        }
    }
    phases
        .into_iter()
        .map(|(phase, total, _)| (phase, total))
        .collect()
}

fn steps(lines: &[Value]) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in lines {
        let (number, phase) = key(line);
        let open = |step: &&mut Step<'_>| {
            step.ended.is_none() && (step.number, &step.phase) == (number, &phase)
        };
        let at = moment(line);
        // Newest first: after a restart a step may be journaled anew.
        let open = steps.iter_mut().rev().find(open);
        if let Some(step) = open.filter(|_| is_end(line)) {
            step.ended = Some(at);
            step.line = line;
        } else {
            let ended = is_end(line).then_some(at);
            steps.push(Step {
                number,
                phase,
                begun: at,
                ended,
                line,
            });
        }
    }
    steps
}

fn key(line: &Value) -> (Option<u64>, String) {
    (
        json::number(line, "step"),
        json::text(line, "phase").unwrap_or_default(),
    )
}

fn moment(line: &Value) -> u64 {
    json::number(line, "since_trigger_us").unwrap_or_default()
}

fn is_end(line: &Value) -> bool {
    json::text(line, "stage").as_deref() != Some("begun")
}

fn row(line: &Value, begun: u64, ended: Option<u64>) -> Vec<Cell> {
    let text = |path: &str| json::text(line, path).unwrap_or_default();
    let stage = text("stage");
    let (sign, style): (&str, Style) = match stage.as_str() {
        "begun" => ("…", DIM),
        "done" => ("✔", GOOD),
        "failed" => ("✖", BAD),
        "unknown" => ("?", WARN),
        "skipped" => ("–", DIM),
        _ => (" ", PLAIN),
    };
    let took = ended
        .map(|ended| ended.saturating_sub(begun))
        .filter(|took| *took > 0);
    vec![
        Cell::plain(format!("{:>10}", words::millis(begun))),
        Cell::new(
            DIM,
            took.map(|took| format!("{:>10}", format!("+{}", words::millis(took))))
                .unwrap_or_default(),
        ),
        Cell::new(style, sign),
        Cell::new(NAME, text("phase")),
        Cell::plain(text("server")),
        Cell::new(if stage == "begun" { DIM } else { PLAIN }, text("text")),
    ]
}
