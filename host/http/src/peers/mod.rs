//! The other nodes, over the HTTP API that each of them serves anyway.

mod backend;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use baton_core::ids::Address;
use baton_http_core::{ConnectionError, PeerClient, PeerClientError, UrlPrefix};
use baton_ports::{PeerFailure, PeerReport, PeerSighting, Peers};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use self::backend::BackendsDocument;
pub use self::backend::PeerBackend;
use self::wire::{ReportDocument, SightingsBody, SightingsDocument};

/// Asks the other nodes over HTTP.
///
/// A node's end shows in how it does not answer. When a process dies, its system closes its
/// connections: the question that the node has kept waiting fails at once, and the next is refused
/// because nobody listens. A frozen process or a cut network closes nothing.
pub struct HttpPeers {
    client: Arc<PeerClient>,
    prefix: UrlPrefix,
    /// What each node told this one last, as a token.
    seen: Mutex<BTreeMap<String, String>>,
}

impl HttpPeers {
    /// A client of the other nodes, which serve under the same `prefix`.
    ///
    /// # Errors
    /// If the system's certificate authorities cannot be read, while one of `urls` needs them.
    pub fn new(urls: &[String], prefix: UrlPrefix) -> Result<Self, PeerClientError> {
        Ok(Self {
            client: Arc::new(PeerClient::new(urls)?),
            prefix,
            seen: Mutex::default(),
        })
    }

    /// The backends that the node at `url` knows (`GET /api/v1/backend`).
    ///
    /// # Errors
    /// [`PeerFailure::Silent`] after `limit`; [`PeerFailure::Strange`] if the answer is no such
    /// document, or no success.
    pub async fn backends(
        &self,
        url: &str,
        limit: Duration,
    ) -> Result<Vec<PeerBackend>, PeerFailure> {
        let path = format!("{url}{}/api/v1/backend", self.prefix.as_str());
        let asked = self.ask::<(), BackendsDocument>(&path, None);
        let answer = timeout(limit, asked)
            .await
            .unwrap_or(Err(PeerFailure::Silent))?;
        Ok(answer.backends())
    }

    /// The connections, for forwarding requests.
    pub(crate) fn client(&self) -> Arc<PeerClient> {
        Arc::clone(&self.client)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, url: &str, rest: &str) -> String {
        format!("{url}{}/api/v1/peer/{rest}", self.prefix.as_str())
    }

    async fn ask<B: Serialize, D: DeserializeOwned>(
        &self,
        url: &str,
        body: Option<&B>,
    ) -> Result<D, PeerFailure> {
        match self.client.exchange(url, body).await {
            Ok((status, text)) if status.is_success() => {
                serde_json::from_slice(&text).map_err(|_| PeerFailure::Strange)
            }
            Ok(_) => Err(PeerFailure::Strange),
            Err(error) => Err(failure(error)),
        }
    }

    async fn ask_report(
        &self,
        url: &str,
        wait: Duration,
        limit: Duration,
    ) -> Result<ReportDocument, PeerFailure> {
        let seen = self.seen().get(url).cloned().filter(|_| !wait.is_zero());
        let seen = seen.map_or_else(String::new, |token| format!("&seen={token}"));
        let path = self.path(url, &format!("report?wait={}{seen}", wait.as_millis()));
        let asked = self.ask::<(), ReportDocument>(&path, None);
        timeout(wait.saturating_add(limit), asked)
            .await
            .unwrap_or(Err(PeerFailure::Silent))
    }
}

#[async_trait]
impl Peers for HttpPeers {
    async fn report(
        &self,
        url: &str,
        wait: Duration,
        limit: Duration,
    ) -> Result<PeerReport, PeerFailure> {
        let mut answer = self.ask_report(url, wait, limit).await;
        if matches!(answer, Err(PeerFailure::Gone)) {
            // A connection alone may end for other reasons (a device between the nodes forgot it);
            // a process that ended does not take the next one.
            answer = self.ask_report(url, Duration::ZERO, limit).await;
        }
        let report = answer?;
        self.seen().insert(url.to_owned(), report.token.clone());
        report.report().ok_or(PeerFailure::Strange)
    }

    async fn sightings(
        &self,
        url: &str,
        servers: &[Address],
        limit: Duration,
    ) -> Result<Vec<PeerSighting>, PeerFailure> {
        let (path, body) = (self.path(url, "sightings"), SightingsBody::of(servers));
        let asked = self.ask::<_, SightingsDocument>(&path, Some(&body));
        let answer = timeout(limit, asked)
            .await
            .unwrap_or(Err(PeerFailure::Silent))?;
        answer.sightings().ok_or(PeerFailure::Strange)
    }
}

fn failure(error: ConnectionError) -> PeerFailure {
    match error {
        ConnectionError::Refused | ConnectionError::Closed => PeerFailure::Gone,
        ConnectionError::Unreachable => PeerFailure::Silent,
        ConnectionError::Unreadable => PeerFailure::Strange,
    }
}
