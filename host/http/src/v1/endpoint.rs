//! One row per endpoint: method, path, who may, where it is carried out, summary, handler. The
//! handler's signature says body, query and answer. Router, authorization, forwarding and the
//! OpenAPI document follow from the row.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on};
use baton_http_core::{Access, Forward, Forwarded, Scope, forward_to_leader};

use super::By;
use super::openapi::Operation;
use super::problem::Problem;
use super::signature::Describe;
use crate::server::App;

/// The methods that endpoints have. `HEAD` is served where `GET` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    /// As in the OpenAPI document.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One row of the table of endpoints.
pub(super) struct Endpoint {
    pub(super) verb: Verb,
    /// Below `/api/v1`; `{name}` is a parameter.
    pub(super) path: &'static str,
    /// Who may, and where it is carried out.
    pub(super) access: Access,
    /// What it does, for the OpenAPI document and `docs/api.md`.
    pub(super) summary: &'static str,
    /// What the handler's signature says.
    pub(super) describe: fn(&mut Operation<'_>),
    handler: MethodRouter<Arc<App>>,
}

impl Endpoint {
    fn new<H, T, D>(verb: Verb, path: &'static str, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>> + Describe<D>,
        T: 'static,
    {
        let access = match verb {
            Verb::Get => Access::READ,
            Verb::Post | Verb::Delete => Access::CHANGE,
        };
        Self {
            verb,
            path,
            access,
            summary,
            describe: <H as Describe<D>>::describe,
            handler: on(verb.filter(), handler),
        }
    }

    /// Reads, on the node that is asked.
    pub(super) fn get<H, T, D>(path: &'static str, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>> + Describe<D>,
        T: 'static,
    {
        Self::new(Verb::Get, path, handler, summary)
    }

    /// Changes something, on the leader.
    pub(super) fn post<H, T, D>(path: &'static str, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>> + Describe<D>,
        T: 'static,
    {
        Self::new(Verb::Post, path, handler, summary)
    }

    /// Removes something, on the leader.
    pub(super) fn delete<H, T, D>(path: &'static str, handler: H, summary: &'static str) -> Self
    where
        H: Handler<T, Arc<App>> + Describe<D>,
        T: 'static,
    {
        Self::new(Verb::Delete, path, handler, summary)
    }

    /// The node that is asked carries the change out, also if it does not lead.
    pub(super) fn on_this_node(mut self) -> Self {
        self.access.forward = Forward::Never;
        self
    }

    /// It changes nothing, although its question needs a body.
    pub(super) fn reads(mut self) -> Self {
        self.access = Access::READ;
        self
    }
}

/// The methods of one path.
struct Methods {
    handlers: MethodRouter<Arc<App>>,
    /// What methods that it does not have need.
    others: Access,
}

/// The routes of these endpoints, and nothing else below `/api/v1`.
pub(super) fn routes(app: &Arc<App>, endpoints: Vec<Endpoint>) -> Router<Arc<App>> {
    let mut paths: BTreeMap<&'static str, Methods> = BTreeMap::new();
    for endpoint in endpoints {
        let guard = Guard {
            app: Arc::clone(app),
            access: endpoint.access,
        };
        let handlers = endpoint
            .handler
            .route_layer(from_fn_with_state(guard, admit));
        let methods = paths.entry(endpoint.path).or_insert_with(|| Methods {
            handlers: MethodRouter::new(),
            others: Access::CHANGE,
        });
        if endpoint.verb != Verb::Get {
            methods.others = endpoint.access;
        }
        methods.handlers = std::mem::take(&mut methods.handlers).merge(handlers);
    }
    let guard = |access| Guard {
        app: Arc::clone(app),
        access,
    };
    let mut router = Router::new();
    for (path, Methods { handlers, others }) in paths {
        let refuse = wrong_method.layer(from_fn_with_state(guard(others), admit_other));
        router = router.route(path, handlers.fallback(refuse));
    }
    let refuse = any(no_route).layer(from_fn_with_state(guard(Access::CHANGE), admit_other));
    // Routes and not a fallback: the compatible API's `/api/...` would come before one.
    router.route("/", refuse.clone()).route("/{*path}", refuse)
}

/// What admits requests to one endpoint.
#[derive(Clone)]
struct Guard {
    app: Arc<App>,
    access: Access,
}

/// Admits a request in somebody's name, forwards it, or refuses it.
async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Guard { app, access } = guard;
    let user = match access.admit(&app.api.settings, request.headers()) {
        Ok(user) => user,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    if (access.scope, access.forward) == (Scope::Change, Forward::ToLeader) {
        request = match forward_to_leader(&app.api, request).await {
            Ok(Forwarded::Here(request)) => request,
            Ok(Forwarded::Answered(answer)) => return answer,
            Err(error) => return Problem::from(error).into_response(),
        };
    }
    request.extensions_mut().insert(By(app.api.caller(user)));
    next.run(request).await
}

/// Admits a request that no endpoint takes: the leader may be of a version that has it.
async fn admit_other(state: State<Guard>, request: Request, next: Next) -> Response {
    let State(Guard { app, access }) = state;
    let access = if [Method::GET, Method::HEAD].contains(request.method()) {
        Access::READ
    } else {
        access
    };
    admit(State(Guard { app, access }), request, next).await
}

async fn no_route(request: Request) -> Problem {
    Problem::no_route(request.uri().path())
}

async fn wrong_method(request: Request) -> Problem {
    Problem::method(request.method().as_str(), request.uri().path())
}
