//! A primary, or a co-primary, that does not answer.

use super::report::{Code, Severity};
use super::scene::{Draft, Scene, evidence};
use super::silence::{Loss, Verdict, judge};
use crate::ids::ServerId;
use crate::model::{Reach, RecoveryKind, Server};
use crate::policy::Suggestion;

/// The primary is silent.
pub(super) fn primary(scene: &Scene<'_>, draft: &mut Draft) {
    let silent = |server: &&Server| server.probe.reach() == Reach::Silent;
    let Some(primary) = scene.primary().filter(silent) else {
        return;
    };
    let Verdict {
        loss,
        evidence: found,
        ..
    } = judge(scene, primary, draft);
    let partner = scene.topology.co_primary_of(&primary.id);
    let id = &primary.id;
    let answer = match partner.filter(|partner| scene.answers(partner)) {
        Some(_) => RecoveryKind::CoPrimaryFailover,
        None => RecoveryKind::Failover,
    };
    let is_pair = partner.is_some();
    let act = (Suggestion::Act, answer);
    match loss {
        Loss::Alive { all_lag } => {
            let code = unreachable_code(is_pair, all_lag);
            draft.note(code, id, Severity::Warning, found);
        }
        Loss::Incomplete => {
            draft.propose(Code::PrimarySilent, id, (Suggestion::Wait, answer), found);
        }
        Loss::Hung => draft.propose(Code::PrimaryHung, id, act, found),
        Loss::Dead { some_silent }
        | Loss::NoWitness {
            refused: true,
            some_silent,
        } => {
            draft.propose(dead_code(is_pair, some_silent), id, act, found);
        }
        Loss::NoWitness { refused: false, .. } => {
            draft.propose(Code::PrimarySilent, id, (Suggestion::Hold, answer), found);
        }
        Loss::AllSilent => draft.note(Code::PrimaryAndReplicasDead, id, Severity::Critical, found),
        Loss::NoReplicas => {
            draft.note(
                Code::PrimaryDeadWithoutReplicas,
                id,
                Severity::Critical,
                found,
            );
        }
    }
}

fn unreachable_code(is_pair: bool, all_lag: bool) -> Code {
    match (is_pair, all_lag) {
        (true, _) => Code::CoPrimaryUnreachable,
        (false, true) => Code::PrimaryUnreachableReplicasLagging,
        (false, false) => Code::PrimaryUnreachable,
    }
}

fn dead_code(is_pair: bool, some_silent: bool) -> Code {
    match (is_pair, some_silent) {
        (true, true) => Code::CoPrimaryAndSomeReplicasDead,
        (true, false) => Code::CoPrimaryDead,
        (false, true) => Code::PrimaryAndSomeReplicasDead,
        (false, false) => Code::PrimaryDead,
    }
}

/// A co-primary that is not the primary is silent. If it has replicas besides its partner, they need a source.
pub(super) fn passive_co_primaries(scene: &Scene<'_>, draft: &mut Draft) {
    for server in scene
        .servers()
        .filter(|server| is_passive_co_primary(scene, &server.id))
    {
        if server.probe.reach() != Reach::Silent {
            continue;
        }
        let Verdict {
            loss,
            evidence: mut found,
            hearing,
        } = judge(scene, server, draft);
        let partner = scene.topology.co_primary_of(&server.id);
        let orphans = hearing
            .said
            .keys()
            .any(|id| Some(*id) != partner && scene.answers(id));
        let id = &server.id;
        match loss {
            Loss::Alive { .. } => {
                draft.note(Code::CoPrimaryUnreachable, id, Severity::Warning, found);
            }
            Loss::Incomplete | Loss::NoWitness { .. } | Loss::NoReplicas => {
                draft.note(Code::ServerSilent, id, Severity::Warning, found);
            }
            Loss::AllSilent => {
                draft.note(
                    Code::IntermediateAndReplicasDead,
                    id,
                    Severity::Warning,
                    found,
                );
            }
            Loss::Hung | Loss::Dead { .. } => {
                let some_silent = loss == Loss::Dead { some_silent: true };
                let code = dead_code(true, some_silent);
                if orphans {
                    let suggestion = relocation(scene, &mut found);
                    let answer = (suggestion, RecoveryKind::IntermediateFailover);
                    draft.propose(code, id, answer, found);
                } else {
                    draft.note(code, id, Severity::Warning, found);
                }
            }
        }
    }
}

/// One of a pair that replicate from each other, and not the primary.
pub(super) fn is_passive_co_primary(scene: &Scene<'_>, id: &ServerId) -> bool {
    !scene.is_primary(id)
        && scene
            .topology
            .co_primary_of(id)
            .is_some_and(|partner| scene.is_primary(partner))
}

/// Replicas can be given a source only below a primary that is known and answers. If it does not, its own failover comes
/// first.
pub(super) fn relocation(scene: &Scene<'_>, list: &mut Vec<super::report::Evidence>) -> Suggestion {
    match scene.primary() {
        None => {
            let text = "No primary is known below which its replicas could go.".to_owned();
            list.push(evidence("primary-unknown", text, []));
            Suggestion::Hold
        }
        Some(primary) if !scene.answers(&primary.id) => {
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
