//! Explains a cluster: what is wrong, what Baton would do now, and why not. Asks the policy as a
//! decision would, and changes nothing.

use std::sync::Arc;

use baton_core::analysis::{Finding, Severity};
use baton_core::ids::ServerId;
use baton_core::model::RecoveryKind;
use baton_core::planning::{
    Candidate, CandidateView, ExpectedLoss, Explanation, Intention, Reason, candidates,
    delayed_last, expected_loss, rank_question,
};

use super::Published;
use super::judge::Judged;
use crate::api::ClusterView;
use crate::clusters::policy::{PolicyClient, reason};

/// Explains a cluster from its last published state.
pub(crate) async fn explain(
    client: &PolicyClient,
    published: &Published,
    view: &Arc<ClusterView>,
) -> Explanation {
    let snapshot = &view.snapshot;
    let judged = published.judged();
    let replaced = judged
        .subject
        .as_ref()
        .filter(|(kind, _)| kind.replaces_lost_primary())
        .map(|(_, server)| server.clone())
        .or_else(|| view.report.primary.server().cloned());
    let list = replaced
        .as_ref()
        .map(|id| candidates(snapshot, id, None))
        .unwrap_or_default();
    let mut policy = judged.policy.clone();
    let ranked = match &replaced {
        Some(id) => rank(client, view, id, &list, &mut policy).await,
        None => Vec::new(),
    };
    Explanation {
        cluster: snapshot.cluster.id.clone(),
        name: snapshot.cluster.name.clone(),
        intention: intention(view, &judged),
        reasons: judged.reasons.clone(),
        obstacles: obstacles(view, &judged),
        candidates: ranked,
        expected_loss: replaced
            .map_or(ExpectedLoss::None, |id| expected_loss(snapshot, &id, &list)),
        report: view.report.clone(),
        policy,
    }
}

/// What stops a recovery. If no recovery answers the finding, the finding's evidence.
fn obstacles(view: &ClusterView, judged: &Judged) -> Vec<Reason> {
    if judged.subject.is_some() || !judged.obstacles.is_empty() {
        return judged.obstacles.clone();
    }
    let evidence = worst(view)
        .into_iter()
        .flat_map(|finding| &finding.evidence);
    evidence.cloned().map(Reason::from).collect()
}

/// The finding to explain if none has a recovery.
fn worst(view: &ClusterView) -> Option<&Finding> {
    let mut findings = view.report.findings.iter();
    findings.find(|finding| finding.severity == Severity::Critical)
}

fn intention(view: &ClusterView, judged: &Judged) -> Intention {
    if let Some(active) = &view.snapshot.control.active {
        return Intention::Recovering { kind: active.kind };
    }
    match &judged.subject {
        None => match worst(view) {
            Some(finding) => Intention::Hold {
                kind: None,
                failed: finding.server.clone(),
            },
            None => Intention::Nothing,
        },
        Some((kind, failed)) if !judged.obstacles.is_empty() => Intention::Hold {
            kind: Some(*kind),
            failed: failed.clone(),
        },
        Some((kind, failed)) if judged.will_wait => Intention::Wait {
            kind: *kind,
            failed: failed.clone(),
        },
        Some((kind, failed)) => Intention::Act {
            kind: *kind,
            failed: failed.clone(),
        },
    }
}

async fn rank(
    client: &PolicyClient,
    view: &ClusterView,
    replaced: &ServerId,
    list: &[Candidate],
    policy: &mut String,
) -> Vec<CandidateView> {
    let snapshot = &view.snapshot;
    let context = client.context(snapshot, "explain");
    let asked = rank_question(
        snapshot,
        (RecoveryKind::Failover, replaced),
        list,
        None,
        context,
    );
    let mut views: Vec<CandidateView> = list.iter().map(plain_view).collect();
    if asked.question.candidates.is_empty() {
        return views;
    }
    let reply = client.rank(&asked.question).await;
    policy.clone_from(&reply.policy);
    let order = delayed_last(&asked.order(&reply.answer.order), list);
    for (id, place) in order.iter().zip(1_u32..) {
        if let Some(view) = views.iter_mut().find(|view| view.server == *id) {
            view.rank = Some(place);
        }
    }
    for ranked in &reply.answer.order {
        let view = views
            .iter_mut()
            .find(|view| asked.id(ranked.server) == Some(&view.server));
        if let Some(view) = view {
            view.score = Some(ranked.score);
            view.reasons
                .extend(ranked.reasons.iter().map(|r| reason(r, &asked.ids)));
        }
    }
    for veto in &reply.answer.vetoes {
        let view = views
            .iter_mut()
            .find(|view| asked.id(veto.server) == Some(&view.server));
        if let Some(view) = view {
            view.reasons
                .extend(veto.reasons.iter().map(|r| reason(r, &asked.ids)));
        }
    }
    views.sort_by_key(|view| {
        (
            view.rank.unwrap_or(u32::MAX),
            view.excluded,
            view.server.clone(),
        )
    });
    views
}

fn plain_view(candidate: &Candidate) -> CandidateView {
    CandidateView {
        server: candidate.server.clone(),
        rank: None,
        score: None,
        missing: candidate.missing,
        unapplied: candidate.unapplied,
        reasons: candidate
            .exclusions()
            .chain(candidate.warnings.iter().cloned())
            .collect(),
        excluded: !candidate.is_allowed(),
    }
}
