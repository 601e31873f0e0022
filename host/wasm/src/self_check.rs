//! Made-up questions that every policy must survive before it is used.

mod backend;

pub(crate) use backend::select_question;

use baton_core::model::{Flavor, LogFormat, PromotionRule, ThreadState};
use baton_core::policy::{
    AssessQuestion, Candidate, ChannelView, Cluster, Context, FindingView, PlaceView, ProbeView,
    RankQuestion, Reach, Reason, Role, ServerView, Suggestion,
};

use crate::call::{CallFailure, Called};
use crate::load::LoadError;
use crate::policy::Policy;
use crate::question::Question;
use crate::world::World;

/// Asks the questions of its world. A policy may decline them; it may not trap, run away or name
/// servers that do not exist.
pub(crate) fn run(policy: &Policy) -> Result<(), LoadError> {
    match policy.world() {
        World::FailoverPolicy => {
            judge("assess", ask(policy, &assess_question()))?;
            judge("rank", ask(policy, &rank_question()))
        }
        World::BackendSelector => judge("select", ask(policy, &select_question())),
    }
}

fn ask<Q: Question>(policy: &Policy, question: &Q) -> Called<Q::Answer> {
    let Called { answer, log, fuel } =
        Q::call(policy, &question.to_contract(&policy.identity().wants));
    let answer = answer.and_then(|answer| question.accept(answer));
    Called { answer, log, fuel }
}

fn judge<T>(stage: &'static str, called: Called<T>) -> Result<(), LoadError> {
    match called.answer {
        Ok(_) | Err(CallFailure::Declined(_)) => Ok(()),
        Err(failure) => Err(LoadError::SelfCheck {
            stage,
            failure,
            log: called.log,
        }),
    }
}

/// A primary that refuses connections, and two replicas that lost it.
pub(crate) fn assess_question() -> AssessQuestion {
    AssessQuestion {
        context: context(),
        cluster: cluster(),
        finding: FindingView {
            code: "primary-dead".into(),
            server: 0,
            held: 40,
            flaps: 0,
            elsewhere: 0,
            clusters: 1,
            suggestion: Suggestion::Act,
            reasons: vec![Reason {
                code: "replicas-agree".into(),
                text: "2 of 2 replicas lost it.".into(),
                about: vec![1, 2],
            }],
        },
        approvals: Vec::new(),
        extra: None,
    }
}

/// Who replaces that primary?
pub(crate) fn rank_question() -> RankQuestion {
    let candidate = |server, missing| Candidate {
        server,
        missing: Some(missing),
        unapplied: Some(0),
        errant: Some(0),
        followers: 1,
        warnings: Vec::new(),
    };
    RankQuestion {
        context: context(),
        cluster: cluster(),
        purpose: "failover".into(),
        replaced: 0,
        candidates: vec![candidate(1, 0), candidate(2, 3)],
        requested: None,
        extra: None,
    }
}

fn context() -> Context {
    Context {
        decision: "self-check".into(),
        now: 1_800_000_000,
        node: "self-check".into(),
        peers: Vec::new(),
        peers_answering: 0,
        extra: None,
    }
}

fn cluster() -> Cluster {
    Cluster {
        id: "self-check".into(),
        name: "self-check".into(),
        servers: vec![server(0), server(1), server(2)],
        places: vec![PlaceView {
            data_center: "a".into(),
            region: "r".into(),
            environment: "test".into(),
        }],
        primary: Some(0),
        automatic: true,
        recoveries: Vec::new(),
        tags: Vec::new(),
        extra: None,
    }
}

fn server(index: u32) -> ServerView {
    let primary = index == 0;
    ServerView {
        id: format!("server-{index}"),
        address: format!("server-{index}.example:3306"),
        role: if primary {
            Role::Primary
        } else {
            Role::Replica
        },
        flavour: Flavor::Mariadb,
        version: (10, 11, 8),
        place: Some(0),
        tags: Some(Vec::new()),
        promotion: PromotionRule::Neutral,
        probe: probe(if primary {
            Reach::Silent
        } else {
            Reach::Answering
        }),
        peers: Vec::new(),
        read_only: Some(!primary),
        super_read_only: None,
        log_bin: Some(true),
        log_updates: Some(true),
        log_format: Some(LogFormat::Row),
        channels: if primary {
            Vec::new()
        } else {
            vec![lost_channel()]
        },
        semi_sync: None,
        vitals: None,
        executed: None,
        errant: Some(0),
        downtime: None,
        maintenance: false,
        extra: None,
    }
}

fn probe(state: Reach) -> ProbeView {
    let silent = state == Reach::Silent;
    ProbeView {
        state,
        failure: silent.then(|| "refused".into()),
        error_number: None,
        answered_age: Some(if silent { 300 } else { 5 }),
        attempt_age: Some(5),
        failures: u32::from(silent),
        successes: u32::from(!silent),
        round_trip_us: Some(400),
    }
}

fn lost_channel() -> ChannelView {
    ChannelView {
        name: None,
        source: Some(0),
        source_address: None,
        receiver: ThreadState::Connecting,
        applier: ThreadState::Running,
        receiver_error: 2003,
        applier_error: 0,
        observed_age: 5,
        read_after_loss: true,
        received_age: Some(300),
        progress_age: None,
        lag: Some(0),
        delay: 0,
        auto_position: true,
        filtered: false,
        received: None,
        applied: None,
        unapplied: Some(0),
    }
}
