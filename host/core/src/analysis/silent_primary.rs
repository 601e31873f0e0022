//! A primary, or a co-primary, that does not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::report::{Evidence, Severity};
use super::silence::{Assessment, Loss, judge};
use super::writers::unless_rivals;
use crate::ids::ServerId;
use crate::model::{ProbeFailure, Reach, RecoveryKind, Server, TimeoutPhase};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[primary, passive_co_primaries];

/// The primary is silent.
pub(super) fn primary(cx: &Context<'_>, report: &mut ReportBuilder) {
    let silent = |server: &&Server| server.probe.reach() == Reach::Silent;
    let Some(primary) = cx.primary().filter(silent) else {
        return;
    };
    let verdict = judge(cx, primary, report);
    let (loss, mut found) = (verdict.loss, verdict.evidence);
    let partner = cx.topology.co_primary_of(&primary.id);
    let id = &primary.id;
    let answer = match partner.filter(|partner| cx.answers(partner)) {
        Some(_) => RecoveryKind::CoPrimaryFailover,
        None => RecoveryKind::Failover,
    };
    let code = match loss {
        Loss::Alive { all_lag } => {
            let code = unreachable_code(partner, all_lag);
            return report.note(code, id, Severity::Warning, found);
        }
        Loss::AllSilent => {
            let code = Code::PrimaryAndReplicasDead;
            return report.note(code, id, Severity::Critical, found);
        }
        Loss::NoReplicas => {
            let code = Code::PrimaryDeadWithoutReplicas;
            return report.note(code, id, Severity::Critical, found);
        }
        Loss::Incomplete => {
            let wait = (Suggestion::Wait, answer);
            return report.propose_recovery(Code::PrimarySilent, id, wait, found);
        }
        Loss::NoReplicaTells { refused: false, .. } => {
            let hold = (Suggestion::Hold, answer);
            return report.propose_recovery(Code::PrimarySilent, id, hold, found);
        }
        Loss::Hung | Loss::Dead { .. } if lets_replicas_in(cx, primary, &mut found) => {
            let wait = (Suggestion::Wait, answer);
            return report.propose_recovery(Code::PrimarySilent, id, wait, found);
        }
        Loss::Hung => Code::PrimaryHung,
        Loss::Dead { some_silent }
        | Loss::NoReplicaTells {
            refused: true,
            some_silent,
        } => dead_code(partner, some_silent),
    };
    let suggestion = unless_rivals(cx, id, &mut found);
    report.propose_recovery(code, id, (suggestion, answer), found);
}

/// Its replicas were cut off while it answered us, until it was lost or nearly so, and it accepts
/// connections without a greeting: that is what a living MariaDB does for a while when its
/// semi-synchronous replicas return.
fn lets_replicas_in(cx: &Context<'_>, primary: &Server, found: &mut Vec<Evidence>) -> bool {
    const JUST_BEFORE: Duration = Duration::from_secs(10);
    let probe = &primary.probe;
    let (Some(answered), Some(lost)) = (probe.answered_at, probe.failing_since) else {
        return false;
    };
    let is_late = cx.now().since(lost) >= cx.settings.return_patience;
    let mute = matches!(
        probe.failure,
        Some(ProbeFailure::Timeout(
            TimeoutPhase::Handshake | TimeoutPhase::Statement
        ))
    );
    if is_late || !mute {
        return false;
    }
    let returning: BTreeSet<&ServerId> = cx
        .edges_below(&primary.id)
        .filter(|edge| {
            let outages = cx.server(&edge.replica).map(|replica| &replica.outages);
            outages.into_iter().flatten().any(|outage| {
                outage.channel == edge.channel.name
                    && outage.since < answered
                    && lost.since(outage.last) <= JUST_BEFORE
            })
        })
        .map(|edge| &edge.replica)
        .collect();
    if returning.is_empty() {
        return false;
    }
    let text = format!(
        "{}: cut off from {} until lately. A primary that lets its replicas in again may let nobody else in for a while.",
        listed(returning.iter().copied()),
        primary.id
    );
    found.push(evidence("replicas-return", text, returning));
    true
}

fn unreachable_code(partner: Option<&ServerId>, all_lag: bool) -> Code {
    match (partner, all_lag) {
        (Some(_), _) => Code::CoPrimaryUnreachable,
        (None, true) => Code::PrimaryUnreachableReplicasLagging,
        (None, false) => Code::PrimaryUnreachable,
    }
}

fn dead_code(partner: Option<&ServerId>, some_silent: bool) -> Code {
    match (partner, some_silent) {
        (Some(_), true) => Code::CoPrimaryAndSomeReplicasDead,
        (Some(_), false) => Code::CoPrimaryDead,
        (None, true) => Code::PrimaryAndSomeReplicasDead,
        (None, false) => Code::PrimaryDead,
    }
}

/// A co-primary that is not the primary is silent. If it has replicas besides its partner, they
/// need a source.
pub(super) fn passive_co_primaries(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx
        .servers()
        .filter(|server| is_passive_co_primary(cx, &server.id))
    {
        if server.probe.reach() != Reach::Silent {
            continue;
        }
        let Assessment {
            loss,
            evidence: mut found,
            collected,
        } = judge(cx, server, report);
        let partner = cx.topology.co_primary_of(&server.id);
        let orphans = collected
            .said
            .keys()
            .any(|id| Some(*id) != partner && cx.answers(id));
        let id = &server.id;
        match loss {
            Loss::Alive { .. } => {
                report.note(Code::CoPrimaryUnreachable, id, Severity::Warning, found);
            }
            Loss::Incomplete => wait_for_evidence(report, id, found),
            Loss::NoReplicaTells { .. } | Loss::NoReplicas => {
                report.note(Code::ServerSilent, id, Severity::Warning, found);
            }
            Loss::AllSilent => {
                report.note(
                    Code::IntermediateAndReplicasDead,
                    id,
                    Severity::Warning,
                    found,
                );
            }
            Loss::Hung | Loss::Dead { .. } => {
                let some_silent = loss == Loss::Dead { some_silent: true };
                let code = dead_code(partner, some_silent);
                if orphans {
                    let suggestion = relocation(cx, &mut found);
                    let answer = (suggestion, RecoveryKind::IntermediateFailover);
                    report.propose_recovery(code, id, answer, found);
                } else {
                    report.note(code, id, Severity::Warning, found);
                }
            }
        }
    }
}

/// Nothing is known yet about a silent source that is not the primary.
pub(super) fn wait_for_evidence(report: &mut ReportBuilder, id: &ServerId, found: Vec<Evidence>) {
    let answer = (Suggestion::Wait, RecoveryKind::IntermediateFailover);
    report.propose_recovery_as(Severity::Warning, Code::ServerSilent, id, answer, found);
}

/// One of a pair that replicate from each other, and not the primary.
pub(super) fn is_passive_co_primary(cx: &Context<'_>, id: &ServerId) -> bool {
    !cx.is_primary(id)
        && cx
            .topology
            .co_primary_of(id)
            .is_some_and(|partner| cx.is_primary(partner))
}

/// Replicas can be given a source only below a primary that is known and answers. If it does not,
/// its own failover comes first.
pub(super) fn relocation(cx: &Context<'_>, list: &mut Vec<Evidence>) -> Suggestion {
    match cx.primary() {
        None => {
            let text = "No primary is known below which its replicas could go.".to_owned();
            list.push(evidence("primary-unknown", text, []));
            Suggestion::Hold
        }
        Some(primary) if !cx.answers(&primary.id) => {
            let text = format!(
                "The primary {} does not answer; it comes first.",
                primary.id
            );
            list.push(evidence("primary-not-answering", text, [&primary.id]));
            Suggestion::Wait
        }
        Some(_) => Suggestion::Act,
    }
}
