//! The predecessor's JSON objects: names, order and spelling are its own.

use serde::Serialize;

/// `{"Hostname","Port"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Key {
    pub(super) hostname: String,
    pub(super) port: u16,
}

/// A number that may be missing; never plain null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Null64 {
    pub(super) int64: u64,
    pub(super) valid: bool,
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
pub(super) struct Coordinates {
    pub(super) log_file: String,
    pub(super) log_pos: u64,
    pub(super) r#type: u8,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the predecessor's shape")]
pub(super) struct Instance {
    pub(super) key: Key,
    pub(super) instance_alias: String,
    pub(super) uptime: u64,
    #[serde(rename = "ServerID")]
    pub(super) server_id: u32,
    #[serde(rename = "ServerUUID")]
    pub(super) server_uuid: String,
    pub(super) version: String,
    pub(super) version_comment: String,
    pub(super) flavor_name: &'static str,
    pub(super) read_only: bool,
    #[serde(rename = "Binlog_format")]
    pub(super) binlog_format: &'static str,
    pub(super) binlog_row_image: String,
    pub(super) log_bin_enabled: bool,
    #[serde(rename = "LogSlaveUpdatesEnabled")]
    pub(super) log_updates_copy: bool,
    #[serde(rename = "LogReplicationUpdatesEnabled")]
    pub(super) log_updates: bool,
    pub(super) self_binlog_coordinates: Coordinates,
    #[serde(rename = "MasterKey")]
    pub(super) source_key: Key,
    #[serde(rename = "MasterUUID")]
    pub(super) source_uuid: String,
    #[serde(rename = "AncestryUUID")]
    pub(super) ancestry_uuid: String,
    #[serde(rename = "IsDetachedMaster")]
    pub(super) is_detached_source: bool,
    #[serde(rename = "Slave_SQL_Running")]
    pub(super) applier_running_copy: bool,
    #[serde(rename = "ReplicationSQLThreadRuning")]
    pub(super) applier_running: bool,
    #[serde(rename = "Slave_IO_Running")]
    pub(super) receiver_running_copy: bool,
    #[serde(rename = "ReplicationIOThreadRuning")]
    pub(super) receiver_running: bool,
    #[serde(rename = "ReplicationSQLThreadState")]
    pub(super) applier_state: i8,
    #[serde(rename = "ReplicationIOThreadState")]
    pub(super) receiver_state: i8,
    pub(super) has_replication_filters: bool,
    #[serde(rename = "GTIDMode")]
    pub(super) gtid_mode: String,
    #[serde(rename = "SupportsOracleGTID")]
    pub(super) supports_oracle_gtid: bool,
    #[serde(rename = "UsingOracleGTID")]
    pub(super) using_oracle_gtid: bool,
    #[serde(rename = "UsingMariaDBGTID")]
    pub(super) using_mariadb_gtid: bool,
    #[serde(rename = "UsingPseudoGTID")]
    pub(super) using_pseudo_gtid: bool,
    pub(super) read_binlog_coordinates: Coordinates,
    pub(super) exec_binlog_coordinates: Coordinates,
    pub(super) is_detached: bool,
    pub(super) relaylog_coordinates: Coordinates,
    #[serde(rename = "LastSQLError")]
    pub(super) last_applier_error: String,
    #[serde(rename = "LastIOError")]
    pub(super) last_receiver_error: String,
    #[serde(rename = "SecondsBehindMaster")]
    pub(super) seconds_behind: Null64,
    #[serde(rename = "SQLDelay")]
    pub(super) delay: u64,
    pub(super) executed_gtid_set: String,
    pub(super) gtid_purged: String,
    pub(super) gtid_errant: String,
    #[serde(rename = "SlaveLagSeconds")]
    pub(super) lag_copy: Null64,
    #[serde(rename = "ReplicationLagSeconds")]
    pub(super) lag: Null64,
    #[serde(rename = "SlaveHosts")]
    pub(super) replicas_copy: Vec<Key>,
    pub(super) replicas: Vec<Key>,
    pub(super) cluster_name: String,
    pub(super) suggested_cluster_alias: String,
    pub(super) data_center: String,
    pub(super) region: String,
    pub(super) physical_environment: String,
    pub(super) replication_depth: u32,
    #[serde(rename = "IsCoMaster")]
    pub(super) is_co_primary: bool,
    pub(super) has_replication_credentials: bool,
    pub(super) replication_credentials_available: bool,
    pub(super) semi_sync_available: bool,
    pub(super) semi_sync_priority: u32,
    #[serde(rename = "SemiSyncMasterEnabled")]
    pub(super) semi_sync_source_enabled: bool,
    pub(super) semi_sync_replica_enabled: bool,
    #[serde(rename = "SemiSyncMasterTimeout")]
    pub(super) semi_sync_source_timeout: u64,
    #[serde(rename = "SemiSyncMasterWaitForReplicaCount")]
    pub(super) semi_sync_wait_for: u32,
    #[serde(rename = "SemiSyncMasterStatus")]
    pub(super) semi_sync_source_status: bool,
    #[serde(rename = "SemiSyncMasterClients")]
    pub(super) semi_sync_clients: u32,
    pub(super) semi_sync_replica_status: bool,
    pub(super) last_seen_timestamp: String,
    pub(super) is_last_check_valid: bool,
    pub(super) is_up_to_date: bool,
    pub(super) is_recently_checked: bool,
    pub(super) seconds_since_last_seen: Null64,
    #[serde(rename = "CountMySQLSnapshots")]
    pub(super) count_snapshots: u32,
    pub(super) is_candidate: bool,
    pub(super) promotion_rule: &'static str,
    pub(super) is_downtimed: bool,
    pub(super) downtime_reason: String,
    pub(super) downtime_owner: String,
    pub(super) downtime_end_timestamp: String,
    pub(super) elapsed_downtime: u64,
    pub(super) unresolved_hostname: String,
    #[serde(rename = "AllowTLS")]
    pub(super) allow_tls: bool,
    pub(super) problems: Vec<&'static str>,
    pub(super) last_discovery_latency: u64,
    pub(super) replication_group_name: String,
    pub(super) replication_group_is_single_primary: bool,
    pub(super) replication_group_member_state: String,
    pub(super) replication_group_member_role: String,
    pub(super) replication_group_members: Vec<Key>,
    pub(super) replication_group_primary_instance_key: Key,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterInfo {
    pub(super) cluster_name: String,
    pub(super) cluster_alias: String,
    pub(super) cluster_domain: String,
    pub(super) count_instances: usize,
    pub(super) heuristic_lag: u64,
    #[serde(rename = "HasAutomatedMasterRecovery")]
    pub(super) is_primary_automatic: bool,
    #[serde(rename = "HasAutomatedIntermediateMasterRecovery")]
    pub(super) is_intermediate_automatic: bool,
}

/// What is wrong with one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the predecessor's shape")]
pub(super) struct ReplicationAnalysis {
    pub(super) analyzed_instance_key: Key,
    #[serde(rename = "AnalyzedInstanceMasterKey")]
    pub(super) analyzed_instance_source_key: Key,
    pub(super) cluster_details: ClusterInfo,
    pub(super) analyzed_instance_data_center: String,
    pub(super) analyzed_instance_region: String,
    pub(super) analyzed_instance_physical_environment: String,
    pub(super) analyzed_instance_binlog_coordinates: Coordinates,
    #[serde(rename = "IsMaster")]
    pub(super) is_primary: bool,
    pub(super) is_replication_group_member: bool,
    #[serde(rename = "IsCoMaster")]
    pub(super) is_co_primary: bool,
    pub(super) last_check_valid: bool,
    pub(super) last_check_partial_success: bool,
    pub(super) count_replicas: usize,
    pub(super) count_valid_replicas: usize,
    pub(super) count_valid_replicating_replicas: usize,
    #[serde(rename = "CountReplicasFailingToConnectToMaster")]
    pub(super) count_replicas_failing_to_connect: usize,
    pub(super) count_downtimed_replicas: usize,
    pub(super) replication_depth: u32,
    pub(super) replicas: Vec<Key>,
    #[serde(rename = "SlaveHosts")]
    pub(super) replicas_copy: Vec<Key>,
    #[serde(rename = "IsFailingToConnectToMaster")]
    pub(super) is_failing_to_connect: bool,
    pub(super) analysis: &'static str,
    pub(super) description: String,
    pub(super) structure_analysis: Option<Vec<&'static str>>,
    pub(super) is_downtimed: bool,
    pub(super) is_replicas_downtimed: bool,
    pub(super) downtime_end_timestamp: String,
    pub(super) downtime_remaining_seconds: i64,
    pub(super) is_binlog_server: bool,
    #[serde(rename = "PseudoGTIDImmediateTopology")]
    pub(super) is_pseudo_gtid_topology: bool,
    #[serde(rename = "OracleGTIDImmediateTopology")]
    pub(super) is_oracle_gtid_topology: bool,
    #[serde(rename = "MariaDBGTIDImmediateTopology")]
    pub(super) is_mariadb_gtid_topology: bool,
    #[serde(rename = "BinlogServerImmediateTopology")]
    pub(super) is_binlog_server_topology: bool,
    #[serde(rename = "SemiSyncMasterEnabled")]
    pub(super) semi_sync_source_enabled: bool,
    #[serde(rename = "SemiSyncMasterStatus")]
    pub(super) semi_sync_source_status: bool,
    #[serde(rename = "SemiSyncMasterWaitForReplicaCount")]
    pub(super) semi_sync_wait_for: u32,
    #[serde(rename = "SemiSyncMasterClients")]
    pub(super) semi_sync_clients: u32,
    pub(super) count_semi_sync_replicas_enabled: usize,
    pub(super) count_logging_replicas: usize,
    pub(super) count_statement_based_logging_replicas: usize,
    pub(super) count_mixed_based_logging_replicas: usize,
    pub(super) count_row_based_logging_replicas: usize,
    pub(super) count_distinct_major_versions_logging_replicas: usize,
    pub(super) count_delayed_replicas: usize,
    pub(super) count_lagging_replicas: usize,
    pub(super) is_actionable_recovery: bool,
    pub(super) processing_node_hostname: String,
    pub(super) processing_node_token: String,
    pub(super) count_additional_agreeing_nodes: u32,
    pub(super) start_active_period: String,
    pub(super) skippable_due_to_downtime: bool,
    #[serde(rename = "GTIDMode")]
    pub(super) gtid_mode: String,
    #[serde(rename = "MinReplicaGTIDMode")]
    pub(super) min_replica_gtid_mode: String,
    #[serde(rename = "MaxReplicaGTIDMode")]
    pub(super) max_replica_gtid_mode: String,
    #[serde(rename = "MaxReplicaGTIDErrant")]
    pub(super) max_replica_gtid_errant: String,
    pub(super) command_hint: String,
    pub(super) is_read_only: bool,
}

/// One recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TopologyRecovery {
    pub(super) id: i64,
    #[serde(rename = "UID")]
    pub(super) uid: String,
    pub(super) analysis_entry: ReplicationAnalysis,
    pub(super) successor_key: Option<Key>,
    pub(super) successor_alias: String,
    pub(super) successor_binlog_coordinates: Option<Coordinates>,
    pub(super) is_active: bool,
    pub(super) is_successful: bool,
    pub(super) lost_replicas: Vec<Key>,
    pub(super) participating_instance_keys: Vec<Key>,
    pub(super) all_errors: Option<Vec<String>>,
    pub(super) recovery_start_timestamp: String,
    pub(super) recovery_end_timestamp: String,
    pub(super) processing_node_hostname: String,
    pub(super) processing_node_token: String,
    pub(super) acknowledged: bool,
    pub(super) acknowledged_at: String,
    pub(super) acknowledged_by: String,
    pub(super) acknowledged_comment: String,
    pub(super) last_detection_id: i64,
    pub(super) related_recovery_id: i64,
    pub(super) r#type: &'static str,
    pub(super) recovery_type: &'static str,
}

/// One line of a recovery's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TopologyRecoveryStep {
    pub(super) id: i64,
    #[serde(rename = "RecoveryUID")]
    pub(super) recovery_uid: String,
    pub(super) audit_at: String,
    pub(super) message: String,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Audit {
    pub(super) audit_id: u64,
    pub(super) audit_timestamp: String,
    pub(super) audit_type: String,
    pub(super) audit_instance_key: Key,
    pub(super) message: String,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) value: String,
}

/// One server in maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Maintenance {
    pub(super) maintenance_id: i64,
    pub(super) key: Key,
    pub(super) begin_timestamp: String,
    pub(super) seconds_elapsed: u64,
    pub(super) is_active: bool,
    pub(super) owner: String,
    pub(super) reason: String,
}

/// One node of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeHealth {
    pub(super) hostname: String,
    pub(super) token: String,
    pub(super) app_version: String,
    pub(super) first_seen_active: String,
    pub(super) last_seen_active: String,
    pub(super) extra_info: String,
    pub(super) command: String,
    #[serde(rename = "DBBackend")]
    pub(super) backend: String,
    pub(super) last_reported: String,
}

/// Health of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthStatus {
    pub(super) healthy: bool,
    pub(super) hostname: String,
    pub(super) token: String,
    pub(super) is_active_node: bool,
    pub(super) active_node: NodeHealth,
    pub(super) error: Option<Nothing>,
    pub(super) available_nodes: Option<Vec<NodeHealth>>,
    pub(super) raft_leader: String,
    pub(super) is_raft_leader: bool,
    #[serde(rename = "RaftLeaderURI")]
    pub(super) raft_leader_uri: String,
    pub(super) raft_advertise: String,
    pub(super) raft_healthy_members: Option<Vec<String>>,
}

/// `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Nothing {}

/// Which clusters are recovered without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RecoveryFilters {
    #[serde(rename = "RecoverMasterClusterFilters")]
    pub(super) primaries: Vec<String>,
    #[serde(rename = "RecoverIntermediateMasterClusterFilters")]
    pub(super) intermediates: Vec<String>,
    pub(super) recovery_ignore_hostname_filters: Vec<String>,
}
