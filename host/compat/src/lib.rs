//! The predecessor's API under `/api`: its paths, its envelope, its JSON, so that its client script
//! and other clients work unchanged. `docs/api.md` lists the differences. Each path is one row of a
//! table (`endpoint::Endpoint`), from which dispatch, permission, forwarding and documents
//! follow.

mod analysis;
mod answer;
mod change_paths;
mod changes;
mod cluster;
mod clusters;
mod endpoint;
mod information;
mod instance;
mod not_served;
mod records;
mod recovery;
mod request;
mod service;
mod shape;
mod tree;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use baton_http_core::{Access, ApiContext, Forward, Forwarded, authenticate, forward_to_leader};

use answer::{Answer, Failure, failed};
use changes::Change;
use clusters::Clusters;
use endpoint::{Endpoint, Handler};
use request::ApiRequest;

/// Every path of this API.
static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let groups = [
        information::endpoints(),
        change_paths::endpoints(),
        records::endpoints(),
        service::endpoints(),
    ];
    groups.into_iter().flatten().collect()
});

/// Everything a handler needs.
struct Context {
    api: Arc<ApiContext>,
    clusters: Clusters,
    request: ApiRequest,
}

/// The routes of this API, from `/api` on.
pub fn routes<S: Clone + Send + Sync + 'static>(api: Arc<ApiContext>) -> Router<S> {
    Router::new()
        .route("/api", any(not_found_page))
        .route("/api/", any(not_found_page))
        .route("/api/{*path}", any(respond))
        .with_state(api)
}

/// The page for unknown paths, for any method.
pub async fn not_found_page() -> Response {
    answer::not_found()
}

async fn respond(State(api): State<Arc<ApiContext>>, request: Request) -> Response {
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        return answer::not_found();
    }
    let (parts, body) = request.into_parts();
    let read = match ApiRequest::read(&parts) {
        Ok(read) => read,
        Err(failure) => return failure.into_response(),
    };
    let context = Context {
        clusters: Clusters::of(api.control.as_ref()),
        api,
        request: read,
    };
    let request = Request::from_parts(parts, body);
    match dispatch(&context, request).await {
        Ok(answer) => answer.into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn dispatch(context: &Context, request: Request) -> Result<Answer, Failure> {
    let path: Vec<&str> = context.request.path.iter().map(String::as_str).collect();
    let endpoint = ENDPOINTS
        .iter()
        .find_map(|endpoint| Some((endpoint, endpoint.parameters(&path)?)));
    match endpoint {
        Some((
            Endpoint {
                access,
                handler: Handler::Change(read),
                ..
            },
            parameters,
        )) => {
            let change = read(context, &parameters);
            carry_out(context, *access, change, request).await
        }
        _ if context.request.method == Method::POST => Err(Failure::NoRoute),
        Some((
            Endpoint {
                access,
                handler: Handler::Read(read),
                ..
            },
            parameters,
        )) => {
            access.admit(&context.api.settings, &context.request.headers)?;
            read(context, parameters).await
        }
        None => {
            authenticate(&context.api.settings, &context.request.headers)?;
            let first = path.first().copied().unwrap_or_default();
            if not_served::is_not_served(first) {
                Err(failed(format!("{first} is not served by Baton")))
            } else {
                Err(Failure::NoRoute)
            }
        }
    }
}

async fn carry_out(
    context: &Context,
    access: Access,
    change: Result<Change, Failure>,
    request: Request,
) -> Result<Answer, Failure> {
    // Permission first: who may not change anything learns nothing about what exists.
    let user = access.admit(&context.api.settings, &context.request.headers)?;
    if context.request.method == Method::HEAD {
        return Err(Failure::HeadOfChange);
    }
    // The leader may know a server that this node does not know.
    let is_for_leader = access.forward == Forward::ToLeader || change.is_err();
    if is_for_leader
        && let Forwarded::Answered(answer) = forward_to_leader(&context.api, request).await?
    {
        return Ok(Answer::Forwarded(answer));
    }
    changes::carry_out(context, change?, context.api.caller(user)).await
}
