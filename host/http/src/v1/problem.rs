//! Refusals as problem details (RFC 9457).

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use baton_control::RequestError;
use schemars::JsonSchema;
use serde::Serialize;

use baton_http_core::ForwardError;
use baton_http_core::{Refusal, ask_for_credentials};

/// A refusal. Boxed, because it is the rare half of most results.
#[derive(Debug)]
pub(crate) struct Problem(Box<ProblemDocument>);

/// A refusal (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemDocument {
    /// urn:baton:problem:... with not-found, no-route, method, malformed, invalid, not-json,
    /// too-large, refused, not-leader, outcome-unknown, starting, store, recovery-failed,
    /// unauthorized.
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// The recovery that was begun.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<String>,
    /// The node to ask instead.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemDocument {
            r#type: format!("urn:baton:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            reasons: Vec::new(),
            recovery: None,
            leader: None,
        }))
    }

    /// 422.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The request makes no sense",
            detail,
        )
    }

    /// 400.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The request cannot be read",
            detail,
        )
    }

    /// 404 for something that is not known.
    pub(super) fn unknown(what: &str, name: &str) -> Self {
        let detail = format!("no {what} is known as {name:?}");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 404 for a path that is none.
    pub(super) fn no_route(path: &str) -> Self {
        let detail = format!("{path} is no path of this API; see /api/v1/openapi.json");
        Self::new(StatusCode::NOT_FOUND, "no-route", "No such path", detail)
    }

    /// 503 of a node that cannot begin yet.
    pub(crate) fn starting(detail: impl Into<String>) -> Self {
        let title = "The node has not begun";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "starting", title, detail)
    }

    /// 405.
    pub(super) fn method(method: &str, path: &str) -> Self {
        let detail = format!("{method} is not possible on {path}; see /api/v1/openapi.json");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "Method not possible here",
            detail,
        )
    }

    /// 413.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            detail,
        )
    }

    /// 415.
    pub(super) fn not_json() -> Self {
        let detail = "the body must be JSON and be declared so: Content-Type: application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "The request is not JSON",
            detail,
        )
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        use StatusCode as S;
        let text = error.to_string();
        let (status, kind, title) = match &error {
            RequestError::NotFound { .. } => (S::NOT_FOUND, "not-found", "Not found"),
            RequestError::Invalid(_) => return Self::invalid(text),
            RequestError::Refused { .. } => (S::CONFLICT, "refused", "Refused; nothing was done"),
            RequestError::NotLeader { .. } => (
                S::SERVICE_UNAVAILABLE,
                "not-leader",
                "This node does not lead",
            ),
            RequestError::Store(_) => (
                S::SERVICE_UNAVAILABLE,
                "store",
                "The state store cannot do it now",
            ),
            RequestError::Failed { .. } => (
                S::INTERNAL_SERVER_ERROR,
                "recovery-failed",
                "It was begun and failed",
            ),
        };
        let mut problem = Self::new(status, kind, title, text);
        match error {
            RequestError::Refused { reasons, .. } => problem.0.reasons = reasons,
            RequestError::NotLeader { leader } => {
                problem.0.leader = leader.map(|name| name.as_str().to_owned());
            }
            RequestError::Failed { recovery, .. } => {
                problem.0.recovery = Some(recovery.as_str().to_owned());
            }
            RequestError::NotFound { .. } | RequestError::Invalid(_) | RequestError::Store(_) => {}
        }
        problem
    }
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        let text = error.to_string();
        match error {
            ForwardError::NotLeader(error) => error.into(),
            ForwardError::TooLarge => Self::too_large(text),
            // Of the same kind as at a node that passes nothing on: nothing was done, another node
            // may be asked.
            ForwardError::Unsent { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-leader",
                "This node does not lead, and the one that does is not there",
                text,
            ),
            ForwardError::Unknown { .. } => Self::new(
                StatusCode::BAD_GATEWAY,
                "outcome-unknown",
                "What came of it is unknown",
                text,
            ),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::ReadOnly | Refusal::CrossSite => StatusCode::FORBIDDEN,
            Refusal::Credentials => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, "unauthorized", "Not allowed", refusal.text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            ask_for_credentials(response)
        } else {
            response
        }
    }
}
