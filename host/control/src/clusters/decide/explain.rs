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
use crate::clusters::forecast::{Foresight, Question, foresee};
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
    let mut due = None;
    if let Some((kind, subject)) = &judged.subject
        && snapshot.control.active.is_none()
    {
        due = Some(foresee(client, settings, snapshot, &question(*kind, subject)).await);
    }
    let lost = judged.subject.as_ref();
    let lost = lost.filter(|(kind, _)| kind.replaces_lost_primary());
    let primary = match lost {
        Some((_, server)) => Some(server),
        None => view.report.primary.server(),
    };
    let succession = match (primary, &due) {
        (None, _) => Succession::default(),
        (Some(primary), Some(due)) if lost.is_some() => {
            Succession::of(snapshot, primary, due.clone())
        }
        (Some(primary), _) => {
            let question = question(RecoveryKind::Failover, primary);
            let seen = foresee(client, settings, &without(snapshot, primary), &question).await;
            Succession::of(snapshot, primary, seen)
        }
    };
    let forecast = due.map(|due| due.forecast);
    let (steps, problems) = forecast
        .map(|it| (it.steps, it.problems))
        .unwrap_or_default();
    Explanation {
        cluster: snapshot.cluster.id.clone(),
        name: snapshot.cluster.name.clone(),
        intention: intention(view, &judged),
        reasons: judged.reasons.clone(),
        obstacles: obstacles(view, &judged),
        candidates: succession.candidates,
        expected_loss: succession.loss,
        report: view.report.clone(),
        policy: succession.policy.unwrap_or(judged.policy),
        steps,
        problems,
    }
}

/// Who would replace a primary, and what that would lose.
struct Succession {
    candidates: Vec<CandidateView>,
    loss: ExpectedLoss,
    /// Who ranked, if anybody had to.
    policy: Option<String>,
}

impl Default for Succession {
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            loss: ExpectedLoss::None,
            policy: None,
        }
    }
}

impl Succession {
    fn of(snapshot: &Snapshot, primary: &ServerId, seen: Foresight) -> Self {
        let mut list = seen.forecast.candidates;
        let mut views = seen.candidates;
        if list.is_empty() {
            // Nobody may take over: each is shown with its reasons.
            list = candidates(snapshot, primary, None);
            views = list.iter().map(CandidateView::of).collect();
        }
        Self {
            loss: expected_loss(snapshot, primary, &list),
            candidates: views,
            policy: seen.policy,
        }
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
