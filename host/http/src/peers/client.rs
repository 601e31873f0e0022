//! Connections to other nodes.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

/// Largest answer that is read: a report names each cluster in about a hundred bytes.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Longest wait for a connection; nodes are near.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody listens there. Nothing was sent.
    Refused,
    /// The connection ended before the answer.
    Closed,
    /// No way there. Nothing was sent.
    Unreachable,
    /// What came is no HTTP, too large, or no TLS that is trusted.
    Unreadable,
}

type Plain = legacy::Client<HttpConnector, Full<Bytes>>;
type Secure = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Keeps connections to the other nodes open between requests.
pub(crate) struct Client {
    plain: Plain,
    /// Only where a node is named with https: a machine without certificate authorities must not miss them.
    secure: Option<Secure>,
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("reading the system's certificate authorities for https nodes")]
pub struct ClientSetup {
    #[source]
    source: io::Error,
}

impl Client {
    /// A client for these nodes.
    pub(crate) fn new(urls: &[String]) -> Result<Self, ClientSetup> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let secure = if urls.iter().any(|url| url.starts_with("https:")) {
            let builder = HttpsConnectorBuilder::new();
            let builder = builder
                .with_native_roots()
                .map_err(|source| ClientSetup { source })?;
            let secure = builder.https_only().enable_http1();
            let secure = secure.wrap_connector(connector.clone());
            Some(legacy::Client::builder(TokioExecutor::new()).build(secure))
        } else {
            None
        };
        Ok(Self {
            plain: legacy::Client::builder(TokioExecutor::new()).build(connector),
            secure,
        })
    }

    /// Sends `body` as JSON, or asks without one, and gives the status and the body of the answer. Dropped midway, it closes the
    /// connection.
    pub(crate) async fn exchange<B: Serialize>(
        &self,
        url: &str,
        body: Option<&B>,
    ) -> Result<(StatusCode, Bytes), Trouble> {
        let mut request = Request::builder().uri(url);
        let mut text = Vec::new();
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.method(Method::POST).header(CONTENT_TYPE, json);
            text = serde_json::to_vec(body).map_err(|_| Trouble::Unreadable)?;
        }
        let request = request
            .body(Bytes::from(text))
            .map_err(|_| Trouble::Unreachable)?;
        let (head, body) = self.send(request).await?.into_parts();
        Ok((head.status, body))
    }

    /// Sends a request and reads the answer in full. Dropped midway, it closes the connection.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Trouble> {
        let request = request.map(Full::new);
        let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
        let answer = match &self.secure {
            Some(secure) if is_secure => secure.request(request).await,
            _ => self.plain.request(request).await,
        };
        let (head, body) = answer.map_err(|error| of_request(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| trouble(error.as_ref()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// Only what happens before a connection stands is sure to have sent nothing.
fn of_request(error: &legacy::Error) -> Trouble {
    match trouble(error) {
        Trouble::Refused | Trouble::Unreachable if !error.is_connect() => Trouble::Closed,
        told => told,
    }
}

/// What kind of trouble an error is, by the first of its causes that tells.
fn trouble(error: &(dyn Error + 'static)) -> Trouble {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let told = error
            .downcast_ref::<hyper::Error>()
            .and_then(of_protocol)
            .or_else(|| error.downcast_ref::<io::Error>().map(of_system));
        if let Some(told) = told {
            return told;
        }
        cause = error.source();
    }
    Trouble::Unreadable
}

fn of_protocol(error: &hyper::Error) -> Option<Trouble> {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(Trouble::Closed)
    } else if error.is_parse() {
        Some(Trouble::Unreadable)
    } else {
        None
    }
}

fn of_system(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::ConnectionRefused => Trouble::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Trouble::Closed,
        ErrorKind::InvalidData => Trouble::Unreadable,
        // No route, a name that does not resolve, the system's own limit of patience.
        _ => Trouble::Unreachable,
    }
}
