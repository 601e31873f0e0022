//! Documents of servers.

use baton_core::model::{Flavor, LogFormat, PromotionRule, Reach, ThreadState};
use schemars::JsonSchema;
use serde::Serialize;

use super::ServerRef;
use crate::vocabulary::Word;

/// A server.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Server")]
pub(in crate::v1) struct ServerDocument {
    pub(in crate::v1) id: String,
    pub(in crate::v1) address: String,
    pub(in crate::v1) cluster: String,
    #[schemars(extend("enum" = ["primary", "intermediate", "replica", "standalone", "unknown"]))]
    pub(in crate::v1) role: &'static str,
    pub(in crate::v1) probe: ProbeDocument,
    pub(in crate::v1) read_age_ms: Option<u64>,
    pub(in crate::v1) facts: Option<FactsDocument>,
    pub(in crate::v1) channels: Vec<ChannelDocument>,
    pub(in crate::v1) replicas: Vec<ServerRef>,
    pub(in crate::v1) progress_age_ms: Option<u64>,
    pub(in crate::v1) errant: Option<String>,
    pub(in crate::v1) promotion: Word<PromotionRule>,
    pub(in crate::v1) place: PlaceDocument,
    pub(in crate::v1) downtime: Option<DowntimeDocument>,
    pub(in crate::v1) maintenance: bool,
    pub(in crate::v1) tags: Vec<String>,
    pub(in crate::v1) quarantined: bool,
}

/// What probing it shows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
pub(in crate::v1) struct ProbeDocument {
    pub(in crate::v1) state: Word<Reach>,
    pub(in crate::v1) failure: Option<&'static str>,
    pub(in crate::v1) error_number: Option<u16>,
    #[schemars(extend("format" = "date-time"))]
    pub(in crate::v1) answered_at: Option<String>,
    pub(in crate::v1) answered_age_ms: Option<u64>,
    pub(in crate::v1) attempted_age_ms: Option<u64>,
    pub(in crate::v1) failing_for_ms: Option<u64>,
    pub(in crate::v1) failures: u32,
    pub(in crate::v1) successes: u32,
    pub(in crate::v1) round_trip_us: Option<u64>,
}

/// What it says about itself.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Facts")]
pub(in crate::v1) struct FactsDocument {
    pub(in crate::v1) uid: String,
    pub(in crate::v1) server_id: u32,
    pub(in crate::v1) flavor: Word<Flavor>,
    pub(in crate::v1) version: String,
    pub(in crate::v1) version_text: String,
    pub(in crate::v1) version_comment: String,
    pub(in crate::v1) hostname: String,
    pub(in crate::v1) port: u16,
    pub(in crate::v1) report_host: Option<String>,
    pub(in crate::v1) report_port: Option<u16>,
    pub(in crate::v1) read_only: bool,
    pub(in crate::v1) super_read_only: Option<bool>,
    pub(in crate::v1) log_bin: bool,
    pub(in crate::v1) log_updates: bool,
    pub(in crate::v1) log_format: Word<LogFormat>,
    pub(in crate::v1) row_image: String,
    pub(in crate::v1) gtid_mode: String,
    pub(in crate::v1) gtid_executed: String,
    pub(in crate::v1) gtid_purged: Option<String>,
    pub(in crate::v1) binlog: Option<PositionDocument>,
    pub(in crate::v1) semi_sync: Option<SemiSyncDocument>,
    pub(in crate::v1) vitals: VitalsDocument,
    pub(in crate::v1) cluster_hint: Option<String>,
}

/// A place in a log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Position")]
pub(in crate::v1) struct PositionDocument {
    pub(in crate::v1) file: String,
    pub(in crate::v1) position: u64,
}

/// Semi-synchronous replication.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[schemars(rename = "SemiSync")]
pub(in crate::v1) struct SemiSyncDocument {
    pub(in crate::v1) source_enabled: bool,
    pub(in crate::v1) source_active: bool,
    pub(in crate::v1) wait_for: u32,
    pub(in crate::v1) clients: u32,
    pub(in crate::v1) waiting_sessions: u32,
    pub(in crate::v1) timeout_ms: Option<u64>,
    pub(in crate::v1) replica_enabled: bool,
    pub(in crate::v1) replica_active: bool,
}

/// Signs of useful work.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Vitals")]
pub(in crate::v1) struct VitalsDocument {
    pub(in crate::v1) uptime_seconds: Option<u64>,
    pub(in crate::v1) connections: Option<u32>,
    pub(in crate::v1) connections_max: Option<u32>,
    pub(in crate::v1) threads_running: Option<u32>,
    pub(in crate::v1) commit: CommitDocument,
}

/// The last commit probe.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Commit")]
pub(in crate::v1) struct CommitDocument {
    #[schemars(extend("enum" = ["not-tried", "committed", "refused", "stalled"]))]
    pub(in crate::v1) state: &'static str,
    pub(in crate::v1) took_ms: Option<u64>,
    pub(in crate::v1) error_number: Option<u16>,
}

/// A replication channel.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Channel")]
pub(in crate::v1) struct ChannelDocument {
    pub(in crate::v1) name: String,
    pub(in crate::v1) source_address: Option<String>,
    pub(in crate::v1) source: Option<ServerRef>,
    pub(in crate::v1) source_uid: Option<String>,
    pub(in crate::v1) source_server_id: Option<u32>,
    pub(in crate::v1) receiver: Word<ThreadState>,
    pub(in crate::v1) applier: Word<ThreadState>,
    pub(in crate::v1) receiver_error: Option<ErrorDocument>,
    pub(in crate::v1) applier_error: Option<ErrorDocument>,
    pub(in crate::v1) received: String,
    pub(in crate::v1) auto_position: bool,
    pub(in crate::v1) lag_ms: Option<u64>,
    pub(in crate::v1) delay_ms: u64,
    pub(in crate::v1) filtered: bool,
    pub(in crate::v1) read_position: PositionDocument,
    pub(in crate::v1) applied_position: PositionDocument,
    pub(in crate::v1) relay_position: PositionDocument,
    pub(in crate::v1) heard_age_ms: Option<u64>,
    pub(in crate::v1) heartbeat_period_ms: Option<u64>,
    pub(in crate::v1) tls: bool,
}

/// A replication error.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(in crate::v1) struct ErrorDocument {
    pub(in crate::v1) number: u32,
    pub(in crate::v1) message: String,
}

/// Where a server stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Place")]
pub(in crate::v1) struct PlaceDocument {
    pub(in crate::v1) data_center: String,
    pub(in crate::v1) region: String,
    pub(in crate::v1) environment: String,
}

/// Operators said "ignore".
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Downtime")]
pub(in crate::v1) struct DowntimeDocument {
    pub(in crate::v1) owner: String,
    pub(in crate::v1) reason: String,
    #[schemars(extend("format" = "date-time"))]
    pub(in crate::v1) begins_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(in crate::v1) ends_at: String,
}
