//! The two kinds of answer the predecessor gives, and its refusals.

use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use baton_control::RequestError;
use serde::Serialize;

use baton_http_core::{ForwardError, Refusal, not_authorized};

/// What a request is answered with when it went well.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A JSON document as it is.
    Bare(String),
    /// `{"Code":"OK","Message","Details"}`; the details are JSON.
    Done { message: String, details: String },
    /// A JSON document with a status of its own.
    Status(StatusCode, String),
    /// What the leader answered, unchanged.
    Forwarded(Response),
}

/// What a request is answered with otherwise.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No such route.
    NoRoute,
    /// `{"Code":"ERROR","Message","Details"}` with status 500, whatever went wrong; the details are
    /// JSON.
    Error {
        message: String,
        details: Option<String>,
    },
    /// Credentials are asked for.
    Credentials,
    /// The path changes something, which `HEAD` must not.
    HeadOfChange,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    code: &'static str,
    message: &'a str,
    details: &'a serde_json::value::RawValue,
}

/// A document as it is.
pub(crate) fn bare<T: Serialize + ?Sized>(document: &T) -> Result<Answer, Failure> {
    Ok(Answer::Bare(json(document)?))
}

/// A list as the predecessor gives some of its lists: `null` when empty.
pub(crate) fn bare_or_null<T: Serialize>(list: &[T]) -> Result<Answer, Failure> {
    if list.is_empty() {
        Ok(Answer::Bare("null".to_owned()))
    } else {
        bare(list)
    }
}

/// An envelope with details.
pub(crate) fn done<T: Serialize + ?Sized>(
    message: impl Into<String>,
    details: &T,
) -> Result<Answer, Failure> {
    Ok(Answer::Done {
        message: message.into(),
        details: json(details)?,
    })
}

/// A refusal in one sentence.
pub(crate) fn failed(message: impl Into<String>) -> Failure {
    Failure::Error {
        message: message.into(),
        details: None,
    }
}

/// A JSON text. Our own shapes always have one; if not, that is said and not panicked about.
pub(crate) fn json<T: Serialize + ?Sized>(document: &T) -> Result<String, Failure> {
    serde_json::to_string(document)
        .map_err(|error| failed(format!("the answer cannot be written as JSON: {error}")))
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused { message, reasons } => failed(sentence(&message, &reasons)),
            other @ (RequestError::NotFound { .. }
            | RequestError::Invalid(_)
            | RequestError::NotLeader { .. }
            | RequestError::Store(_)
            | RequestError::Failed { .. }) => failed(other.to_string()),
        }
    }
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        failed(error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // The word is the predecessor's; scripts look for it.
            Refusal::ReadOnly | Refusal::CrossSite => {
                failed(format!("Unauthorized: {}", refusal.text()))
            }
            Refusal::Credentials => Self::Credentials,
        }
    }
}

fn sentence(message: &str, reasons: &[String]) -> String {
    let others: Vec<&str> = reasons
        .iter()
        .map(String::as_str)
        .filter(|one| *one != message)
        .collect();
    if others.is_empty() {
        message.to_owned()
    } else {
        format!("{message}: {}", others.join("; "))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Bare(json) => written(StatusCode::OK, json),
            Self::Done { message, details } => envelope(StatusCode::OK, "OK", &message, &details),
            Self::Status(status, json) => written(status, json),
            Self::Forwarded(answer) => answer,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NoRoute => not_found(),
            Self::Error { message, details } => {
                let details = details.as_deref().unwrap_or("null");
                envelope(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "ERROR",
                    &message,
                    details,
                )
            }
            Self::Credentials => not_authorized(),
            Self::HeadOfChange => {
                let allow = [(ALLOW, "GET, POST")];
                (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
            }
        }
    }
}

/// The predecessor's page for unknown routes.
pub(crate) fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

fn envelope(status: StatusCode, code: &'static str, message: &str, details: &str) -> Response {
    let details = serde_json::from_str(details).unwrap_or(serde_json::value::RawValue::NULL);
    let text = serde_json::to_string(&Envelope {
        code,
        message,
        details,
    })
    .unwrap_or_default();
    written(status, text)
}

fn written(status: StatusCode, json: String) -> Response {
    let mut response = (status, json).into_response();
    let kind = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
