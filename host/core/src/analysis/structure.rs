//! What would spoil a failover that is not needed yet.

use std::collections::BTreeSet;

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::report::{Evidence, Severity};
use crate::ids::ServerId;
use crate::model::{LogFormat, ServerFacts};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[replicas_of_primary, gtid_modes, unknown_sources];

/// Pairs of formats, with the evidence that names them.
const FORMAT_PAIRS: &[(LogFormat, LogFormat, &str)] = &[
    (
        LogFormat::Statement,
        LogFormat::Mixed,
        "statement-and-mixed",
    ),
    (LogFormat::Statement, LogFormat::Row, "statement-and-row"),
    (LogFormat::Mixed, LogFormat::Row, "mixed-and-row"),
];

/// A direct replica of the primary that answers.
struct Direct<'s> {
    id: &'s ServerId,
    facts: &'s ServerFacts,
    by_gtid: bool,
}

/// What the replicas of the primary have in common, and what not.
pub(super) fn replicas_of_primary(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let id = &primary.id;
    let direct: Vec<Direct<'_>> = cx
        .edges_below(id)
        .filter_map(|edge| {
            let facts = cx.current(&edge.replica)?;
            Some(Direct {
                id: &edge.replica,
                facts,
                by_gtid: edge.channel.auto_position,
            })
        })
        .collect();
    let mut warn = |code, found: Vec<Evidence>| {
        if !found.is_empty() {
            report.note(code, id, Severity::Warning, found);
        }
    };
    warn(Code::NoLoggingReplicas, no_logging(cx, id, &direct));
    warn(Code::NoFailoverSupport, without_gtid(&direct));
    let logging: Vec<&Direct<'_>> = direct
        .iter()
        .filter(|replica| logs(replica.facts))
        .collect();
    warn(Code::MixedLogFormats, mixed_formats(&logging));
    warn(Code::MixedVersions, mixed_versions(&logging));
    warn(Code::NotEnoughSemiSyncReplicas, semi_sync(cx, id));
}

fn logs(facts: &ServerFacts) -> bool {
    facts.log_bin && facts.log_updates
}

/// Only said if the state of all replicas is known.
fn no_logging(cx: &Context<'_>, primary: &ServerId, direct: &[Direct<'_>]) -> Vec<Evidence> {
    let all_known = cx.replicas(primary).len() == direct.len();
    if direct.is_empty() || !all_known || direct.iter().any(|replica| logs(replica.facts)) {
        return Vec::new();
    }
    let text =
        format!("No replica of {primary} logs what it applies, so none can lead the others.");
    vec![evidence(
        "no-log-updates",
        text,
        direct.iter().map(|replica| replica.id),
    )]
}

fn without_gtid(direct: &[Direct<'_>]) -> Vec<Evidence> {
    let without: Vec<&ServerId> = direct
        .iter()
        .filter(|replica| !replica.by_gtid)
        .map(|replica| replica.id)
        .collect();
    if without.is_empty() {
        return Vec::new();
    }
    let text = format!(
        "{}: positioned by file, not by GTID.",
        listed(without.iter().copied())
    );
    vec![evidence("no-auto-position", text, without)]
}

fn mixed_formats(logging: &[&Direct<'_>]) -> Vec<Evidence> {
    let with = |format| {
        let replicas = logging
            .iter()
            .filter(move |replica| replica.facts.log_format == format);
        replicas.map(|replica| replica.id).collect::<Vec<_>>()
    };
    let pairs = FORMAT_PAIRS.iter().filter_map(|(low, high, code)| {
        let (low_ids, high_ids) = (with(*low), with(*high));
        if low_ids.is_empty() || high_ids.is_empty() {
            return None;
        }
        let text = format!(
            "{} log as {low:?}, {} as {high:?}.",
            listed(low_ids.iter().copied()),
            listed(high_ids.iter().copied())
        );
        Some(evidence(code, text, low_ids.into_iter().chain(high_ids)))
    });
    pairs.collect()
}

fn mixed_versions(logging: &[&Direct<'_>]) -> Vec<Evidence> {
    // The series is what must agree: 8.0 and 8.4 are as far apart as 8.4 and 9.7.
    let series: BTreeSet<(u16, u16)> = logging
        .iter()
        .map(|replica| (replica.facts.version.major, replica.facts.version.minor))
        .collect();
    if series.len() < 2 {
        return Vec::new();
    }
    let texts: Vec<String> = series
        .iter()
        .map(|(major, minor)| format!("{major}.{minor}"))
        .collect();
    let text = format!("The replicas that log run {}.", texts.join(", "));
    vec![evidence(
        "several-versions",
        text,
        logging.iter().map(|replica| replica.id),
    )]
}

fn semi_sync(cx: &Context<'_>, primary: &ServerId) -> Vec<Evidence> {
    let semi = cx
        .current(primary)
        .and_then(|facts| facts.semi_sync.as_ref());
    let Some(semi) = semi.filter(|semi| semi.source_enabled && semi.clients < semi.wait_for) else {
        return Vec::new();
    };
    let numbers = format!(
        "{primary} wants {} acknowledgements and has {} replicas that acknowledge",
        semi.wait_for, semi.clients
    );
    if !semi.source_active {
        let text = format!("{numbers}; it does not wait for them.");
        vec![evidence("semi-sync-fell-back", text, [primary])]
    } else if semi.waiting_sessions == 0 {
        let text = format!("{numbers}; its next commit hangs.");
        let code = "more-acknowledgements-than-replicas";
        vec![evidence(code, text, [primary])]
    } else {
        // What waits already is said by the rule about the lock.
        Vec::new()
    }
}

/// A source and its replicas run in different GTID modes.
pub(super) fn gtid_modes(cx: &Context<'_>, report: &mut ReportBuilder) {
    for source in cx.servers() {
        let Some(facts) = cx.current(&source.id) else {
            continue;
        };
        let differs = |id: &&ServerId| {
            let replica = cx.current(id);
            replica.is_some_and(|found| !found.gtid_mode.eq_ignore_ascii_case(&facts.gtid_mode))
        };
        let others: Vec<&ServerId> = cx
            .replicas(&source.id)
            .into_iter()
            .filter(differs)
            .collect();
        if others.is_empty() {
            continue;
        }
        let names = listed(others.iter().copied());
        let text = format!(
            "{} is in GTID mode {}, not so {names}.",
            source.id, facts.gtid_mode
        );
        let found = vec![evidence("gtid-mode-differs", text, others)];
        report.note(Code::MixedGtidModes, &source.id, Severity::Warning, found);
    }
}

/// A channel points to a server that is no member.
pub(super) fn unknown_sources(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx.servers().filter(|server| cx.answers(&server.id)) {
        let outside = cx
            .topology
            .channels_of(&server.id)
            .iter()
            .filter(|e| e.source.is_none());
        let found: Vec<Evidence> = outside
            .map(|edge| {
                let text = match &edge.channel.source {
                    Some(address) => {
                        format!("{} reads from {address}, which is unknown.", server.id)
                    }
                    None => format!("{} has a channel without a source.", server.id),
                };
                evidence("points-outside", text, [&server.id])
            })
            .collect();
        if !found.is_empty() {
            // A primary that gets data from another cluster is set up so.
            let primary = cx.is_primary(&server.id);
            let severity = if primary {
                Severity::Notice
            } else {
                Severity::Warning
            };
            report.note(Code::SourceUnknown, &server.id, severity, found);
        }
    }
}
