//! `docs/findings.md` says what the code says.

use std::collections::BTreeSet;

use super::*;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings.md");

/// The document with the rows of the table whose header begins with `| first |` replaced.
fn with_table(document: &str, first: &str, rows: &[String]) -> String {
    let lines: Vec<&str> = document.lines().collect();
    let header = format!("| {first} |");
    let begins = lines.iter().position(|line| line.starts_with(&header));
    let begins = begins.expect("the table's header") + 2;
    let rest = lines[begins..]
        .iter()
        .position(|line| !line.starts_with('|'));
    let ends = begins + rest.unwrap_or(lines.len() - begins);
    let rows = rows.iter().map(String::as_str);
    let all = lines[..begins].iter().copied().chain(rows);
    let all: Vec<&str> = all.chain(lines[ends..].iter().copied()).collect();
    all.join("\n") + "\n"
}

fn finding_row(code: Code) -> String {
    let names = std::iter::once(code.orchestrator()).chain(code.structure_warnings());
    let names = names.filter(|name| *name != "NoProblem");
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    format!(
        "| `{}` | {} | {} | {} |",
        code.word(),
        code.meaning(),
        names.join(", "),
        code.baton_would()
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "it keeps a document, not a state"
)]
fn the_tables_of_the_document_are_those_of_the_code() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let findings: Vec<String> = Code::ALL.iter().map(|code| finding_row(*code)).collect();
    let row = |(word, text): &(&str, &str)| format!("| `{word}` | {text} |");
    let evidence: Vec<String> = EVIDENCE_CODES.iter().map(row).collect();
    let page = with_table(&document, "Finding", &findings);
    let page = with_table(&page, "Evidence", &evidence);
    if std::env::var_os("BATON_UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &page).unwrap();
        return;
    }
    assert!(
        page == document,
        "docs/findings.md is out of date: BATON_UPDATE_DOCS=1 cargo test -p baton-core --lib document"
    );
}

#[test]
fn codes_of_evidence_are_unique() {
    let codes: BTreeSet<&str> = EVIDENCE_CODES.iter().map(|(word, _)| *word).collect();
    assert_eq!(codes.len(), EVIDENCE_CODES.len());
}

#[test]
fn formats_name_their_structure_warning() {
    let report = report_of(
        "
        p1 primary
        r1 <- p1 format=mixed
        r2 <- p1 format=row
        ",
    );
    let found = report
        .findings
        .iter()
        .find(|f| f.code == Code::MixedLogFormats)
        .unwrap();
    assert_eq!(
        found.structure_warnings(),
        ["MixedAndRowLoggingReplicasStructureWarning"]
    );
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.code.orchestrator() == "NoProblem")
    );
}

/// Every code is the outcome of a sketch of these tests, and every word of evidence is used.
#[test]
fn every_code_and_clue_is_shown_by_a_table() {
    let tables = [
        include_str!("acknowledging.rs"),
        include_str!("cut_off.rs"),
        include_str!("primary_silent.rs"),
        include_str!("primary_answers.rs"),
        include_str!("intermediates.rs"),
        include_str!("operators.rs"),
        include_str!("replicas.rs"),
        include_str!("bounds.rs"),
        include_str!("closed.rs"),
        include_str!("returned.rs"),
        include_str!("unknowns.rs"),
        include_str!("writers.rs"),
    ]
    .concat();
    let words: BTreeSet<&str> = tables
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '"'))
        .collect();
    for code in Code::ALL {
        assert!(
            words.contains(code.word()),
            "no table shows {}",
            code.word()
        );
    }
    for (code, _) in EVIDENCE_CODES {
        assert!(words.contains(code), "no table shows {code}");
    }
}
