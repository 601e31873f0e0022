//! `docs/findings.md` says what the code says.

use std::collections::BTreeSet;

use super::*;

const DOCUMENT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/findings.md"
));

/// Cells of the rows of the table whose first header is `header`, without code marks.
fn table(header: &str) -> Vec<Vec<String>> {
    let rows = DOCUMENT
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {header} |")));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn every_code_and_what_it_is_to_orchestrator() {
    let documented: Vec<Vec<String>> = table("Finding")
        .into_iter()
        .map(|row| vec![row[0].clone(), row[2].clone()])
        .collect();
    let real: Vec<Vec<String>> = Code::ALL
        .iter()
        .map(|code| {
            let names = std::iter::once(code.orchestrator())
                .chain(code.structure_warnings().iter().copied())
                .filter(|name| *name != "NoProblem");
            vec![code.word().to_owned(), names.collect::<Vec<_>>().join(", ")]
        })
        .collect();
    assert_eq!(documented, real);
}

#[test]
fn every_word_of_evidence() {
    let real: Vec<Vec<String>> = EVIDENCE_CODES
        .iter()
        .map(|(word, text)| vec![(*word).to_owned(), (*text).to_owned()])
        .collect();
    assert_eq!(table("Evidence"), real);
}

#[test]
fn words_are_complete_and_unique() {
    let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    assert!(
        Code::ALL.is_sorted(),
        "Code::ALL is not in the order of the enum"
    );
    // The codes are numbered without a gap, so the last one tells how many there are.
    let last = Code::PrimaryDoesNotWait as usize;
    assert_eq!(Code::ALL.last(), Some(&Code::PrimaryDoesNotWait));
    assert_eq!(Code::ALL.len(), last + 1);
    for code in Code::ALL {
        assert_eq!(Code::from_word(code.word()), Some(*code));
    }
    assert_eq!(Code::from_word("primary-deadish"), None);
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
