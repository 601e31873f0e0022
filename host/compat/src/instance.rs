//! A server in the predecessor's shape.

use std::fmt::Write as _;
use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::{
    Channel, Flavor, LogFormat, PromotionRule, SemiSync, Server, ServerFacts, ThreadState,
};

use crate::cluster::{LegacyCluster, REASONABLE_LAG, key};
use crate::shape::{Coordinates, Instance, Key};
use baton_http_core::times::{age, spaced, wall_of};

/// A server of a cluster.
pub(crate) fn instance(legacy: &LegacyCluster<'_>, server: &Server) -> Instance {
    let mut shown = known(legacy, server);
    if let Some(facts) = server.last_facts() {
        describe(&mut shown, facts);
    }
    if let Some(channel) = legacy.channel(&server.id) {
        replicate(
            &mut shown,
            channel,
            server.last_facts().map(|facts| facts.flavor),
        );
    }
    if let Some(downtime) = legacy.downtime(server) {
        shown.is_downtimed = true;
        shown.downtime_owner.clone_from(&downtime.owner);
        shown.downtime_reason.clone_from(&downtime.reason);
        shown.downtime_end_timestamp = spaced(downtime.ends);
        shown.elapsed_downtime = nanos(legacy.view.snapshot.wall.since(downtime.begins));
    }
    shown.problems = problems(&shown);
    shown
}

/// An address of which nothing is known yet.
pub(crate) fn bare_instance(address: &Address) -> Instance {
    Instance {
        key: key(address),
        flavor_name: "unknown",
        receiver_state: -1,
        applier_state: -1,
        promotion_rule: PromotionRule::Neutral.word(),
        ..Instance::default()
    }
}

/// All servers of a cluster in the predecessor's order: depth, number of replicas, host, port.
pub(crate) fn instances(legacy: &LegacyCluster<'_>) -> Vec<Instance> {
    let mut all: Vec<Instance> = legacy
        .servers()
        .map(|server| instance(legacy, server))
        .collect();
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    all
}

/// The key of that order.
pub(crate) fn order(instance: &Instance) -> (u32, std::cmp::Reverse<usize>, &str, &Key) {
    let replicas = std::cmp::Reverse(instance.replicas.len());
    (
        instance.replication_depth,
        replicas,
        &instance.cluster_name,
        &instance.key,
    )
}

fn known(legacy: &LegacyCluster<'_>, server: &Server) -> Instance {
    let snapshot = &legacy.view.snapshot;
    let replicas = legacy.replica_keys(&server.id);
    let seen = server.probe.answered_at;
    let uids = legacy.ancestry(&server.id);
    let uids = uids
        .iter()
        .rev()
        .filter_map(|server| server.last_facts())
        .map(|facts| facts.uid.as_str());
    let is_valid = LegacyCluster::is_check_valid(server);
    Instance {
        ancestry_uuid: uids.collect::<Vec<_>>().join(","),
        source_key: legacy.source_key(&server.id),
        replicas_copy: replicas.clone(),
        replicas,
        cluster_name: legacy.name.clone(),
        data_center: server.place.data_center.clone(),
        region: server.place.region.clone(),
        physical_environment: server.place.environment.clone(),
        replication_depth: legacy.depth(&server.id),
        is_co_primary: legacy.view.topology.co_primary_of(&server.id).is_some(),
        gtid_errant: server
            .errant
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        last_seen_timestamp: seen
            .map(|at| spaced(wall_of(snapshot, at)))
            .unwrap_or_default(),
        is_last_check_valid: is_valid,
        is_up_to_date: legacy.is_checked_within(server, 2),
        is_recently_checked: legacy.is_checked_within(server, 5),
        seconds_since_last_seen: seen.map(|at| age(snapshot, at).as_secs()).into(),
        is_candidate: matches!(
            server.promotion,
            PromotionRule::Must | PromotionRule::Prefer
        ),
        promotion_rule: server.promotion.word(),
        last_discovery_latency: server.probe.round_trip.map(nanos).unwrap_or_default(),
        ..bare_instance(&server.address)
    }
}

fn describe(shown: &mut Instance, facts: &ServerFacts) {
    let is_mariadb = facts.flavor == Flavor::Mariadb;
    shown.uptime = facts
        .vitals
        .uptime
        .map(|uptime| uptime.as_secs())
        .unwrap_or_default();
    shown.server_id = facts.server_id;
    shown.server_uuid.clone_from(&facts.uid);
    shown.version.clone_from(&facts.version_text);
    shown.version_comment.clone_from(&facts.version_comment);
    shown.flavor_name = flavor_name(facts.flavor);
    shown.read_only = facts.read_only;
    shown.binlog_format = format_name(facts.log_format);
    shown.binlog_row_image.clone_from(&facts.row_image);
    shown.log_bin_enabled = facts.log_bin;
    shown.log_updates = facts.log_updates;
    shown.log_updates_copy = facts.log_updates;
    if let Some(binlog) = &facts.binlog {
        shown.self_binlog_coordinates = place(&(binlog.file.clone(), binlog.position), 0);
    }
    shown.gtid_mode.clone_from(&facts.gtid_mode);
    shown.supports_oracle_gtid = !is_mariadb && facts.gtid_mode.eq_ignore_ascii_case("on");
    shown.executed_gtid_set = facts.executed.to_string();
    shown.gtid_purged = facts
        .purged
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    shown.suggested_cluster_alias = facts.cluster_hint.clone().unwrap_or_default();
    if let Some(semi_sync) = &facts.semi_sync {
        acknowledge(shown, semi_sync);
    }
}

fn acknowledge(shown: &mut Instance, semi_sync: &SemiSync) {
    let timeout = semi_sync
        .timeout
        .map(|timeout| timeout.as_millis())
        .unwrap_or_default();
    shown.semi_sync_available = true;
    shown.semi_sync_source_enabled = semi_sync.source_enabled;
    shown.semi_sync_source_status = semi_sync.source_active;
    shown.semi_sync_wait_for = semi_sync.wait_for;
    shown.semi_sync_clients = semi_sync.clients;
    shown.semi_sync_source_timeout = u64::try_from(timeout).unwrap_or(u64::MAX);
    shown.semi_sync_replica_enabled = semi_sync.replica_enabled;
    shown.semi_sync_replica_status = semi_sync.replica_active;
}

fn replicate(shown: &mut Instance, channel: &Channel, flavor: Option<Flavor>) {
    let is_mariadb = flavor == Some(Flavor::Mariadb);
    let lag = channel.lag.map(|lag| lag.as_secs());
    shown.source_uuid = match &channel.source_uid {
        Some(uid) => uid.clone(),
        // What the predecessor says of a server that has no such column.
        None if is_mariadb => "No".to_owned(),
        None => String::new(),
    };
    shown.applier_running = channel.applier == ThreadState::Running;
    shown.applier_running_copy = shown.applier_running;
    shown.receiver_running = channel.receiver == ThreadState::Running;
    shown.receiver_running_copy = shown.receiver_running;
    shown.applier_state = thread_state(channel.applier);
    shown.receiver_state = thread_state(channel.receiver);
    shown.has_replication_filters = channel.filtered;
    shown.using_oracle_gtid = !is_mariadb && channel.auto_position;
    shown.using_mariadb_gtid = is_mariadb && channel.auto_position;
    shown.read_binlog_coordinates = place(&channel.read_position, 0);
    shown.exec_binlog_coordinates = place(&channel.applied_position, 0);
    shown.relaylog_coordinates = place(&channel.relay_position, 1);
    let text = |error: &Option<baton_core::model::ReplicationError>| {
        error
            .as_ref()
            .map(|error| quoted(&error.message))
            .unwrap_or_default()
    };
    shown.last_applier_error = text(&channel.applier_error);
    shown.last_receiver_error = text(&channel.receiver_error);
    shown.seconds_behind = lag.into();
    shown.lag = lag.into();
    shown.lag_copy = lag.into();
    shown.delay = channel.delay.as_secs();
    shown.has_replication_credentials = !channel.user.is_empty();
    shown.replication_credentials_available = !channel.user.is_empty();
    shown.allow_tls = channel.tls;
}

fn problems(shown: &Instance) -> Vec<&'static str> {
    let is_replica = shown.receiver_state >= 0;
    let is_replicating = shown.receiver_running && shown.applier_running;
    let late = shown.lag.int64.abs_diff(shown.delay) > REASONABLE_LAG.as_secs();
    let mut problems = Vec::new();
    if !shown.is_last_check_valid {
        problems.push("last_check_invalid");
    } else if !shown.is_recently_checked {
        problems.push("not_recently_checked");
    } else if is_replica && !is_replicating {
        problems.push("not_replicating");
    } else if is_replica && shown.lag.valid && late {
        problems.push("replication_lag");
    }
    if !shown.gtid_errant.is_empty() {
        problems.push("errant_gtid");
    }
    problems
}

fn thread_state(state: ThreadState) -> i8 {
    match state {
        ThreadState::Stopped => 0,
        ThreadState::Running => 1,
        ThreadState::Connecting | ThreadState::Unknown => 2,
    }
}

fn flavor_name(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Mysql => "MySQL",
        Flavor::Percona => "Percona",
        Flavor::Mariadb => "MariaDB",
        Flavor::Other => "unknown",
    }
}

/// The name of a binary log format, as the servers write it.
pub(crate) fn format_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Statement => "STATEMENT",
        LogFormat::Mixed => "MIXED",
        LogFormat::Row => "ROW",
    }
}

/// A place in a log.
pub(crate) fn place(position: &(String, u64), kind: u8) -> Coordinates {
    Coordinates {
        log_file: position.0.clone(),
        log_pos: position.1,
        r#type: kind,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The text in double quotes, ASCII only, as the predecessor shows replication errors; nothing for
/// nothing.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a text cannot fail.
        let written = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
            '\r' => write!(quoted, "\\r"),
            ' '..='~' => write!(quoted, "{c}"),
            _ if code < 0x80 => write!(quoted, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(quoted, "\\u{code:04x}"),
            _ => write!(quoted, "\\U{code:08x}"),
        };
        debug_assert!(written.is_ok());
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_quoted_in_ascii() {
        assert_eq!(quoted(""), "");
        assert_eq!(quoted("a \"b\" \\ c\n"), r#""a \"b\" \\ c\n""#);
        assert_eq!(quoted("é\u{1}😀"), r#""\u00e9\x01\U0001f600""#);
    }
}
