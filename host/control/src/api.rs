//! What the outside (HTTP, tests) can ask of the control loop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use baton_core::analysis::Report;
use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::model::{
    Downtime, PromotionRule, RecoveryKind, RecoveryOutcome, Snapshot, Topology,
};
use baton_core::planning::{AcceptedLoss, CandidateView, Explanation, ForeseenStep};
use baton_core::time::WallTime;
use baton_ports::{
    AuditRecord, PeerReport, PeerSighting, RecoveryRecord, Route, StepRecord, StoreError,
};

use crate::order_kind::OrderKind;

/// The latest published state of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// Facts.
    pub snapshot: Snapshot,
    /// Edges derived from them.
    pub topology: Topology,
    /// Findings.
    pub report: Report,
}

/// State of this node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Program version.
    pub version: String,
    /// Unique per process start.
    pub token: String,
    /// When the process started.
    pub started: WallTime,
    /// It holds the lease, with this epoch.
    pub lease: Option<LeaseEpoch>,
    /// It acts without the store, which is away.
    pub stands_in: bool,
    /// Why this process must not act at all.
    pub barred: Option<String>,
    /// Who holds the lease, as far as known.
    pub leader: Option<NodeName>,
    /// Where it serves, as other nodes reach it; empty if it does not.
    pub url: String,
    /// Why the store is not healthy; `None` = healthy.
    pub store_problem: Option<String>,
    /// Kind and place of the store, without secrets.
    pub store: String,
    /// `name@version` of the failover policy.
    pub policy: String,
    /// Global switch; `None` = unreadable, which means off.
    pub recoveries_enabled: Option<bool>,
    /// Every known server has been probed at least once.
    pub warm: bool,
    /// Counters for metrics: (name without prefix, value), names are a fixed set ending in `_total`
    /// or `_seconds_total`.
    pub counters: Vec<(&'static str, f64)>,
}

/// Whether a Baton node lives, as seen from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeLife {
    /// It is this one.
    This,
    /// It answers.
    Answers,
    /// Nobody listens where it did: its process is gone.
    Gone,
    /// It gives no answer: frozen, or cut off from here.
    Silent,
    /// What answers there is no Baton node, or one that this one does not understand.
    Strange,
    /// It is registered in the store, and none of the peers that this node is configured with.
    Registered,
}

/// A Baton node as this one knows it.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its name; `None` for a configured peer that never answered.
    pub name: Option<NodeName>,
    /// Where it serves.
    pub url: String,
    /// Program version, if it is registered.
    pub version: Option<String>,
    /// Unique per process start.
    pub token: Option<String>,
    /// Whether it lives.
    pub life: NodeLife,
    /// Age of its last answer to this node.
    pub answered_age: Option<Duration>,
    /// It says that it leads; of this node, it does.
    pub leads: bool,
    /// Epoch under which it acts, or the last it saw.
    pub epoch: Option<LeaseEpoch>,
    /// The store answers it.
    pub store_answers: Option<bool>,
    /// Whom it hears.
    pub hears: Vec<NodeName>,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such cluster, server or recovery.
    #[error("no {what} is known as {name:?}")]
    NotFound {
        /// `cluster`, `server`, `recovery`.
        what: &'static str,
        /// As asked.
        name: String,
    },
    /// The request itself makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It is refused for these reasons; nothing was done.
    #[error("{message}")]
    Refused {
        /// The summary.
        message: String,
        /// Reasons in full.
        reasons: Vec<String>,
    },
    /// This node does not lead.
    #[error("this node does not hold the lease; {}", match leader { Some(leader) => format!("{leader} does"), None => "nobody is known to".to_owned() })]
    NotLeader {
        /// Who does, if known.
        leader: Option<NodeName>,
    },
    /// The state store cannot do it now.
    #[error("{0}")]
    Store(String),
    /// It was begun and failed; the recovery's journal says how far it came.
    #[error("{message}")]
    Failed {
        /// The summary.
        message: String,
        /// The recovery.
        recovery: RecoveryId,
    },
}

impl RequestError {
    pub(crate) fn not_found(what: &'static str, name: &str) -> Self {
        Self::NotFound {
            what,
            name: name.to_owned(),
        }
    }

    /// Refused for one reason.
    pub(crate) fn refused(message: &str) -> Self {
        Self::Refused {
            message: message.to_owned(),
            reasons: vec![message.to_owned()],
        }
    }
}

/// What a caller is told about a store that did not do it.
pub(crate) fn store_error(error: &StoreError) -> RequestError {
    match error {
        StoreError::Conflict { conflict, .. } => RequestError::refused(conflict),
        StoreError::Retry { .. }
        | StoreError::OutcomeUnknown { .. }
        | StoreError::Fenced { .. }
        | StoreError::Unavailable { .. } => RequestError::Store(error.with_causes()),
    }
}

/// A request to change the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePrimary {
    /// The cluster.
    pub cluster: ClusterId,
    /// Whom to promote: this server or nobody. `None` = let the policy choose.
    pub to: Option<ServerId>,
    /// What promoting `to` may lose. It is worth nothing for another server, nor for a switchover,
    /// which loses nothing.
    pub accept_loss: Option<AcceptedLoss>,
    /// Who asks, for the audit.
    pub by: String,
    /// Give up (and undo) after this; `None` = as configured for a switchover, without limit for a
    /// failover.
    pub deadline: Option<Duration>,
}

/// Whether a person was asked about something that cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// Refuse what needs a second look.
    Unasked,
    /// Do it all the same.
    Sure,
}

/// What an order would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderForecast {
    /// The kind of recovery that it is.
    pub kind: RecoveryKind,
    /// The server that it is about.
    pub subject: ServerId,
    /// How it would end.
    pub outcome: RecoveryOutcome,
    /// Who would take over.
    pub successor: Option<ServerId>,
    /// What would be done, in order.
    pub steps: Vec<ForeseenStep>,
    /// What would go wrong, or stands in the way; the first one first.
    pub problems: Vec<String>,
    /// Whom the policy would be asked about, and what it says.
    pub candidates: Vec<CandidateView>,
    /// `name@version` of the policy that ranked; `None` if none had to.
    pub policy: Option<String>,
}

/// The control loop as the outside sees it. Reads are answered from memory; they never block on
/// servers.
#[async_trait]
pub trait Control: Send + Sync {
    /// This node.
    fn node(&self) -> NodeStatus;
    /// All clusters, by name.
    fn clusters(&self) -> Vec<Arc<ClusterView>>;
    /// One cluster by identity, name, or (if unambiguous) the `host:port` of a member.
    fn find_cluster(&self, hint: &str) -> Option<Arc<ClusterView>>;
    /// A server by identity or by an exact address or alias.
    fn find_server(&self, hint: &str) -> Option<(Arc<ClusterView>, ServerId)>;
    /// Known addresses that do not belong to a cluster yet (never answered), with the last
    /// failure's text.
    fn strays(&self) -> Vec<(Address, String)>;
    /// Waits until the view of a cluster (or of any, with `None`) changes, at most `limit`.
    async fn changed(&self, cluster: Option<&ClusterId>, limit: Duration);

    /// Where the node that leads serves its API, without a slash at the end; `None` if this node
    /// leads, or it is not known.
    async fn leader_url(&self) -> Option<String>;
    /// All nodes: this one, its configured peers, and those registered in the store, by name.
    /// Without the store, what is known without.
    async fn nodes(&self) -> Vec<NodeView>;
    /// Forgets a node that is gone for good: whatever waits for every node does not wait for it any
    /// more.
    async fn forget_node(&self, name: &NodeName, by: &str) -> Result<(), RequestError>;
    /// Gives the lease up, so that another node leads. Refused during a recovery, and where nobody
    /// could take over.
    async fn reelect(&self, by: &str) -> Result<(), RequestError>;
    /// Makes this node lead, also in place of another leader.
    async fn grab_election(&self, by: &str) -> Result<(), RequestError>;
    /// What this node says of itself to the other nodes.
    fn peer_report(&self) -> PeerReport;
    /// Waits until the report differs from `seen`, at most `limit`, and gives it.
    async fn peer_report_changed(&self, seen: &PeerReport, limit: Duration) -> PeerReport;
    /// How this node sees these servers now, for another node. Those it does not watch are left
    /// out.
    fn peer_sightings(&self, servers: &[Address]) -> Vec<PeerSighting>;

    /// Probes an address now and begins to watch it. The server is identified (or a finding says
    /// why not) within the probe's timeouts.
    async fn discover(&self, address: &Address, by: &str) -> Result<ServerId, RequestError>;
    /// Reads a server now.
    async fn refresh(&self, server: &ServerId) -> Result<(), RequestError>;
    /// Forgets a server; it is not rediscovered through others for a while. One that is in use, a
    /// primary that answers or a replica that replicates, is refused unless the caller is `Sure`.
    async fn forget(
        &self,
        server: &ServerId,
        sureness: Sureness,
        by: &str,
    ) -> Result<(), RequestError>;
    /// Renames a cluster.
    async fn rename(&self, cluster: &ClusterId, name: &str, by: &str) -> Result<(), RequestError>;

    /// Explains a cluster: asks the policy as a decision would, changes nothing.
    async fn explain(&self, cluster: &ClusterId) -> Result<Explanation, RequestError>;
    /// What an order would come to now: the same operation, with no effect performed. Asks the
    /// policy, changes nothing; any node answers from what it sees.
    async fn forecast(
        &self,
        cluster: &ClusterId,
        order: OrderKind,
    ) -> Result<OrderForecast, RequestError>;
    /// Replaces the primary although it may be alive (it is fenced first if it answers). Waits for
    /// the end.
    async fn failover(&self, request: ChangePrimary) -> Result<RecoveryRecord, RequestError>;
    /// Replaces a living primary without losing anything. Waits for the end.
    async fn switchover(&self, request: ChangePrimary) -> Result<RecoveryRecord, RequestError>;
    /// Recovers whatever finding `server` has now, as an automatic recovery would, by a person's
    /// order. Waits for the end.
    async fn recover(
        &self,
        server: &ServerId,
        to: Option<ServerId>,
        accept_loss: Option<AcceptedLoss>,
        by: &str,
    ) -> Result<RecoveryRecord, RequestError>;
    /// Attaches a server to the present primary (fences it first; refuses with errant transactions
    /// listed). Waits for the end.
    async fn rejoin(&self, server: &ServerId, by: &str) -> Result<RecoveryRecord, RequestError>;

    /// Recoveries, newest first.
    async fn recoveries(
        &self,
        cluster: Option<&ClusterId>,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<RecoveryRecord>, RequestError>;
    /// One recovery with its journal.
    async fn recovery(
        &self,
        id: &RecoveryId,
    ) -> Result<(RecoveryRecord, Vec<StepRecord>), RequestError>;
    /// Acknowledges recoveries: one, a cluster's, or all. Gives how many.
    async fn acknowledge(
        &self,
        id: Option<&RecoveryId>,
        cluster: Option<&ClusterId>,
        by: &str,
        comment: &str,
    ) -> Result<u64, RequestError>;
    /// Sets or ends a downtime.
    async fn set_downtime(
        &self,
        server: &ServerId,
        downtime: Option<Downtime>,
        by: &str,
    ) -> Result<(), RequestError>;
    /// Sets a promotion rule, for a time or for ever.
    async fn set_promotion(
        &self,
        server: &ServerId,
        rule: PromotionRule,
        expires: Option<WallTime>,
        by: &str,
    ) -> Result<(), RequestError>;
    /// Turns all recoveries on or off.
    async fn set_recoveries_enabled(&self, enabled: bool, by: &str) -> Result<(), RequestError>;
    /// Internal key-value routes.
    async fn routes(&self) -> Result<Vec<Route>, RequestError>;
    /// Audit log, newest first.
    async fn audits(&self, skip: u32, limit: u32) -> Result<Vec<AuditRecord>, RequestError>;
}
