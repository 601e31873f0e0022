//! What nodes tell each other, as JSON: the only file that turns it into the ports' values and
//! back.

use std::fmt::Write as _;
use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, ServerId};
use baton_core::policy::Reach;
use baton_ports::{PeerReport, PeerSighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::vocabulary::{Vocabulary as _, words};

/// What a node says of itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PeerReport")]
pub(crate) struct ReportDocument {
    /// Stands for everything else in this document.
    pub(crate) token: String,
    name: String,
    /// Another one after each start.
    incarnation: String,
    /// It holds the lease, or acts while the backend is away.
    acts: bool,
    /// It acts under an epoch that the backend granted it, not one that it chose while the backend
    /// was away.
    granted: bool,
    /// Under which it acts, or the last it saw.
    epoch: u64,
    leader: Option<String>,
    store_answers: bool,
    backend_node: Option<String>,
    /// Names of the nodes that it hears.
    hears: Vec<String>,
    primaries: Vec<PrimaryDocument>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PeerPrimary")]
struct PrimaryDocument {
    cluster: String,
    server: String,
    epoch: u64,
}

impl ReportDocument {
    /// The document of a report.
    pub(crate) fn of(report: &PeerReport) -> Self {
        let PeerReport {
            name,
            incarnation,
            acts,
            granted,
            epoch,
            leader,
            store_answers,
            backend_node,
            hears,
            primaries,
        } = report;
        let text = |name: &NodeName| name.as_str().to_owned();
        let primary =
            |(cluster, server, epoch): &(ClusterId, ServerId, LeaseEpoch)| PrimaryDocument {
                cluster: cluster.as_str().to_owned(),
                server: server.as_str().to_owned(),
                epoch: epoch.0,
            };
        let document = Self {
            token: String::new(),
            name: text(name),
            incarnation: incarnation.clone(),
            acts: *acts,
            granted: *granted,
            epoch: epoch.0,
            leader: leader.as_ref().map(text),
            store_answers: *store_answers,
            backend_node: backend_node.clone(),
            hears: hears.iter().map(text).collect(),
            primaries: primaries.iter().map(primary).collect(),
        };
        Self {
            token: token(&document),
            ..document
        }
    }

    /// The report; `None` if the document says nothing that could be one.
    pub(crate) fn report(self) -> Option<PeerReport> {
        let Self {
            token: _,
            name,
            incarnation,
            acts,
            granted,
            epoch,
            leader,
            store_answers,
            backend_node,
            hears,
            primaries,
        } = self;
        let primary = |primary: PrimaryDocument| {
            let PrimaryDocument {
                cluster,
                server,
                epoch,
            } = primary;
            let epoch = LeaseEpoch(epoch);
            (ClusterId::new(cluster), ServerId::new(server), epoch)
        };
        (!name.is_empty()).then(|| PeerReport {
            name: NodeName::new(name),
            incarnation,
            acts,
            granted,
            epoch: LeaseEpoch(epoch),
            leader: leader.map(NodeName::new),
            store_answers,
            backend_node,
            hears: hears.into_iter().map(NodeName::new).collect(),
            primaries: primaries.into_iter().map(primary).collect(),
        })
    }
}

/// A digest: nodes compare reports by it, so that none has to remember what it told whom.
fn token(document: &ReportDocument) -> String {
    let text = serde_json::to_vec(document).unwrap_or_default();
    let digest = Sha256::digest(&text);
    digest.iter().take(12).fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let written = write!(out, "{byte:02x}");
        debug_assert!(written.is_ok());
        out
    })
}

/// Of which servers a node wants to know.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SightingsBody {
    /// host:port.
    servers: Vec<String>,
}

impl SightingsBody {
    pub(crate) fn of(servers: &[Address]) -> Self {
        Self {
            servers: servers.iter().map(ToString::to_string).collect(),
        }
    }

    /// The addresses, or the first text that is none.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, String> {
        let parse = |text: &String| text.parse().map_err(|_| text.clone());
        self.servers.iter().map(parse).collect()
    }
}

/// How a node sees servers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sightings")]
pub(crate) struct SightingsDocument {
    servers: Vec<SightingDocument>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Sighting")]
struct SightingDocument {
    address: String,
    #[schemars(extend("enum" = words::<Reach>()))]
    reach: String,
    /// Word of the last failure.
    failure: Option<String>,
    /// Age of the last full answer.
    answered_age_ms: Option<u64>,
    /// Age of the last finished attempt.
    attempt_age_ms: Option<u64>,
    /// Failed attempts since the last full answer.
    failures: u32,
}

impl SightingsDocument {
    /// The document of these sightings.
    pub(crate) fn of(sightings: &[PeerSighting]) -> Self {
        Self {
            servers: sightings.iter().map(SightingDocument::of).collect(),
        }
    }

    /// The sightings; `None` if one is not understood.
    pub(crate) fn sightings(self) -> Option<Vec<PeerSighting>> {
        let Self { servers } = self;
        servers.into_iter().map(SightingDocument::read).collect()
    }
}

impl SightingDocument {
    fn of(sighting: &PeerSighting) -> Self {
        let PeerSighting {
            address,
            reach,
            failure,
            answered_age,
            attempt_age,
            failures,
        } = sighting;
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            address: address.to_string(),
            reach: reach.word().to_owned(),
            failure: failure.clone(),
            answered_age_ms: answered_age.map(ms),
            attempt_age_ms: attempt_age.map(ms),
            failures: *failures,
        }
    }

    fn read(self) -> Option<PeerSighting> {
        let Self {
            address,
            reach,
            failure,
            answered_age_ms,
            attempt_age_ms,
            failures,
        } = self;
        Some(PeerSighting {
            address: address.parse().ok()?,
            reach: Reach::ALL.iter().copied().find(|one| one.word() == reach)?,
            failure,
            answered_age: answered_age_ms.map(Duration::from_millis),
            attempt_age: attempt_age_ms.map(Duration::from_millis),
            failures,
        })
    }
}
