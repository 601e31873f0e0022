//! A node that does not lead forwards changes to the leader. It answers reads itself.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::OriginalUri;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::Response;
use baton_control::RequestError;

use crate::client::ConnectionError;
use crate::context::ApiContext;

/// Largest request body that either API reads; bodies hold a few names.
pub const BODY_MAX: usize = 64 * 1024;

/// Names the node that forwarded a request. A forwarded request is never forwarded again: it would
/// loop while nodes disagree about who leads.
const FORWARDED_BY: HeaderName = HeaderName::from_static("baton-forwarded");

/// How often, while the answer is awaited, the node checks that the asked node still leads.
const LEADER_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Headers that belong to one connection (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE];

/// Why the leader did not carry out a change.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Another node believed that this one leads.
    #[error(transparent)]
    NotLeader(RequestError),
    /// The body is larger than [`BODY_MAX`].
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

/// What became of a request that changes something.
pub enum Forwarded {
    /// This node is to carry it out.
    Here(axum::extract::Request),
    /// The leader answered it.
    Answered(Response),
}

/// Forwards a change to the leader, unless this node leads or knows no leader.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward_to_leader(
    api: &ApiContext,
    request: axum::extract::Request,
) -> Result<Forwarded, ForwardError> {
    let node = api.control.node();
    if node.lease.is_some() {
        return Ok(Forwarded::Here(request));
    }
    if request.headers().contains_key(FORWARDED_BY) {
        let leader = node.leader;
        return Err(ForwardError::NotLeader(RequestError::NotLeader { leader }));
    }
    match api.control.leader_url().await {
        // No other node is known: what needs the lease refuses by itself.
        None => Ok(Forwarded::Here(request)),
        Some(url) => {
            let (parts, body) = request.into_parts();
            let answer = forward(api, &url, &parts, body).await?;
            Ok(Forwarded::Answered(answer))
        }
    }
}

/// Sends a request to the node at `url` and gives its answer unchanged. If this future is dropped,
/// the other node completes the request all the same.
async fn forward(
    api: &ApiContext,
    url: &str,
    parts: &Parts,
    body: Body,
) -> Result<Response, ForwardError> {
    let body = to_bytes(body, BODY_MAX)
        .await
        .map_err(|_| ForwardError::TooLarge)?;
    let path = original_path(parts);
    let what = format!("{} {path}", parts.method);
    let unsent = |why| ForwardError::Unsent {
        what: what.clone(),
        url: url.to_owned(),
        why,
    };
    let unknown = |why| ForwardError::Unknown {
        what: what.clone(),
        url: url.to_owned(),
        why,
    };
    let request = copy(api, parts, &format!("{url}{path}"), body)
        .ok_or_else(|| unsent("that address is none"))?;
    tracing::info!(request = what, leader = url, "forwarding a request");
    let asked = api.client.send(request);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            answer = &mut asked => return match answer {
                Ok(answer) => Ok(without_hop_headers(answer)),
                Err(ConnectionError::Refused) => Err(unsent("nobody listens there")),
                Err(ConnectionError::Unreachable) => Err(unsent("there is no way to it")),
                Err(ConnectionError::Closed) => Err(unknown("the connection ended before an answer came")),
                Err(ConnectionError::Unreadable) => Err(unknown("the answer cannot be read")),
            },
            () = tokio::time::sleep(LEADER_CHECK_EVERY) => {
                let leads = api.control.node().lease.is_none()
                    && api.control.leader_url().await.is_none_or(|now| now == url);
                if !leads {
                    return Err(unknown("another node has taken over meanwhile"));
                }
            }
        }
    }
}

/// The path and query as the client sent them, with the prefix that nested routers remove.
fn original_path(parts: &Parts) -> String {
    let uri = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |original| &original.0);
    uri.path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string)
}

fn copy(api: &ApiContext, parts: &Parts, url: &str, body: Bytes) -> Option<Request<Bytes>> {
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(url)
        .body(body)
        .ok()?;
    let headers = request.headers_mut();
    for (name, value) in &parts.headers {
        if !HOP_BY_HOP.contains(name) {
            headers.append(name, value.clone());
        }
    }
    let own = api.control.node().name;
    headers.insert(FORWARDED_BY, HeaderValue::from_str(own.as_str()).ok()?);
    Some(request)
}

fn without_hop_headers(answer: axum::http::Response<Bytes>) -> Response {
    let mut answer = answer.map(Body::from);
    for name in HOP_BY_HOP {
        answer.headers_mut().remove(name);
    }
    answer
}
