//! Explains a cluster: what is wrong, what Baton would do now, and why not. Asks the policy as a
//! decision would, and changes nothing.

use std::sync::Arc;

use baton_core::analysis::{Finding, Severity};
use baton_core::ids::ServerId;
use baton_core::model::{ProbeFailure, RecoveryKind, Snapshot};
use baton_core::planning::{
    CandidateView, ExpectedLoss, Explanation, Intention, Reason, candidates, expected_loss,
};

use super::Published;
use super::judge::Judged;
use crate::api::ClusterView;
use crate::clusters::forecast::{Question, foresee};
use crate::clusters::policy::PolicyClient;
use crate::settings::ControlSettings;

/// Explains a cluster from its last published state.
///
/// What would be done is the operation's dry run. Without anything to recover from, candidates and
/// loss are those of the present primary's loss.
pub(crate) async fn explain(
    client: &PolicyClient,
    settings: &ControlSettings,
    published: &Published,
    view: &Arc<ClusterView>,
) -> Explanation {
    let snapshot = &view.snapshot;
    let judged = published.judged();
    let due = judged.subject.as_ref();
    let due = due.filter(|_| snapshot.control.active.is_none());
    let seen = match due {
        Some((kind, subject)) => {
            let question = question(*kind, subject);
            Some(foresee(client, settings, snapshot, &question).await)
        }
        None => None,
    };
    let replaces = |(kind, _): &&(RecoveryKind, ServerId)| kind.replaces_lost_primary();
    let replaced = match judged.subject.as_ref().filter(replaces) {
        Some((_, server)) => Some(server.clone()),
        None => view.report.primary.server().cloned(),
    };
    let loss = match (&replaced, due.filter(replaces).and(seen.clone())) {
        (None, _) => None,
        (Some(_), Some(seen)) => Some(seen),
        (Some(primary), None) => {
            let question = question(RecoveryKind::Failover, primary);
            Some(foresee(client, settings, &without(snapshot, primary), &question).await)
        }
    };
    let mut list = loss.as_ref().map(|seen| seen.forecast.candidates.clone());
    if let (Some(list), Some(replaced)) = (&mut list, &replaced)
        && list.is_empty()
    {
        *list = candidates(snapshot, replaced, None);
    }
    let list = list.unwrap_or_default();
    let mut views = loss
        .as_ref()
        .map(|seen| seen.candidates.clone())
        .unwrap_or_default();
    if views.is_empty() {
        views = list.iter().map(CandidateView::of).collect();
    }
    let ranked_by = loss.and_then(|seen| seen.policy);
    let (steps, problems) = seen.map_or_else(Default::default, |seen| {
        (seen.forecast.steps, seen.forecast.problems)
    });
    Explanation {
        cluster: snapshot.cluster.id.clone(),
        name: snapshot.cluster.name.clone(),
        intention: intention(view, &judged),
        reasons: judged.reasons.clone(),
        obstacles: obstacles(view, &judged),
        candidates: views,
        expected_loss: replaced
            .map_or(ExpectedLoss::None, |id| expected_loss(snapshot, &id, &list)),
        report: view.report.clone(),
        policy: ranked_by.unwrap_or(judged.policy),
        steps,
        problems,
    }
}

fn question(kind: RecoveryKind, subject: &ServerId) -> Question {
    Question {
        kind,
        subject: subject.clone(),
        automatic: true,
        requested: None,
        consent: None,
    }
}

/// The cluster as it would look if its primary ended now.
fn without(snapshot: &Snapshot, primary: &ServerId) -> Snapshot {
    let mut lost = snapshot.clone();
    if let Some(server) = lost.servers.get_mut(primary) {
        server.probe.failed(lost.taken_at, ProbeFailure::Refused);
    }
    lost
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
                subject: finding.server.clone(),
            },
            None => Intention::Nothing,
        },
        Some((kind, subject)) if !judged.obstacles.is_empty() => Intention::Hold {
            kind: Some(*kind),
            subject: subject.clone(),
        },
        Some((kind, subject)) if judged.will_wait => Intention::Wait {
            kind: *kind,
            subject: subject.clone(),
        },
        Some((kind, subject)) => Intention::Act {
            kind: *kind,
            subject: subject.clone(),
        },
    }
}
