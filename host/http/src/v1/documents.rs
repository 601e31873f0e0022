//! From the control loop's values to the JSON of `/api/v1`: the only place in this direction.
//! Values are taken apart in full, so that a new field stops the build until someone decides
//! whether clients see it.

mod backend;
mod record;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use baton_control::{ClusterView, NodeStatus, NodeView, OrderForecast};
use baton_core::analysis::{Evidence, Finding, PrimaryView, Report};
use baton_core::ids::{NodeName, ServerId};
use baton_core::model::{ActiveRecovery, ClusterRecord, Control, PastRecovery, Server};
use baton_core::planning::{
    CandidateView, ExpectedLoss, Explanation, ForeseenStep, Intention, Reason,
};

use super::schema::{
    ActiveDocument, CandidateDocument, ClusterDocument, ClusterHead, ClusterSummary,
    ExplanationDocument, FindingDocument, ForecastDocument, ForeseenStepDocument,
    IntentionDocument, LossDocument, NodeDocument, NodeViewDocument, PastDocument, PrimaryDocument,
    ReasonDocument, ServerRef,
};
use crate::vocabulary::{Vocabulary as _, Word};
use baton_http_core::times::rfc3339;

pub(super) use backend::{backend, backend_move};
pub(super) use record::{audit, recovery, route, step, stray};
pub(super) use server::{downtime_document, server};

/// Names the servers of a cluster.
pub(super) struct Names<'a>(&'a ClusterView);

impl<'a> Names<'a> {
    pub(super) fn of(view: &'a ClusterView) -> Self {
        Self(view)
    }

    pub(super) fn server(&self, id: &ServerId) -> ServerRef {
        let server = self.0.snapshot.servers.get(id);
        let address = server.map(|server| server.address.to_string());
        ServerRef {
            id: id.as_str().to_owned(),
            address,
        }
    }

    fn servers(&self, ids: &[ServerId]) -> Vec<ServerRef> {
        ids.iter().map(|id| self.server(id)).collect()
    }
}

pub(super) fn node(status: NodeStatus) -> NodeDocument {
    let NodeStatus {
        name,
        version,
        token,
        started,
        lease,
        stands_in,
        barred: _,
        leader,
        url,
        store_problem,
        store,
        policy,
        recoveries_enabled,
        warm,
        counters,
    } = status;
    NodeDocument {
        name: name.as_str().to_owned(),
        version,
        token,
        started_at: rfc3339(started),
        is_leader: lease.is_some(),
        lease_epoch: lease.map(|epoch| epoch.0),
        stands_in,
        leader: leader.map(|leader| leader.as_str().to_owned()),
        url,
        store,
        store_problem,
        policy,
        recoveries_enabled,
        warm,
        counters: counters.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// A node as this one knows it.
pub(super) fn node_view(view: NodeView) -> NodeViewDocument {
    let NodeView {
        name,
        url,
        version,
        token,
        life,
        answered_age,
        leads,
        epoch,
        store_answers,
        hears,
    } = view;
    let text = |name: NodeName| name.as_str().to_owned();
    NodeViewDocument {
        name: name.map(text),
        url,
        version,
        token,
        life: Word(life),
        answered_age_ms: answered_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        is_leader: leads,
        epoch: epoch.map(|epoch| epoch.0),
        store_answers,
        hears: hears.into_iter().map(text).collect(),
    }
}

/// A cluster in a few lines.
pub(super) fn summary(view: &ClusterView) -> ClusterSummary {
    ClusterSummary {
        head: head(view),
        servers: view.snapshot.servers.len(),
        findings: view.report.findings.len(),
    }
}

fn head(view: &ClusterView) -> ClusterHead {
    let names = Names::of(view);
    let ClusterRecord {
        id,
        name,
        primary: _,
        primary_epoch: _,
    } = &view.snapshot.cluster;
    let worst = view
        .report
        .findings
        .iter()
        .map(|finding| finding.severity)
        .max();
    let control = &view.snapshot.control;
    let status = match (&control.active, worst) {
        (Some(_), _) => "recovering",
        (None, Some(severity)) => severity.word(),
        (None, None) => "ok",
    };
    let answering = |server: &&Server| server.probe.reach() == baton_core::model::Reach::Answering;
    ClusterHead {
        id: id.as_str().to_owned(),
        name: name.clone(),
        status,
        primary: view.report.primary.server().map(|id| names.server(id)),
        servers_answering: view.snapshot.servers.values().filter(answering).count(),
        automatic: control.automatic,
        recovering: control
            .active
            .clone()
            .map(|active| recovering(&names, active)),
        as_of: rfc3339(view.snapshot.wall),
    }
}

/// A cluster in full.
pub(super) fn cluster(view: &ClusterView) -> ClusterDocument {
    let names = Names::of(view);
    let Control {
        automatic: _,
        risk,
        enabled,
        lease: _,
        active: _,
        past,
    } = view.snapshot.control.clone();
    // What the loop reads next is its own business.
    let Report {
        taken_at: _,
        primary,
        findings,
        probes: _,
    } = view.report.clone();
    ClusterDocument {
        head: head(view),
        primary_view: primary_view(&names, primary),
        primary_epoch: view.snapshot.cluster.primary_epoch.0,
        risk: Word(risk),
        recoveries_enabled: Word(enabled),
        servers: view
            .snapshot
            .servers
            .values()
            .map(|server_| server(view, server_))
            .collect(),
        findings: findings.into_iter().map(|one| finding(view, one)).collect(),
        past_recoveries: past
            .into_iter()
            .map(|one| past_recovery(&names, one))
            .collect(),
    }
}

fn recovering(names: &Names<'_>, active: ActiveRecovery) -> ActiveDocument {
    let ActiveRecovery { id, kind, subject } = active;
    ActiveDocument {
        id: id.as_str().to_owned(),
        kind: Word(kind),
        failed: names.server(&subject),
    }
}

fn past_recovery(names: &Names<'_>, past: PastRecovery) -> PastDocument {
    let PastRecovery {
        id,
        kind,
        outcome,
        promoted,
        // A recovery's own document says who was lost.
        left_behind: _,
        automatic,
        started,
        ended,
        subject,
        successor,
        acknowledged,
    } = past;
    PastDocument {
        id: id.as_str().to_owned(),
        kind: Word(kind),
        outcome: Word(outcome),
        promoted,
        automatic,
        started_at: rfc3339(started),
        ended_at: ended.map(rfc3339),
        failed: names.server(&subject),
        successor: successor.map(|id| names.server(&id)),
        acknowledged,
    }
}

fn primary_view(names: &Names<'_>, primary: PrimaryView) -> PrimaryDocument {
    let (state, server, recorded, candidates) = match primary {
        PrimaryView::Recorded(id) => ("recorded", Some(id), None, Vec::new()),
        PrimaryView::Derived(id) => ("derived", Some(id), None, Vec::new()),
        PrimaryView::Moved { from, to } => ("moved", Some(to), Some(from), Vec::new()),
        PrimaryView::Unknown(candidates) => ("unknown", None, None, candidates),
    };
    PrimaryDocument {
        state,
        server: server.map(|id| names.server(&id)),
        recorded: recorded.map(|id| names.server(&id)),
        candidates: names.servers(&candidates),
    }
}

/// A finding of a cluster.
pub(super) fn finding(view: &ClusterView, finding: Finding) -> FindingDocument {
    let names = Names::of(view);
    let Finding {
        code,
        server,
        severity,
        suggestion,
        recovery,
        evidence,
    } = finding;
    FindingDocument {
        code: Word(code),
        cluster: view.snapshot.cluster.id.as_str().to_owned(),
        cluster_name: view.snapshot.cluster.name.clone(),
        server: names.server(&server),
        severity: Word(severity),
        suggestion: Word(suggestion),
        recovery: recovery.map(Word),
        evidence: evidence
            .into_iter()
            .map(|one| evidence_document(&names, one))
            .collect(),
    }
}

fn evidence_document(names: &Names<'_>, evidence: Evidence) -> ReasonDocument {
    let Evidence { code, text, about } = evidence;
    ReasonDocument {
        code: code.to_owned(),
        text,
        about: names.servers(&about),
    }
}

fn reason(names: &Names<'_>, reason: Reason) -> ReasonDocument {
    let Reason { code, text, about } = reason;
    ReasonDocument {
        code,
        text,
        about: names.servers(&about),
    }
}

/// What Baton would do, and why.
pub(super) fn explanation(view: &ClusterView, explanation: Explanation) -> ExplanationDocument {
    let names = Names::of(view);
    let Explanation {
        cluster,
        name,
        report,
        intention: intended,
        reasons,
        obstacles,
        candidates,
        expected_loss,
        steps,
        problems,
        policy,
    } = explanation;
    let Report {
        taken_at: _,
        primary,
        findings,
        probes: _,
    } = report;
    ExplanationDocument {
        cluster: cluster.as_str().to_owned(),
        name,
        primary_view: primary_view(&names, primary),
        findings: findings.into_iter().map(|one| finding(view, one)).collect(),
        intention: intention(&names, intended),
        reasons: reasons.into_iter().map(|one| reason(&names, one)).collect(),
        obstacles: obstacles
            .into_iter()
            .map(|one| reason(&names, one))
            .collect(),
        candidates: candidates
            .into_iter()
            .map(|one| candidate(&names, one))
            .collect(),
        expected_loss: loss(expected_loss),
        steps: steps
            .into_iter()
            .map(|step| foreseen(&names, step))
            .collect(),
        problems,
        policy,
    }
}

/// What an order would come to.
pub(super) fn forecast(view: &ClusterView, forecast: OrderForecast) -> ForecastDocument {
    let names = Names::of(view);
    let OrderForecast {
        kind,
        subject,
        outcome,
        successor,
        steps,
        problems,
        candidates,
        policy,
    } = forecast;
    let candidates = candidates.into_iter();
    ForecastDocument {
        cluster: view.snapshot.cluster.id.as_str().to_owned(),
        name: view.snapshot.cluster.name.clone(),
        kind: Word(kind),
        subject: names.server(&subject),
        outcome: Word(outcome),
        successor: successor.map(|id| names.server(&id)),
        steps: steps
            .into_iter()
            .map(|step| foreseen(&names, step))
            .collect(),
        problems,
        candidates: candidates.map(|one| candidate(&names, one)).collect(),
        policy,
    }
}

fn foreseen(names: &Names<'_>, step: ForeseenStep) -> ForeseenStepDocument {
    let ForeseenStep {
        phase,
        server,
        text,
        fails,
    } = step;
    ForeseenStepDocument {
        phase: Word(phase),
        server: server.map(|id| names.server(&id)),
        text,
        fails,
    }
}

fn intention(names: &Names<'_>, intention: Intention) -> IntentionDocument {
    let (action, kind, failed) = match intention {
        Intention::Nothing => ("nothing", None, None),
        Intention::Recovering { kind } => ("recovering", Some(kind), None),
        Intention::Act { kind, subject } => ("act", Some(kind), Some(subject)),
        Intention::Wait { kind, subject } => ("wait", Some(kind), Some(subject)),
        Intention::Hold { kind, subject } => ("hold", kind, Some(subject)),
    };
    IntentionDocument {
        action,
        kind: kind.map(Word),
        failed: failed.map(|id| names.server(&id)),
    }
}

fn candidate(names: &Names<'_>, candidate: CandidateView) -> CandidateDocument {
    let CandidateView {
        server,
        rank,
        score,
        missing,
        unapplied,
        reasons,
        excluded,
    } = candidate;
    CandidateDocument {
        server: names.server(&server),
        rank,
        score,
        missing,
        unapplied,
        reasons: reasons.into_iter().map(|one| reason(names, one)).collect(),
        excluded,
    }
}

fn loss(loss: ExpectedLoss) -> LossDocument {
    let (kind, transactions, reason) = match loss {
        ExpectedLoss::None => ("none", None, None),
        ExpectedLoss::NothingAcknowledged => ("nothing-acknowledged", None, None),
        ExpectedLoss::AtMost { transactions } => ("at-most", Some(transactions), None),
        ExpectedLoss::Unknown { reason } => ("unknown", None, Some(reason)),
    };
    LossDocument {
        kind,
        transactions,
        reason,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
