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

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
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
pub struct PeerClient {
    plain: Plain,
    /// Set only if a node's URL is https, so that a machine without certificate authorities can
    /// run the others.
    secure: Option<Secure>,
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("reading the system's certificate authorities for https nodes")]
pub struct PeerClientError {
    #[source]
    source: io::Error,
}

impl PeerClient {
    /// A client for these nodes.
    ///
    /// # Errors
    /// If one of `urls` is https and the system's certificate authorities cannot be read.
    pub fn new(urls: &[String]) -> Result<Self, PeerClientError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let secure = if urls.iter().any(|url| url.starts_with("https:")) {
            let builder = HttpsConnectorBuilder::new();
            let builder = builder
                .with_native_roots()
                .map_err(|source| PeerClientError { source })?;
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

    /// Sends `body` as JSON, or asks without one, and gives the status and the body of the answer.
    /// Dropped midway, it closes the connection.
    ///
    /// # Errors
    /// See [`ConnectionError`].
    pub async fn exchange<B: Serialize>(
        &self,
        url: &str,
        body: Option<&B>,
    ) -> Result<(StatusCode, Bytes), ConnectionError> {
        let mut request = Request::builder().uri(url);
        let mut text = Vec::new();
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.method(Method::POST).header(CONTENT_TYPE, json);
            text = serde_json::to_vec(body).map_err(|_| ConnectionError::Unreadable)?;
        }
        let request = request
            .body(Bytes::from(text))
            .map_err(|_| ConnectionError::Unreachable)?;
        let (head, body) = self.send(request).await?.into_parts();
        Ok((head.status, body))
    }

    /// Sends a request and reads the answer in full. Dropped midway, it closes the connection.
    ///
    /// # Errors
    /// See [`ConnectionError`].
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionError> {
        let request = request.map(Full::new);
        let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
        let answer = match &self.secure {
            Some(secure) if is_secure => secure.request(request).await,
            _ => self.plain.request(request).await,
        };
        let (head, body) = answer.map_err(|error| of_request(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| connection_error(error.as_ref()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// Only what happens before a connection stands is sure to have sent nothing.
fn of_request(error: &legacy::Error) -> ConnectionError {
    match connection_error(error) {
        ConnectionError::Refused | ConnectionError::Unreachable if !error.is_connect() => {
            ConnectionError::Closed
        }
        told => told,
    }
}

/// The kind of an error, by the first of its causes that tells.
fn connection_error(error: &(dyn Error + 'static)) -> ConnectionError {
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
    ConnectionError::Unreadable
}

fn of_protocol(error: &hyper::Error) -> Option<ConnectionError> {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(ConnectionError::Closed)
    } else if error.is_parse() {
        Some(ConnectionError::Unreadable)
    } else {
        None
    }
}

fn of_system(error: &io::Error) -> ConnectionError {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectionError::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => ConnectionError::Closed,
        ErrorKind::InvalidData => ConnectionError::Unreadable,
        // No route, a name that does not resolve, the system's own time limit.
        _ => ConnectionError::Unreachable,
    }
}
