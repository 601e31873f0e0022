//! What an operation would come to: its dry run, with the policy asked as it would be.

use baton_core::ids::ServerId;
use baton_core::model::{RecoveryKind, Snapshot, Switch};
use baton_core::operation::{Ahead, DryRun, DryRunSettings, Forecast, Order, Ranked};
use baton_core::planning::{CandidateView, Consent, delayed_last, rank_question};
use baton_core::policy::Ranking;

use super::policy::{PolicyClient, reason};
use super::resolve::{consent, resolve};
use crate::api::{OrderForecast, RequestError};
use crate::order_kind::OrderKind;
use crate::settings::{ControlSettings, RejoinMode};

/// The operation that is foreseen.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) kind: RecoveryKind,
    pub(super) subject: ServerId,
    pub(super) automatic: bool,
    pub(super) requested: Option<ServerId>,
    pub(super) consent: Option<Consent>,
}

/// A forecast, with what the policy said about each candidate.
#[derive(Clone, Debug)]
pub(super) struct Foresight {
    pub(super) forecast: Forecast,
    pub(super) candidates: Vec<CandidateView>,
    /// Who ranked; `None` if nobody had to.
    pub(super) policy: Option<String>,
}

/// What a person's order would come to now. Nothing is changed; the policy is asked.
pub(crate) async fn forecast(
    client: &PolicyClient,
    settings: &ControlSettings,
    snapshot: &Snapshot,
    order: OrderKind,
) -> Result<OrderForecast, RequestError> {
    let resolved = resolve(order, snapshot, &settings.analysis)?;
    let question = Question {
        kind: resolved.kind,
        subject: resolved.subject.clone(),
        automatic: false,
        consent: consent(resolved.requested.as_ref(), resolved.accepted)?,
        requested: resolved.requested,
    };
    let mut seen = foresee(client, settings, snapshot, &question).await;
    if snapshot.control.enabled != Switch::On {
        let text = "recoveries are switched off globally: enable them first";
        seen.forecast.problems.insert(0, text.to_owned());
    }
    Ok(OrderForecast {
        kind: question.kind,
        subject: question.subject,
        outcome: seen.forecast.outcome,
        successor: seen.forecast.successor,
        steps: seen.forecast.steps,
        problems: seen.forecast.problems,
        candidates: seen.candidates,
        policy: seen.policy,
    })
}

/// Runs an operation dry.
pub(super) async fn foresee(
    client: &PolicyClient,
    settings: &ControlSettings,
    snapshot: &Snapshot,
    question: &Question,
) -> Foresight {
    let order = Order {
        kind: question.kind,
        subject: question.subject.clone(),
        epoch: snapshot.control.lease.unwrap_or_default(),
        automatic: question.automatic,
        requested: question.requested.clone(),
        consent: question.consent.clone(),
    };
    let limits = DryRunSettings {
        plan: settings.plan.clone(),
        lag_limit: settings.switchover_lag_limit,
        read_limit: settings.read_limit,
        attaches_by_itself: settings.rejoin == RejoinMode::FenceAndAttach,
    };
    let (mut views, mut policy) = (Vec::new(), None);
    let mut ahead = DryRun::begin(order, snapshot, limits);
    loop {
        let (run, list) = match ahead {
            Ahead::Rank(run, list) => (run, list),
            Ahead::Ended(forecast) => {
                return Foresight {
                    forecast: *forecast,
                    candidates: views,
                    policy,
                };
            }
        };
        let context = client.context(run.snapshot(), "explain");
        let target = (question.kind, &question.subject);
        let requested = question.requested.as_ref();
        let asked = rank_question(run.snapshot(), target, &list, requested, context);
        let reply = client.rank(&asked.question).await;
        views = list.iter().map(CandidateView::of).collect();
        add_reasons(&mut views, &asked.ids, &reply.answer);
        add_ranks(
            &mut views,
            &delayed_last(&asked.order(&reply.answer.order), &list),
        );
        policy = Some(reply.policy.clone());
        ahead = run.ranked(Ranked {
            policy: reply.policy,
            order: asked.ranked(&reply.answer.order),
            failure: reply.fallback.map(|failure| failure.text),
        });
    }
}

fn add_ranks(views: &mut [CandidateView], order: &[ServerId]) {
    for (id, place) in order.iter().zip(1_u32..) {
        if let Some(view) = views.iter_mut().find(|view| view.server == *id) {
            view.rank = Some(place);
        }
    }
    views.sort_by_key(|view| {
        (
            view.rank.unwrap_or(u32::MAX),
            view.excluded,
            view.server.clone(),
        )
    });
}

fn add_reasons(views: &mut [CandidateView], ids: &[ServerId], answer: &Ranking) {
    let id = |index: u32| ids.get(usize::try_from(index).ok()?);
    for ranked in &answer.order {
        let mut found = views.iter_mut();
        if let Some(view) = found.find(|view| id(ranked.server) == Some(&view.server)) {
            view.score = Some(ranked.score);
            let reasons = ranked.reasons.iter().map(|why| reason(why, ids));
            view.reasons.extend(reasons);
        }
    }
    for veto in &answer.vetoes {
        let mut found = views.iter_mut();
        if let Some(view) = found.find(|view| id(veto.server) == Some(&view.server)) {
            let reasons = veto.reasons.iter().map(|why| reason(why, ids));
            view.reasons.extend(reasons);
        }
    }
}
