//! What is to be watched.

use std::time::Duration;

use baton_core::policy::Pair;
use baton_core::policy::backend::BackendKind;
use baton_mysql::Account;

use crate::url::DatabaseUrl;

/// All backends, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSpec {
    /// Name of this Baton node.
    pub node: String,
    /// Where this Baton node stands; given to the selector as `self-zone`.
    pub zone: Option<String>,
    /// Highest version of the tables that this program can use.
    pub schema_version: u32,
    /// The backends.
    pub clusters: Vec<ClusterSpec>,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: BackendKind,
    /// Its nodes, in configured order.
    pub nodes: Vec<NodeSpec>,
    /// How often and how long.
    pub timing: Timing,
    /// Kind `master-master`: Baton itself makes the passive node writable when the active one is
    /// gone. `None` = a person does.
    pub promotion: Option<PromotionSpec>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Where it is.
    pub url: DatabaseUrl,
    /// `zone` = `a`.
    pub tags: Vec<Pair>,
}

/// Limits of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two probes of a node; a tenth of jitter is added or taken.
    pub interval: Duration,
    /// Longest wait for a connection, and as long again for the login.
    pub connect: Duration,
    /// Longest wait for an answer.
    pub read: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            connect: Duration::from_millis(500),
            read: Duration::from_millis(500),
        }
    }
}

/// How the passive node of a pair becomes the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotionSpec {
    /// An active node that refuses connections (its process is gone) is replaced at once; one that
    /// says nothing, after this.
    pub patience: Duration,
    /// Longest wait for the passive node to apply what it has received.
    pub drain: Duration,
    /// Account that may set `read_only`; `None` = the one of the URL.
    pub account: Option<Account>,
}

impl Default for PromotionSpec {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            account: None,
        }
    }
}

impl ClusterSpec {
    /// Identity of a node: `<backend>/<host:port>`.
    pub fn node_id(&self, node: &NodeSpec) -> String {
        format!("{}/{}", self.name, node.url.address)
    }
}
