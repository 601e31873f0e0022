//! What the node under test would do.

use baton_control::{ClusterView, OrderForecast, OrderKind};
use baton_core::ids::ServerId;
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_core::planning::{
    CandidateView, ExpectedLoss, Explanation, ForeseenStep, Intention, Phase, Reason,
};

pub(crate) fn explanation(view: &ClusterView) -> Explanation {
    let subject = ServerId::new("blog-1:3306");
    let about = |id: &str| vec![ServerId::new(id)];
    let reason = |code: &str, text: &str, about: Vec<ServerId>| Reason {
        code: code.into(),
        text: text.into(),
        about,
    };
    Explanation {
        cluster: view.snapshot.cluster.id.clone(),
        name: view.snapshot.cluster.name.clone(),
        report: view.report.clone(),
        intention: Intention::Hold {
            kind: Some(RecoveryKind::Failover),
            subject,
        },
        reasons: vec![reason(
            "evidence-complete",
            "both replicas have lost the primary",
            Vec::new(),
        )],
        obstacles: vec![reason(
            "not-automatic",
            "the cluster is not recovered without a person",
            Vec::new(),
        )],
        candidates: vec![
            CandidateView {
                server: ServerId::new("blog-2:3306"),
                rank: Some(1),
                score: Some(90),
                missing: Some(0),
                unapplied: Some(3),
                reasons: vec![reason(
                    "most-advanced",
                    "it has received everything",
                    about("blog-2:3306"),
                )],
                excluded: false,
            },
            CandidateView {
                server: ServerId::new("blog-3:3306"),
                rank: None,
                score: None,
                missing: None,
                unapplied: None,
                reasons: vec![reason(
                    "must-not",
                    "its promotion rule is must_not",
                    about("blog-3:3306"),
                )],
                excluded: true,
            },
        ],
        expected_loss: ExpectedLoss::AtMost { transactions: 2 },
        steps: vec![foreseen(Phase::Fence, "fence on blog-1:3306")],
        problems: vec!["no failover is possible: 2 transactions were received".into()],
        policy: "failover-default@0.1.0".into(),
    }
}

pub(crate) fn forecast(order: &OrderKind) -> OrderForecast {
    let (kind, successor) = match order {
        OrderKind::Failover { to, .. } => (RecoveryKind::Failover, to.clone()),
        OrderKind::Switchover { to } => (RecoveryKind::Switchover, to.clone()),
        OrderKind::Recover { to, .. } => (RecoveryKind::CoPrimaryFailover, to.clone()),
        OrderKind::Rejoin { .. } => (RecoveryKind::Rejoin, None),
    };
    OrderForecast {
        kind,
        subject: ServerId::new("blog-1:3306"),
        outcome: RecoveryOutcome::Succeeded,
        successor,
        steps: vec![foreseen(Phase::Promote, &format!("foreseen: {order}"))],
        problems: Vec::new(),
        candidates: Vec::new(),
        policy: None,
    }
}

fn foreseen(phase: Phase, text: &str) -> ForeseenStep {
    ForeseenStep {
        phase,
        server: None,
        text: text.into(),
        fails: false,
    }
}
