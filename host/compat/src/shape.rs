//! The predecessor's JSON objects: names, order and spelling are its own.

use serde::Serialize;

/// `{"Hostname","Port"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Key {
    pub(crate) hostname: String,
    pub(crate) port: u16,
}

/// A number that may be missing; never plain null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Null64 {
    pub(crate) int64: u64,
    pub(crate) valid: bool,
}

impl From<Option<u64>> for Null64 {
    fn from(value: Option<u64>) -> Self {
        Self {
            int64: value.unwrap_or_default(),
            valid: value.is_some(),
        }
    }
}

/// A place in a log; type 0 is a binary log, 1 a relay log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Coordinates {
    pub(crate) log_file: String,
    pub(crate) log_pos: u64,
    pub(crate) r#type: u8,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the predecessor's shape")]
pub(crate) struct Instance {
    pub(crate) key: Key,
    pub(crate) instance_alias: String,
    pub(crate) uptime: u64,
    #[serde(rename = "ServerID")]
    pub(crate) server_id: u32,
    #[serde(rename = "ServerUUID")]
    pub(crate) server_uuid: String,
    pub(crate) version: String,
    pub(crate) version_comment: String,
    pub(crate) flavor_name: &'static str,
    pub(crate) read_only: bool,
    #[serde(rename = "Binlog_format")]
    pub(crate) binlog_format: &'static str,
    pub(crate) binlog_row_image: String,
    pub(crate) log_bin_enabled: bool,
    #[serde(rename = "LogSlaveUpdatesEnabled")]
    pub(crate) log_updates_copy: bool,
    #[serde(rename = "LogReplicationUpdatesEnabled")]
    pub(crate) log_updates: bool,
    pub(crate) self_binlog_coordinates: Coordinates,
    #[serde(rename = "MasterKey")]
    pub(crate) source_key: Key,
    #[serde(rename = "MasterUUID")]
    pub(crate) source_uuid: String,
    #[serde(rename = "AncestryUUID")]
    pub(crate) ancestry_uuid: String,
    #[serde(rename = "IsDetachedMaster")]
    pub(crate) is_detached_source: bool,
    #[serde(rename = "Slave_SQL_Running")]
    pub(crate) applier_running_copy: bool,
    #[serde(rename = "ReplicationSQLThreadRuning")]
    pub(crate) applier_running: bool,
    #[serde(rename = "Slave_IO_Running")]
    pub(crate) receiver_running_copy: bool,
    #[serde(rename = "ReplicationIOThreadRuning")]
    pub(crate) receiver_running: bool,
    #[serde(rename = "ReplicationSQLThreadState")]
    pub(crate) applier_state: i8,
    #[serde(rename = "ReplicationIOThreadState")]
    pub(crate) receiver_state: i8,
    pub(crate) has_replication_filters: bool,
    #[serde(rename = "GTIDMode")]
    pub(crate) gtid_mode: String,
    #[serde(rename = "SupportsOracleGTID")]
    pub(crate) supports_oracle_gtid: bool,
    #[serde(rename = "UsingOracleGTID")]
    pub(crate) using_oracle_gtid: bool,
    #[serde(rename = "UsingMariaDBGTID")]
    pub(crate) using_mariadb_gtid: bool,
    #[serde(rename = "UsingPseudoGTID")]
    pub(crate) using_pseudo_gtid: bool,
    pub(crate) read_binlog_coordinates: Coordinates,
    pub(crate) exec_binlog_coordinates: Coordinates,
    pub(crate) is_detached: bool,
    pub(crate) relaylog_coordinates: Coordinates,
    #[serde(rename = "LastSQLError")]
    pub(crate) last_applier_error: String,
    #[serde(rename = "LastIOError")]
    pub(crate) last_receiver_error: String,
    #[serde(rename = "SecondsBehindMaster")]
    pub(crate) seconds_behind: Null64,
    #[serde(rename = "SQLDelay")]
    pub(crate) delay: u64,
    pub(crate) executed_gtid_set: String,
    pub(crate) gtid_purged: String,
    pub(crate) gtid_errant: String,
    #[serde(rename = "SlaveLagSeconds")]
    pub(crate) lag_copy: Null64,
    #[serde(rename = "ReplicationLagSeconds")]
    pub(crate) lag: Null64,
    #[serde(rename = "SlaveHosts")]
    pub(crate) replicas_copy: Vec<Key>,
    pub(crate) replicas: Vec<Key>,
    pub(crate) cluster_name: String,
    pub(crate) suggested_cluster_alias: String,
    pub(crate) data_center: String,
    pub(crate) region: String,
    pub(crate) physical_environment: String,
    pub(crate) replication_depth: u32,
    #[serde(rename = "IsCoMaster")]
    pub(crate) is_co_primary: bool,
    pub(crate) has_replication_credentials: bool,
    pub(crate) replication_credentials_available: bool,
    pub(crate) semi_sync_available: bool,
    pub(crate) semi_sync_priority: u32,
    #[serde(rename = "SemiSyncMasterEnabled")]
    pub(crate) semi_sync_source_enabled: bool,
    pub(crate) semi_sync_replica_enabled: bool,
    #[serde(rename = "SemiSyncMasterTimeout")]
    pub(crate) semi_sync_source_timeout: u64,
    #[serde(rename = "SemiSyncMasterWaitForReplicaCount")]
    pub(crate) semi_sync_wait_for: u32,
    #[serde(rename = "SemiSyncMasterStatus")]
    pub(crate) semi_sync_source_status: bool,
    #[serde(rename = "SemiSyncMasterClients")]
    pub(crate) semi_sync_clients: u32,
    pub(crate) semi_sync_replica_status: bool,
    pub(crate) last_seen_timestamp: String,
    pub(crate) is_last_check_valid: bool,
    pub(crate) is_up_to_date: bool,
    pub(crate) is_recently_checked: bool,
    pub(crate) seconds_since_last_seen: Null64,
    #[serde(rename = "CountMySQLSnapshots")]
    pub(crate) count_snapshots: u32,
    pub(crate) is_candidate: bool,
    pub(crate) promotion_rule: &'static str,
    pub(crate) is_downtimed: bool,
    pub(crate) downtime_reason: String,
    pub(crate) downtime_owner: String,
    pub(crate) downtime_end_timestamp: String,
    pub(crate) elapsed_downtime: u64,
    pub(crate) unresolved_hostname: String,
    #[serde(rename = "AllowTLS")]
    pub(crate) allow_tls: bool,
    pub(crate) problems: Vec<&'static str>,
    pub(crate) last_discovery_latency: u64,
    pub(crate) replication_group_name: String,
    pub(crate) replication_group_is_single_primary: bool,
    pub(crate) replication_group_member_state: String,
    pub(crate) replication_group_member_role: String,
    pub(crate) replication_group_members: Vec<Key>,
    pub(crate) replication_group_primary_instance_key: Key,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClusterInfo {
    pub(crate) cluster_name: String,
    pub(crate) cluster_alias: String,
    pub(crate) cluster_domain: String,
    pub(crate) count_instances: usize,
    pub(crate) heuristic_lag: u64,
    #[serde(rename = "HasAutomatedMasterRecovery")]
    pub(crate) is_primary_automatic: bool,
    #[serde(rename = "HasAutomatedIntermediateMasterRecovery")]
    pub(crate) is_intermediate_automatic: bool,
}

/// What is wrong with one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the predecessor's shape")]
pub(crate) struct ReplicationAnalysis {
    pub(crate) analyzed_instance_key: Key,
    #[serde(rename = "AnalyzedInstanceMasterKey")]
    pub(crate) analyzed_instance_source_key: Key,
    pub(crate) cluster_details: ClusterInfo,
    pub(crate) analyzed_instance_data_center: String,
    pub(crate) analyzed_instance_region: String,
    pub(crate) analyzed_instance_physical_environment: String,
    pub(crate) analyzed_instance_binlog_coordinates: Coordinates,
    #[serde(rename = "IsMaster")]
    pub(crate) is_primary: bool,
    pub(crate) is_replication_group_member: bool,
    #[serde(rename = "IsCoMaster")]
    pub(crate) is_co_primary: bool,
    pub(crate) last_check_valid: bool,
    pub(crate) last_check_partial_success: bool,
    pub(crate) count_replicas: usize,
    pub(crate) count_valid_replicas: usize,
    pub(crate) count_valid_replicating_replicas: usize,
    #[serde(rename = "CountReplicasFailingToConnectToMaster")]
    pub(crate) count_replicas_failing_to_connect: usize,
    pub(crate) count_downtimed_replicas: usize,
    pub(crate) replication_depth: u32,
    pub(crate) replicas: Vec<Key>,
    #[serde(rename = "SlaveHosts")]
    pub(crate) replicas_copy: Vec<Key>,
    #[serde(rename = "IsFailingToConnectToMaster")]
    pub(crate) is_failing_to_connect: bool,
    pub(crate) analysis: &'static str,
    pub(crate) description: String,
    pub(crate) structure_analysis: Option<Vec<&'static str>>,
    pub(crate) is_downtimed: bool,
    pub(crate) is_replicas_downtimed: bool,
    pub(crate) downtime_end_timestamp: String,
    pub(crate) downtime_remaining_seconds: i64,
    pub(crate) is_binlog_server: bool,
    #[serde(rename = "PseudoGTIDImmediateTopology")]
    pub(crate) is_pseudo_gtid_topology: bool,
    #[serde(rename = "OracleGTIDImmediateTopology")]
    pub(crate) is_oracle_gtid_topology: bool,
    #[serde(rename = "MariaDBGTIDImmediateTopology")]
    pub(crate) is_mariadb_gtid_topology: bool,
    #[serde(rename = "BinlogServerImmediateTopology")]
    pub(crate) is_binlog_server_topology: bool,
    #[serde(rename = "SemiSyncMasterEnabled")]
    pub(crate) semi_sync_source_enabled: bool,
    #[serde(rename = "SemiSyncMasterStatus")]
    pub(crate) semi_sync_source_status: bool,
    #[serde(rename = "SemiSyncMasterWaitForReplicaCount")]
    pub(crate) semi_sync_wait_for: u32,
    #[serde(rename = "SemiSyncMasterClients")]
    pub(crate) semi_sync_clients: u32,
    pub(crate) count_semi_sync_replicas_enabled: usize,
    pub(crate) count_logging_replicas: usize,
    pub(crate) count_statement_based_logging_replicas: usize,
    pub(crate) count_mixed_based_logging_replicas: usize,
    pub(crate) count_row_based_logging_replicas: usize,
    pub(crate) count_distinct_major_versions_logging_replicas: usize,
    pub(crate) count_delayed_replicas: usize,
    pub(crate) count_lagging_replicas: usize,
    pub(crate) is_actionable_recovery: bool,
    pub(crate) processing_node_hostname: String,
    pub(crate) processing_node_token: String,
    pub(crate) count_additional_agreeing_nodes: u32,
    pub(crate) start_active_period: String,
    pub(crate) skippable_due_to_downtime: bool,
    #[serde(rename = "GTIDMode")]
    pub(crate) gtid_mode: String,
    #[serde(rename = "MinReplicaGTIDMode")]
    pub(crate) min_replica_gtid_mode: String,
    #[serde(rename = "MaxReplicaGTIDMode")]
    pub(crate) max_replica_gtid_mode: String,
    #[serde(rename = "MaxReplicaGTIDErrant")]
    pub(crate) max_replica_gtid_errant: String,
    pub(crate) command_hint: String,
    pub(crate) is_read_only: bool,
}

/// One recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopologyRecovery {
    pub(crate) id: i64,
    #[serde(rename = "UID")]
    pub(crate) uid: String,
    pub(crate) analysis_entry: ReplicationAnalysis,
    pub(crate) successor_key: Option<Key>,
    pub(crate) successor_alias: String,
    pub(crate) successor_binlog_coordinates: Option<Coordinates>,
    pub(crate) is_active: bool,
    pub(crate) is_successful: bool,
    pub(crate) lost_replicas: Vec<Key>,
    pub(crate) participating_instance_keys: Vec<Key>,
    pub(crate) all_errors: Option<Vec<String>>,
    pub(crate) recovery_start_timestamp: String,
    pub(crate) recovery_end_timestamp: String,
    pub(crate) processing_node_hostname: String,
    pub(crate) processing_node_token: String,
    pub(crate) acknowledged: bool,
    pub(crate) acknowledged_at: String,
    pub(crate) acknowledged_by: String,
    pub(crate) acknowledged_comment: String,
    pub(crate) last_detection_id: i64,
    pub(crate) related_recovery_id: i64,
    pub(crate) r#type: &'static str,
    pub(crate) recovery_type: &'static str,
}

/// One line of a recovery's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopologyRecoveryStep {
    pub(crate) id: i64,
    #[serde(rename = "RecoveryUID")]
    pub(crate) recovery_uid: String,
    pub(crate) audit_at: String,
    pub(crate) message: String,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Audit {
    pub(crate) audit_id: u64,
    pub(crate) audit_timestamp: String,
    pub(crate) audit_type: String,
    pub(crate) audit_instance_key: Key,
    pub(crate) message: String,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// One server in maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Maintenance {
    pub(crate) maintenance_id: i64,
    pub(crate) key: Key,
    pub(crate) begin_timestamp: String,
    pub(crate) seconds_elapsed: u64,
    pub(crate) is_active: bool,
    pub(crate) owner: String,
    pub(crate) reason: String,
}

/// One node of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeHealth {
    pub(crate) hostname: String,
    pub(crate) token: String,
    pub(crate) app_version: String,
    pub(crate) first_seen_active: String,
    pub(crate) last_seen_active: String,
    pub(crate) extra_info: String,
    pub(crate) command: String,
    #[serde(rename = "DBBackend")]
    pub(crate) backend: String,
    pub(crate) last_reported: String,
}

/// Health of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthStatus {
    pub(crate) healthy: bool,
    pub(crate) hostname: String,
    pub(crate) token: String,
    pub(crate) is_active_node: bool,
    pub(crate) active_node: NodeHealth,
    pub(crate) error: Option<Nothing>,
    pub(crate) available_nodes: Option<Vec<NodeHealth>>,
    pub(crate) raft_leader: String,
    pub(crate) is_raft_leader: bool,
    #[serde(rename = "RaftLeaderURI")]
    pub(crate) raft_leader_uri: String,
    pub(crate) raft_advertise: String,
    pub(crate) raft_healthy_members: Option<Vec<String>>,
}

/// `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Nothing {}

/// Which clusters are recovered without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecoveryFilters {
    #[serde(rename = "RecoverMasterClusterFilters")]
    pub(crate) primaries: Vec<String>,
    #[serde(rename = "RecoverIntermediateMasterClusterFilters")]
    pub(crate) intermediates: Vec<String>,
    pub(crate) recovery_ignore_hostname_filters: Vec<String>,
}
