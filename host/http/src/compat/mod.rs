//! The predecessor's API under `/api`: its paths, its envelope, its JSON, so that its client script and everything
//! else that speaks it work unchanged. Differences are listed in `docs/api.md`.

mod analysis;
mod answer;
mod change;
mod fleet;
mod information;
mod instance;
mod lens;
mod records;
mod recovery;
mod request;
mod service;
mod shape;
mod tree;

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use crate::access::{authenticate, permit_change};
use crate::passing::unless_here;
use crate::server::App;
use answer::{Answer, Failure};
use change::Change;
use fleet::Fleet;
use request::Asked;

/// The page for unknown paths, for any method.
pub(crate) async fn not_found_page() -> Response {
    answer::not_found()
}

/// First segments of paths that the predecessor has and Baton does not serve: a caller is told so, in a form it
/// understands, and does not try again.
const NOT_SERVED: &[&str] = &[
    "relocate",
    "relocate-below",
    "relocate-replicas",
    "regroup-replicas",
    "move-up",
    "move-up-replicas",
    "move-below",
    "move-equivalent",
    "repoint",
    "repoint-replicas",
    "make-co-master",
    "take-siblings",
    "take-master",
    "master-equivalent",
    "regroup-replicas-bls",
    "move-below-gtid",
    "move-replicas-gtid",
    "regroup-replicas-gtid",
    "match",
    "match-below",
    "match-up",
    "match-replicas",
    "match-up-replicas",
    "regroup-replicas-pgtid",
    "make-master",
    "make-local-master",
    "enable-gtid",
    "disable-gtid",
    "locate-gtid-errant",
    "gtid-errant-reset-master",
    "gtid-errant-inject-empty",
    "skip-query",
    "start-replica",
    "restart-replica",
    "stop-replica",
    "stop-replica-nice",
    "reset-replica",
    "detach-replica",
    "detach-replica-master-host",
    "reattach-replica",
    "reattach-replica-master-host",
    "flush-binary-logs",
    "purge-binary-logs",
    "restart-replica-statements",
    "enable-semi-sync-master",
    "disable-semi-sync-master",
    "enable-semi-sync-replica",
    "disable-semi-sync-replica",
    "delay-replication",
    "can-replicate-from",
    "can-replicate-from-gtid",
    "set-read-only",
    "set-writeable",
    "kill-query",
    "last-pseudo-gtid",
    "submit-pool-instances",
    "cluster-pool-instances",
    "heuristic-cluster-pool-instances",
    "heuristic-cluster-pool-lag",
    "cluster-osc-replicas",
    "set-cluster-alias",
    "snapshot-topologies",
    "bulk-promotion-rules",
    "resolve",
    "tagged",
    "tags",
    "tag-value",
    "tag",
    "untag",
    "untag-all",
    "begin-maintenance",
    "end-maintenance",
    "audit-failure-detection",
    "replication-analysis-changelog",
    "reload-configuration",
    "hostname-resolve-cache",
    "reset-hostname-resolve-cache",
    "reload-cluster-alias",
    "register-hostname-unresolve",
    "deregister-hostname-unresolve",
    "raft-add-peer",
    "raft-remove-peer",
    "raft-yield",
    "raft-yield-hint",
    "raft-peers",
    "raft-state",
    "raft-leader",
    "raft-health",
    "raft-status",
    "raft-snapshot",
    "raft-follower-health-report",
    "agents",
    "seeds",
];

/// Everything a handler needs.
struct Context {
    app: Arc<App>,
    fleet: Fleet,
    asked: Asked,
}

/// Answers any request below `/api`.
pub(crate) async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        return answer::not_found();
    }
    let (parts, body) = request.into_parts();
    let asked = match Asked::read(&parts) {
        Ok(asked) => asked,
        Err(failure) => return failure.into_response(),
    };
    let fleet = Fleet::of(app.control.as_ref());
    let context = Context { app, fleet, asked };
    let request = Request::from_parts(parts, body);
    match dispatch(&context, request).await {
        Ok(answer) => answer.into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn dispatch(context: &Context, request: Request) -> Result<Answer, Failure> {
    let words = context.asked.path.clone();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(change) = Change::read(context, &words) {
        return carry_out(context, change, request).await;
    }
    if context.asked.method == Method::POST {
        return Err(Failure::NoRoute);
    }
    authenticate(&context.app.settings, &context.asked.headers)?;
    if let Some(answer) = service::answer(context, &words).await {
        return answer;
    }
    if let Some(answer) = information::answer(context, &words).await {
        return answer;
    }
    if let Some(answer) = records::answer(context, &words).await {
        return answer;
    }
    match words.first() {
        Some(first) if NOT_SERVED.contains(first) || first.starts_with("agent-") => {
            Err(answer::said(format!("{first} is not served by Baton")))
        }
        _ => Err(Failure::NoRoute),
    }
}

async fn carry_out(
    context: &Context,
    change: Result<Change, Failure>,
    request: Request,
) -> Result<Answer, Failure> {
    // Permission first: who may not change anything learns nothing about what exists.
    let user = permit_change(&context.app.settings, &context.asked.headers)?;
    if context.asked.method == Method::HEAD {
        return Err(Failure::HeadOfChange);
    }
    // Whom this node does not know, the one that leads may.
    if !matches!(&change, Ok(change) if change.is_of_this_node())
        && let ControlFlow::Break(answer) = unless_here(&context.app, request).await?
    {
        return Ok(Answer::Passed(answer));
    }
    // The predecessor puts its own host's name where no user is known.
    let by = user.unwrap_or_else(|| context.app.control.node().name.as_str().to_owned());
    change::carry_out(context, change?, by).await
}
