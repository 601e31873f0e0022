//! Validated settings: what the parts of Baton receive. They come from [`super::load`] only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use baton_backend::ClusterSpec;
use baton_core::ids::{Address, NodeName};
use baton_core::model::{Place, PromotionRule, Risk};

use super::problem::Problem;
use crate::secret::Secret;

/// Everything a configuration file says, defaults filled in, secrets resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[node]`
    pub node: NodeSettings,
    /// `[http]`
    pub http: HttpSettings,
    /// `[topology]`
    pub topology: TopologySettings,
    /// `[[server]]`
    pub servers: Vec<ServerHint>,
    /// `[[cluster]]`
    pub clusters: Vec<ClusterHint>,
    /// `[replication]`
    pub replication: Option<Account>,
    /// `[replication.tls]`
    pub replication_tls: Option<ReplicationTls>,
    /// `[recovery]`
    pub recovery: RecoverySettings,
    /// `[analysis]`, with `topology.lag_limit`
    pub analysis: AnalysisLimits,
    /// `[policy]`
    pub policy: PolicySettings,
    /// `[backend]`
    pub backend: BackendSettings,
    /// `[log]`
    pub log: LogSettings,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// This process.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Its name.
    pub name: NodeName,
    /// Where it stands, as the selector of the state store sees it.
    pub zone: Option<String>,
    /// Its HTTP address, as others reach it.
    pub url: String,
    /// How long the lease lasts without being renewed; `None` = as the kind of the state's
    /// databases needs.
    pub lease_ttl: Option<Duration>,
    /// Addresses of the other nodes.
    pub peers: Vec<String>,
    /// Where it writes.
    pub data_dir: PathBuf,
}

/// The HTTP edge.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Path under which everything is served; empty = the root.
    pub url_prefix: String,
    /// Changes are refused.
    pub read_only: bool,
    /// Who may change things; empty = everybody.
    pub users: Vec<HttpUser>,
}

/// A user who may change things through the API.
#[derive(Clone, Debug)]
pub struct HttpUser {
    /// Name.
    pub name: String,
    /// Password.
    pub password: Secret,
}

/// An account on managed servers.
#[derive(Clone, Debug)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// The managed servers.
#[derive(Clone, Debug)]
pub struct TopologySettings {
    /// Baton's account on them.
    pub account: Account,
    /// Servers to begin with.
    pub seeds: Vec<Address>,
    /// How often each is read.
    pub poll_interval: Duration,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for a reading.
    pub read_timeout: Duration,
    /// Readings in flight, of servers that answer.
    pub concurrency: u32,
    /// Attempts in flight, of servers that do not.
    pub silent_concurrency: u32,
    /// Silent servers are forgotten after this.
    pub forget_after: Duration,
    /// Encryption.
    pub tls: Tls,
    /// Statements of the operator's own.
    pub queries: Queries,
    /// The write that must commit.
    pub commit_probe: Option<CommitProbeSettings>,
}

/// Encryption to the managed servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// How much is asked for.
    pub mode: TlsMode,
    /// File with certificates of authorities.
    pub ca: Option<PathBuf>,
}

/// How much encryption is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Off,
    /// Encrypted where the server can.
    Preferred,
    /// Encrypted, certificate not checked.
    Required,
    /// Certificate of a known authority for the name connected to.
    VerifyIdentity,
}

/// Encryption of the channels that Baton makes. Paths are those of the replica's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationTls {
    /// How much is asked for.
    pub mode: ReplicationTlsMode,
    /// File of authorities.
    pub ca: Option<String>,
    /// Directory of authorities.
    pub ca_path: Option<String>,
    /// The replica's certificate.
    pub cert: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// Ciphers.
    pub cipher: Option<String>,
    /// File of revoked certificates.
    pub crl: Option<String>,
    /// Versions of TLS.
    pub versions: Option<String>,
}

/// How much encryption a new channel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationTlsMode {
    /// None.
    Off,
    /// Encrypted, certificate not checked.
    Required,
    /// Certificate of a known authority.
    VerifyCa,
    /// The same, for the host that is connected to.
    VerifyIdentity,
}

/// Statements of the operator's own; `None` = not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    /// Names the cluster.
    pub cluster_name: Option<String>,
    /// Names the data centre.
    pub data_center: Option<String>,
    /// Names the region.
    pub region: Option<String>,
    /// Names the environment.
    pub environment: Option<String>,
    /// Lag in seconds.
    pub lag: Option<String>,
}

/// The write that must commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitProbeSettings {
    /// The statement.
    pub statement: String,
    /// How often.
    pub interval: Duration,
    /// Longer is a stall.
    pub limit: Duration,
}

/// What the file says about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHint {
    /// The server.
    pub address: Address,
    /// Promotion rule, unless the API set another.
    pub promotion: PromotionRule,
    /// Where it stands; empty texts = not said.
    pub place: Place,
    /// Free words.
    pub tags: Vec<String>,
}

/// A name for the cluster of these servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterHint {
    /// The name.
    pub name: String,
    /// Members.
    pub members: Vec<Address>,
    /// What its failovers may risk; `None` = as `recovery.risk` says.
    pub risk: Option<Risk>,
}

/// Recoveries.
#[derive(Clone, Debug)]
pub struct RecoverySettings {
    /// Names of clusters recovered without a person, with `*` and `?`.
    pub automatic: Vec<String>,
    /// What failovers may risk.
    pub risk: Risk,
    /// Dead intermediate sources, too.
    pub intermediate: bool,
    /// What happens to a former primary that returns.
    pub rejoin: RejoinMode,
    /// Limit for applying what was received.
    pub drain_limit: Duration,
    /// Limit for one step.
    pub step_limit: Duration,
    /// Limit for fencing and stopping receivers in a failover.
    pub revoke_limit: Duration,
    /// Most lag with which a switchover begins.
    pub switchover_lag_limit: Duration,
    /// Limit for a switchover.
    pub switchover_deadline: Duration,
    /// How many other nodes must see that a primary is lost.
    pub peer_confirmations: u32,
    /// Act by the clusters' votes while a shared state store is away.
    pub without_backend: bool,
    /// Prefix of the routes' keys.
    pub kv_prefix: String,
}

/// What happens to a former primary that returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejoinMode {
    /// Made read-only, and a replica if it has no transactions of its own.
    FenceAndAttach,
    /// Made read-only.
    Fence,
    /// Reported.
    Off,
}

/// When facts become findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisLimits {
    /// Lag beyond the configured delay is a finding.
    pub lag_limit: Duration,
    /// For how long a receiver's sign of life proves that its source lives.
    pub receiver_silence: Duration,
    /// What a receiver that reconnects gets.
    pub reconnect_patience: Duration,
    /// A commit that waits longer makes a primary useless.
    pub commit_stall_limit: Duration,
    /// Semi-sync without any commit for so long is a lock.
    pub semi_sync_stall_limit: Duration,
    /// For so long a primary whose replicas return is not called hung.
    pub return_patience: Duration,
}

/// Policies.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// The failover policy.
    pub failover: PluginSource,
    /// Limit for one answer of it; `None` = by its size.
    pub deadline: Option<Duration>,
    /// Its settings, a JSON object.
    pub settings: serde_json::Value,
    /// The backend selector.
    pub backend: PluginSource,
    /// Its settings, a JSON object.
    pub backend_settings: serde_json::Value,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginSource {
    /// One of those inside the program.
    Builtin(String),
    /// A file.
    File(PathBuf),
}

/// The state store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendSettings {
    /// Embedded, in a file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// Embedded, forgotten at the end.
    Memory,
    /// Databases on the MySQL protocol, in order of preference.
    Databases(Vec<ClusterSpec>),
}

/// Log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Their form.
    pub format: LogFormat,
    /// Which ones.
    pub filter: String,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
