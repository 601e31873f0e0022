//! The words that `wit/` names are those that the host sends.

use baton_core::analysis::Code;
use baton_core::model::{ProbeFailure, RecoveryKind, RecoveryOutcome};
use baton_core::policy::Suggestion;

const FAILOVER: &str = include_str!("../../../../wit/failover.wit");
const TYPES: &str = include_str!("../../../../wit/types.wit");

/// The words in the comment above `field` of `record`.
fn named<'w>(wit: &'w str, record: &str, field: &str) -> Vec<&'w str> {
    let start = format!("record {record} {{");
    let (_, body) = wit.split_once(&start).expect("a record");
    let (body, _) = body.split_once("\n  }").expect("its end");
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    let is_field = |line: &&str| line.starts_with(&format!("{field}:"));
    let place = lines.iter().position(is_field).expect("a field");
    let comment = lines[..place].iter().rev();
    let comment: Vec<&&str> = comment.take_while(|line| line.starts_with("///")).collect();
    let words = comment
        .into_iter()
        .rev()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    words.collect()
}

#[test]
fn kinds_outcomes_and_suggestions_are_named_in_full() {
    let kinds: Vec<&str> = RecoveryKind::ALL.iter().map(|kind| kind.word()).collect();
    assert_eq!(named(FAILOVER, "recovery", "kind"), kinds);
    let outcomes: Vec<&str> = RecoveryOutcome::ALL.iter().map(|one| one.word()).collect();
    assert_eq!(named(FAILOVER, "recovery", "outcome"), outcomes);
    let suggestions: Vec<&str> = Suggestion::ALL.iter().map(|one| one.word()).collect();
    assert_eq!(named(FAILOVER, "finding", "suggestion"), suggestions);
    assert_eq!(named(TYPES, "probe", "failure"), ProbeFailure::WORDS);
}

#[test]
fn purposes_and_findings_that_are_named_are_known() {
    let purposes = named(FAILOVER, "rank-question", "purpose");
    let asks = |kind: &&RecoveryKind| !matches!(kind, RecoveryKind::Rejoin | RecoveryKind::Reopen);
    let asked: Vec<&str> = RecoveryKind::ALL
        .iter()
        .filter(asks)
        .map(|kind| kind.word())
        .collect();
    assert_eq!(purposes, asked);
    let codes = named(FAILOVER, "finding", "code");
    assert!(codes.len() > 3, "{codes:?}");
    for code in codes {
        assert!(Code::from_word(code).is_some(), "{code}");
    }
}
