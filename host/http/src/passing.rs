//! Changes that reach a node which does not lead are passed on to the one that does. Reads are always answered here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::OriginalUri;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::Response;
use baton_control::RequestError;

use crate::peers::Trouble;
use crate::server::{App, BODY_MAX};

/// Names the node that passed a request on. Such a request is never passed on again: it would run in a circle while nodes
/// disagree about who leads.
const FORWARDED: HeaderName = HeaderName::from_static("baton-forwarded");

/// How often it is checked, while the answer is awaited, that the asked node still leads.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Headers that speak of one connection only.
const HOPS: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE];

/// Why a change was not carried out at the node that leads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPassed {
    /// Another node believed that this one leads.
    #[error(transparent)]
    NotLeader(RequestError),
    /// The body is larger than any of ours.
    #[error("the request's body is larger than {BODY_MAX} bytes")]
    TooLarge,
    /// Nothing was sent.
    #[error(
        "{what} was to be passed on to the node that leads, at {url}, and {why}; nothing was done: ask again in a few seconds, when that \
         node is back or another one leads (GET /api/v1/nodes shows which)"
    )]
    Unsent {
        /// The request.
        what: String,
        /// Where to.
        url: String,
        /// What is wrong there.
        why: &'static str,
    },
    /// It was sent.
    #[error(
        "{what} was passed on to the node that led, at {url}, and {why}; what came of it is unknown: look at the recoveries and the \
         cluster before asking again"
    )]
    Unknown {
        /// The request.
        what: String,
        /// Where to.
        url: String,
        /// What happened.
        why: &'static str,
    },
}

/// Gives a change back if it is to be carried out here, or the answer of the node that it was passed on to.
pub(crate) async fn unless_here(
    app: &Arc<App>,
    request: axum::extract::Request,
) -> Result<ControlFlow<Response, axum::extract::Request>, NotPassed> {
    let node = app.control.node();
    if node.lease.is_some() {
        return Ok(ControlFlow::Continue(request));
    }
    if request.headers().contains_key(FORWARDED) {
        let leader = node.leader;
        return Err(NotPassed::NotLeader(RequestError::NotLeader { leader }));
    }
    match app.control.leader_url().await {
        // Where no other node is known, what needs the lease says so itself.
        None => Ok(ControlFlow::Continue(request)),
        Some(url) => {
            let (parts, body) = request.into_parts();
            let answer = pass_on(app, &url, &parts, body).await?;
            Ok(ControlFlow::Break(answer))
        }
    }
}

/// Passes a request on to the node at `url`, and its answer back as it is. Dropped midway, the other node carries it to its end.
async fn pass_on(
    app: &Arc<App>,
    url: &str,
    parts: &Parts,
    body: Body,
) -> Result<Response, NotPassed> {
    let body = to_bytes(body, BODY_MAX)
        .await
        .map_err(|_| NotPassed::TooLarge)?;
    let path = original_path(parts);
    let what = format!("{} {path}", parts.method);
    let unsent = |why| NotPassed::Unsent {
        what: what.clone(),
        url: url.to_owned(),
        why,
    };
    let unknown = |why| NotPassed::Unknown {
        what: what.clone(),
        url: url.to_owned(),
        why,
    };
    let request = copy(app, parts, &format!("{url}{path}"), body)
        .ok_or_else(|| unsent("that address is none"))?;
    tracing::info!(request = what, leader = url, "passing a request on");
    let asked = app.client.send(request);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            answer = &mut asked => return match answer {
                Ok(answer) => Ok(without_hops(answer)),
                Err(Trouble::Refused) => Err(unsent("nobody listens there")),
                Err(Trouble::Unreachable) => Err(unsent("there is no way to it")),
                Err(Trouble::Closed) => Err(unknown("the connection ended before an answer came")),
                Err(Trouble::Unreadable) => Err(unknown("the answer cannot be read")),
            },
            () = tokio::time::sleep(LOOK_EVERY) => {
                let leads = app.control.node().lease.is_none()
                    && app.control.leader_url().await.is_none_or(|now| now == url);
                if !leads {
                    return Err(unknown("another node has taken over meanwhile"));
                }
            }
        }
    }
}

/// The path and query as the client sent them, whatever prefix was taken off since.
fn original_path(parts: &Parts) -> String {
    let uri = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |original| &original.0);
    uri.path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string)
}

fn copy(app: &App, parts: &Parts, url: &str, body: Bytes) -> Option<Request<Bytes>> {
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(url)
        .body(body)
        .ok()?;
    let headers = request.headers_mut();
    for (name, value) in &parts.headers {
        if !HOPS.contains(name) {
            headers.append(name, value.clone());
        }
    }
    let own = app.control.node().name;
    headers.insert(FORWARDED, HeaderValue::from_str(own.as_str()).ok()?);
    Some(request)
}

fn without_hops(answer: axum::http::Response<Bytes>) -> Response {
    let mut answer = answer.map(Body::from);
    for name in HOPS {
        answer.headers_mut().remove(name);
    }
    answer
}
