//! Findings in the predecessor's shape: one entry per server, a main code and structure warnings.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::analysis::Finding;
use baton_core::ids::ServerId;
use baton_core::model::{Edge, Flavor, LogFormat, ProbeFailure, Server, ServerFacts, ThreadState};

use crate::cluster::{LegacyCluster, REASONABLE_LAG, key};
use crate::instance::place;
use crate::shape::{ClusterInfo, ReplicationAnalysis};
use baton_http_core::times::spaced;

/// The predecessor's code for "nothing", and for what it has no word for.
pub(crate) const NO_PROBLEM: &str = "NoProblem";

/// Entries of a cluster. Findings for which the predecessor has no word are left out.
pub(crate) fn analyses(legacy: &LegacyCluster<'_>) -> Vec<ReplicationAnalysis> {
    let mut by_server: BTreeMap<&ServerId, Vec<&Finding>> = BTreeMap::new();
    let mut order = Vec::new();
    for finding in &legacy.view.report.findings {
        let known = by_server.entry(&finding.server).or_default();
        if known.is_empty() {
            order.push(&finding.server);
        }
        known.push(finding);
    }
    let entry = |id: &&ServerId| {
        let server = legacy.server(id)?;
        entry(legacy, server, by_server.get(*id)?)
    };
    order.iter().filter_map(entry).collect()
}

fn entry(
    legacy: &LegacyCluster<'_>,
    server: &Server,
    findings: &[&Finding],
) -> Option<ReplicationAnalysis> {
    let main = findings
        .iter()
        .find(|finding| finding.code.orchestrator() != NO_PROBLEM);
    let warnings: Vec<&'static str> = findings
        .iter()
        .flat_map(|finding| finding.structure_warnings())
        .collect();
    if main.is_none() && warnings.is_empty() {
        return None;
    }
    let mut entry = described(legacy, server);
    count(&mut entry, legacy, server);
    entry.analysis = main.map_or(NO_PROBLEM, |finding| finding.code.orchestrator());
    entry.description = main.map(|finding| description(finding)).unwrap_or_default();
    entry.structure_analysis = (!warnings.is_empty()).then_some(warnings);
    entry.skippable_due_to_downtime = entry.is_downtimed || entry.is_replicas_downtimed;
    Some(entry)
}

fn description(finding: &Finding) -> String {
    let texts: Vec<&str> = finding
        .evidence
        .iter()
        .map(|evidence| evidence.text.as_str())
        .collect();
    if texts.is_empty() {
        finding.code.word().replace('-', " ")
    } else {
        texts.join("; ")
    }
}

/// What the server and its cluster say.
fn described(legacy: &LegacyCluster<'_>, server: &Server) -> ReplicationAnalysis {
    let facts = server.last_facts();
    let downtime = legacy.downtime(server);
    let semi_sync = facts.and_then(|facts| facts.semi_sync.as_ref());
    let channel = legacy.channel(&server.id);
    let replicas = legacy.replica_keys(&server.id);
    let info = legacy.info();
    let remaining = downtime.map(|d| d.ends.since(legacy.view.snapshot.wall).as_secs());
    ReplicationAnalysis {
        analyzed_instance_key: key(&server.address),
        analyzed_instance_source_key: legacy.source_key(&server.id),
        cluster_details: ClusterInfo {
            cluster_domain: info.cluster_name.clone(),
            count_instances: 0,
            ..info
        },
        analyzed_instance_data_center: server.place.data_center.clone(),
        analyzed_instance_region: server.place.region.clone(),
        analyzed_instance_physical_environment: server.place.environment.clone(),
        analyzed_instance_binlog_coordinates: facts
            .and_then(|facts| facts.binlog.as_ref())
            .map(|binlog| place(&(binlog.file.clone(), binlog.position), 0))
            .unwrap_or_default(),
        is_primary: channel.is_none_or(|channel| channel.source.is_none()),
        is_co_primary: legacy.view.topology.co_primary_of(&server.id).is_some(),
        last_check_valid: LegacyCluster::is_check_valid(server),
        last_check_partial_success: server
            .probe
            .failure
            .as_ref()
            .is_none_or(ProbeFailure::shows_life),
        replication_depth: legacy.depth(&server.id),
        replicas_copy: replicas.clone(),
        replicas,
        is_failing_to_connect: channel.is_some_and(|c| {
            c.receiver == ThreadState::Connecting && c.applier == ThreadState::Running
        }),
        is_downtimed: downtime.is_some(),
        downtime_end_timestamp: downtime.map(|d| spaced(d.ends)).unwrap_or_default(),
        // "Now minus end" is the predecessor's, so it is negative while the downtime lasts.
        downtime_remaining_seconds: remaining
            .map(|left| -i64::try_from(left).unwrap_or(i64::MAX))
            .unwrap_or_default(),
        semi_sync_source_enabled: semi_sync.is_some_and(|s| s.source_enabled),
        semi_sync_source_status: semi_sync.is_some_and(|s| s.source_active),
        semi_sync_wait_for: semi_sync.map(|s| s.wait_for).unwrap_or_default(),
        semi_sync_clients: semi_sync.map(|s| s.clients).unwrap_or_default(),
        gtid_mode: facts
            .map(|facts| facts.gtid_mode.clone())
            .unwrap_or_default(),
        is_read_only: facts.is_some_and(|facts| facts.read_only),
        ..ReplicationAnalysis::default()
    }
}

/// What its replicas say.
fn count(entry: &mut ReplicationAnalysis, legacy: &LegacyCluster<'_>, server: &Server) {
    let edges = legacy.replicas(&server.id);
    let all: Vec<(&Edge, &Server)> = edges
        .iter()
        .filter_map(|edge| Some((*edge, legacy.server(&edge.replica)?)))
        .collect();
    let valid: Vec<&(&Edge, &Server)> = all
        .iter()
        .filter(|(_, replica)| LegacyCluster::is_check_valid(replica))
        .collect();
    let number =
        |is_it: &dyn Fn(&Edge) -> bool| valid.iter().filter(|(edge, _)| is_it(edge)).count();
    entry.count_replicas = all.len();
    entry.count_valid_replicas = valid.len();
    entry.count_valid_replicating_replicas = number(&|edge| edge.channel.is_replicating());
    entry.count_replicas_failing_to_connect = number(&|edge| {
        edge.channel.receiver == ThreadState::Connecting
            && edge.channel.applier == ThreadState::Running
    });
    entry.count_downtimed_replicas = all
        .iter()
        .filter(|(_, replica)| legacy.downtime(replica).is_some())
        .count();
    entry.count_delayed_replicas = number(&|edge| !edge.channel.delay.is_zero());
    entry.count_lagging_replicas =
        number(&|edge| edge.channel.lag.is_some_and(|lag| lag > REASONABLE_LAG));
    entry.is_replicas_downtimed = !all.is_empty() && entry.count_downtimed_replicas == all.len();
    let facts: Vec<&ServerFacts> = valid
        .iter()
        .filter_map(|(_, replica)| replica.last_facts())
        .collect();
    let is_by_gtid = |is_mariadb: bool| {
        !valid.is_empty()
            && valid.iter().all(|(edge, replica)| {
                let flavor = replica.last_facts().map(|facts| facts.flavor);
                edge.channel.auto_position && (flavor == Some(Flavor::Mariadb)) == is_mariadb
            })
    };
    entry.is_oracle_gtid_topology = is_by_gtid(false);
    entry.is_mariadb_gtid_topology = is_by_gtid(true);
    count_logs(entry, &facts);
    let errant = all
        .iter()
        .filter_map(|(_, replica)| replica.errant.as_ref());
    entry.max_replica_gtid_errant = errant.map(ToString::to_string).max().unwrap_or_default();
}

fn count_logs(entry: &mut ReplicationAnalysis, facts: &[&ServerFacts]) {
    let logging: Vec<&&ServerFacts> = facts
        .iter()
        .filter(|f| f.log_bin && f.log_updates)
        .collect();
    let in_format = |format: LogFormat| logging.iter().filter(|f| f.log_format == format).count();
    entry.count_logging_replicas = logging.len();
    entry.count_statement_based_logging_replicas = in_format(LogFormat::Statement);
    entry.count_mixed_based_logging_replicas = in_format(LogFormat::Mixed);
    entry.count_row_based_logging_replicas = in_format(LogFormat::Row);
    let versions: BTreeSet<_> = logging
        .iter()
        .map(|f| (f.version.major, f.version.minor))
        .collect();
    entry.count_distinct_major_versions_logging_replicas = versions.len();
    entry.count_semi_sync_replicas_enabled = facts
        .iter()
        .filter(|f| f.semi_sync.as_ref().is_some_and(|s| s.replica_enabled))
        .count();
    let modes = || facts.iter().map(|f| f.gtid_mode.as_str());
    modes()
        .min()
        .unwrap_or_default()
        .clone_into(&mut entry.min_replica_gtid_mode);
    modes()
        .max()
        .unwrap_or_default()
        .clone_into(&mut entry.max_replica_gtid_mode);
}
