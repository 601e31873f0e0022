//! A source that is neither primary nor co-primary does not answer.

use super::context::{Context, ReportBuilder};
use super::finding_codes::Code;
use super::report::Severity;
use super::silence::{Assessment, Loss, judge};
use super::silent_primary::{is_passive_co_primary, relocation, wait_for_evidence};
use crate::model::{Reach, RecoveryKind, Server};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[silent_intermediates];

pub(super) fn silent_intermediates(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx
        .servers()
        .filter(|server| is_silent_intermediate(cx, server))
    {
        let Assessment {
            loss,
            evidence: mut found,
            collected,
        } = judge(cx, server, report);
        let single = collected.said.len() == 1;
        let id = &server.id;
        match loss {
            // Says nothing that the rule about silent servers does not say.
            Loss::NoReplicas => {}
            Loss::Alive { all_lag: true } => {
                let code = Code::IntermediateUnreachableReplicasLagging;
                report.note(code, id, Severity::Warning, found);
            }
            Loss::Alive { all_lag: false } => {
                report.note(Code::IntermediateUnreachable, id, Severity::Warning, found);
            }
            Loss::Incomplete => wait_for_evidence(report, id, found),
            Loss::NoReplicaTells { refused: false, .. } => {
                report.note(Code::ServerSilent, id, Severity::Warning, found);
            }
            Loss::AllSilent => {
                report.note(
                    Code::IntermediateAndReplicasDead,
                    id,
                    Severity::Critical,
                    found,
                );
            }
            Loss::NoReplicaTells {
                refused: true,
                some_silent,
            } => {
                // Its replicas do not replicate anyway: a person has time to look.
                let code = if single {
                    Code::IntermediateDeadSingleReplica
                } else {
                    dead_code(some_silent)
                };
                let answer = (Suggestion::Hold, RecoveryKind::IntermediateFailover);
                report.propose_recovery(code, id, answer, found);
            }
            Loss::Hung | Loss::Dead { .. } => {
                let code = if single {
                    Code::IntermediateDeadSingleReplicaCannotConnect
                } else {
                    dead_code(loss == Loss::Dead { some_silent: true })
                };
                let suggestion = relocation(cx, &mut found);
                report.propose_recovery(
                    code,
                    id,
                    (suggestion, RecoveryKind::IntermediateFailover),
                    found,
                );
            }
        }
    }
}

fn dead_code(some_silent: bool) -> Code {
    if some_silent {
        Code::IntermediateAndSomeReplicasDead
    } else {
        Code::IntermediateDead
    }
}

fn is_silent_intermediate(cx: &Context<'_>, server: &Server) -> bool {
    server.probe.reach() == Reach::Silent
        && !cx.is_primary(&server.id)
        && !is_passive_co_primary(cx, &server.id)
        && !cx.replicas(&server.id).is_empty()
}
