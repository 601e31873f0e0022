//! Recoveries in the predecessor's shape.

use baton_core::analysis::Code;
use baton_core::ids::ServerId;
use baton_core::model::{RecoveryKind, RecoveryOutcome};
use baton_ports::{RecoveryRecord, StepRecord};

use crate::analysis::NO_PROBLEM;
use crate::cluster::{LegacyCluster, key};
use crate::clusters::Clusters;
use crate::shape::{ClusterInfo, Key, ReplicationAnalysis, TopologyRecovery, TopologyRecoveryStep};
use baton_http_core::times::spaced;

/// Which of the two forms the predecessor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecoveryForm {
    /// The answer to the call that did it.
    Live,
    /// Read back from the records.
    Recorded,
}

/// A recovery.
pub(crate) fn recovery(
    clusters: &Clusters,
    row: RecoveryRecord,
    told: RecoveryForm,
) -> TopologyRecovery {
    let entry = entry(clusters, &row);
    let lost: Vec<Key> = row
        .lost
        .iter()
        .map(|id| key_of(clusters, &row, id))
        .collect();
    let successor = row.successor_address.as_ref().map(key);
    // Destructured in full, so that a new field of a recovery is thought about here.
    let RecoveryRecord {
        id,
        number,
        cluster: _,
        cluster_name: _,
        kind,
        finding: _,
        subject: _,
        subject_address: _,
        successor: _,
        successor_address: _,
        outcome,
        automatic: _,
        node,
        epoch: _,
        started,
        ended,
        lost: _,
        errors,
        decision: _,
        acknowledged,
        committed: _,
    } = row;
    let (by, at, comment) = match acknowledged.clone() {
        Some((by, at, comment)) => (by, spaced(at), comment),
        None => Default::default(),
    };
    let mut participants: Vec<Key> = successor
        .iter()
        .cloned()
        .chain([entry.analyzed_instance_key.clone()])
        .collect();
    participants.sort();
    TopologyRecovery {
        id: number,
        uid: id.as_str().to_owned(),
        participating_instance_keys: participants,
        analysis_entry: entry,
        successor_key: match told {
            RecoveryForm::Live => successor.clone(),
            RecoveryForm::Recorded => Some(successor.clone().unwrap_or_default()),
        },
        successor_alias: String::new(),
        successor_binlog_coordinates: None,
        is_active: outcome == RecoveryOutcome::Running,
        is_successful: outcome == RecoveryOutcome::Succeeded,
        lost_replicas: lost,
        // The predecessor splits a text at newlines, so that "no error" is one empty text.
        all_errors: Some(if errors.is_empty() {
            vec![String::new()]
        } else {
            errors
        }),
        recovery_start_timestamp: spaced(started),
        recovery_end_timestamp: ended.map(spaced).unwrap_or_default(),
        processing_node_hostname: node.as_str().to_owned(),
        processing_node_token: String::new(),
        acknowledged: acknowledged.is_some(),
        acknowledged_at: at,
        acknowledged_by: by,
        acknowledged_comment: comment,
        last_detection_id: 0,
        related_recovery_id: 0,
        r#type: kind_name(kind),
        recovery_type: match kind {
            RecoveryKind::Failover | RecoveryKind::Switchover | RecoveryKind::CoPrimaryFailover => {
                "MasterRecoveryGTID"
            }
            RecoveryKind::IntermediateFailover | RecoveryKind::Rejoin | RecoveryKind::Reopen => {
                "NotMasterRecovery"
            }
        },
    }
}

/// One line of the journal.
pub(crate) fn step(row: StepRecord) -> TopologyRecoveryStep {
    let StepRecord {
        number,
        recovery,
        entry,
    } = row;
    TopologyRecoveryStep {
        id: number,
        recovery_uid: recovery.as_str().to_owned(),
        audit_at: spaced(entry.at),
        message: format!("{} {}: {}", entry.phase, entry.stage.word(), entry.text),
    }
}

/// The part of the analysis that is kept with a recovery.
fn entry(clusters: &Clusters, row: &RecoveryRecord) -> ReplicationAnalysis {
    let view = clusters.find_cluster(row.cluster.as_str());
    let legacy = view.as_deref().map(LegacyCluster::of);
    let is_primary_change = match row.kind {
        RecoveryKind::Failover | RecoveryKind::Switchover | RecoveryKind::CoPrimaryFailover => true,
        RecoveryKind::IntermediateFailover | RecoveryKind::Rejoin | RecoveryKind::Reopen => false,
    };
    // The predecessor's name of a cluster is that of its primary, and then the failed server was
    // it.
    let present = legacy
        .as_ref()
        .map_or_else(|| row.cluster_name.clone(), |legacy| legacy.name.clone());
    let cluster_name = if is_primary_change {
        row.subject_address.to_string()
    } else {
        present
    };
    let automatic = legacy
        .as_ref()
        .is_some_and(|legacy| legacy.view.snapshot.control.automatic);
    let code = Code::from_word(&row.finding);
    let word = code
        .map(Code::orchestrator)
        .filter(|word| *word != NO_PROBLEM);
    let warning = || code.and_then(|code| code.structure_warnings().first().copied());
    ReplicationAnalysis {
        analyzed_instance_key: key(&row.subject_address),
        cluster_details: ClusterInfo {
            cluster_name: cluster_name.clone(),
            cluster_alias: row.cluster_name.clone(),
            cluster_domain: cluster_name,
            is_primary_automatic: automatic,
            is_intermediate_automatic: automatic,
            ..ClusterInfo::default()
        },
        // What the predecessor writes for a planned takeover.
        analysis: word.or_else(warning).unwrap_or(if is_primary_change {
            "DeadMaster"
        } else {
            NO_PROBLEM
        }),
        ..ReplicationAnalysis::default()
    }
}

fn key_of(clusters: &Clusters, row: &RecoveryRecord, id: &ServerId) -> Key {
    let view = clusters.find_cluster(row.cluster.as_str());
    let server = view
        .as_deref()
        .and_then(|view| view.snapshot.servers.get(id));
    server.map_or_else(
        || Key {
            hostname: id.as_str().to_owned(),
            port: 0,
        },
        |server| key(&server.address),
    )
}

fn kind_name(kind: RecoveryKind) -> &'static str {
    match kind {
        RecoveryKind::Failover | RecoveryKind::Switchover => "MasterRecovery",
        RecoveryKind::CoPrimaryFailover => "CoMasterRecovery",
        RecoveryKind::IntermediateFailover => "IntermediateMasterRecovery",
        RecoveryKind::Rejoin | RecoveryKind::Reopen => "",
    }
}
