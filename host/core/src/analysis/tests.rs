//! Tables of sketched clusters, and small worlds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{
    AnalysisSettings, Code, EVIDENCE_CODES, Finding, PrimaryView, ProbeRequest, Report, Severity,
    analyze,
};
use crate::ids::ServerId;
use crate::sketch;

mod acknowledging;
mod bounds;
mod closed;
mod cut_off;
mod document;
mod intermediates;
mod operators;
mod primary_answers;
mod primary_silent;
mod replicas;
mod returned;
mod small_worlds;
mod unknowns;
mod writers;

/// Everything that is said about a sketched cluster, one line each.
fn verdict_of(text: &str) -> String {
    said(&report_of(text))
}

fn report_of(text: &str) -> Report {
    analyze(&sketch::snapshot(text), &AnalysisSettings::default())
}

fn said(report: &Report) -> String {
    let mut text = String::new();
    match &report.primary {
        PrimaryView::Recorded(_) => {}
        PrimaryView::Derived(id) => writeln!(text, "primary derived: {id}").unwrap(),
        PrimaryView::Moved { from, to } => writeln!(text, "primary moved: {from} to {to}").unwrap(),
        PrimaryView::Unknown(ids) => {
            let names = if ids.is_empty() {
                "nobody".to_owned()
            } else {
                names(ids)
            };
            writeln!(text, "primary unknown: {names}").unwrap();
        }
    }
    for finding in &report.findings {
        writeln!(text, "{}", line(finding)).unwrap();
    }
    for probe in &report.probes {
        match probe {
            ProbeRequest::ReadNow { servers } => writeln!(text, "? read {}", names(servers)),
            ProbeRequest::ReconnectReceiver {
                server,
                channel,
                source,
            } => {
                writeln!(text, "? reconnect {server}@{channel} to {source}")
            }
        }
        .unwrap();
    }
    if text.is_empty() {
        "fine".to_owned()
    } else {
        text.trim_end().to_owned()
    }
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "CRITICAL",
    };
    let suggestion = finding.suggestion.word();
    let recovery = finding
        .recovery
        .map(|kind| format!(" {}", kind.word()))
        .unwrap_or_default();
    let mut line = format!(
        "{severity} {} {}: {suggestion}{recovery}",
        finding.code.word(),
        finding.server
    );
    for found in &finding.evidence {
        write!(line, "; {} {}", found.code, names(&found.about)).unwrap();
    }
    line.trim_end().to_owned()
}

fn names(ids: &[ServerId]) -> String {
    ids.iter()
        .map(ServerId::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

/// All words of evidence are explained.
fn assert_explained(report: &Report) {
    let known: BTreeSet<&str> = EVIDENCE_CODES.iter().map(|(word, _)| *word).collect();
    for found in report.findings.iter().flat_map(|finding| &finding.evidence) {
        assert!(
            known.contains(found.code),
            "{} is not among EVIDENCE_CODES",
            found.code
        );
    }
}

#[test]
fn a_healthy_cluster_is_fine() {
    insta::assert_snapshot!(verdict_of("
        p1 primary ss=source commit=ok connections=10/151
        r1 <- p1 ss=replica lag=2s
        r2 <- p1 lag=1h delay=1h sro
        r3 <- r2
    "), @"fine");
}

#[test]
fn no_server_no_finding() {
    insta::assert_snapshot!(verdict_of(""), @"primary unknown: nobody");
}

#[test]
fn a_single_server_is_its_own_primary() {
    insta::assert_snapshot!(verdict_of("p1 rw"), @"primary derived: p1");
}
