//! Servers.

use baton_control::ClusterView;
use baton_core::model::{
    BinlogPosition, Channel, CommitProbe, Downtime, Edge, Place, Probe, ReplicationError, SemiSync,
    Server, ServerFacts, Snapshot, Vitals,
};
use baton_core::time::Timestamp;

use super::super::schema::{
    ChannelDocument, CommitDocument, DowntimeDocument, ErrorDocument, FactsDocument, PlaceDocument,
    PositionDocument, ProbeDocument, SemiSyncDocument, ServerDocument, VitalsDocument,
};
use super::{Names, micros, millis};
use crate::vocabulary::Word;
use baton_http_core::times::{age, rfc3339, wall_of};

/// A server of a cluster.
pub(in crate::v1) fn server(view: &ClusterView, server: &Server) -> ServerDocument {
    let names = Names::of(view);
    let snapshot = &view.snapshot;
    let channels = view.topology.channels_of(&server.id);
    let replicas = view.topology.replicas_of(&server.id);
    let Server {
        id,
        address,
        probe,
        facts,
        heartbeat_moved,
        reconnected: _,
        reconnect_failed: _,
        severed: _,
        lifted: _,
        receiver_ran: _,
        acknowledged: _,
        closed: _,
        outages: _,
        starving: _,
        commits_wait_since: _,
        space_awaited_since: _,
        prepared_since: _,
        progressed_at,
        errant,
        promotion,
        place,
        downtime,
        maintenance,
        tags,
        quarantined,
    } = server.clone();
    let heard = |name: &str| {
        let moved = heartbeat_moved.iter().find(|(channel, _)| channel == name);
        moved.map(|(_, at)| millis(age(snapshot, *at)))
    };
    ServerDocument {
        id: id.as_str().to_owned(),
        address: address.to_string(),
        cluster: snapshot.cluster.id.as_str().to_owned(),
        role: role(view, server),
        probe: probe_document(snapshot, probe),
        read_age_ms: facts.as_ref().map(|facts| millis(age(snapshot, facts.at))),
        facts: facts.map(|facts| facts_document(facts.value)),
        channels: channels
            .iter()
            .map(|e| channel(&names, e.clone(), heard(&e.channel.name)))
            .collect(),
        replicas: replicas
            .iter()
            .map(|edge| names.server(&edge.replica))
            .collect(),
        progress_age_ms: progressed_at.map(|at| millis(age(snapshot, at))),
        errant: errant.map(|set| set.to_string()),
        promotion: Word(promotion),
        place: place_document(place),
        downtime: downtime.map(downtime_document),
        maintenance,
        tags: tags.into_iter().map(word_of).collect(),
        quarantined,
    }
}

/// A tag as it stands in the configuration.
fn word_of((key, value): (String, String)) -> String {
    if value.is_empty() {
        key
    } else {
        format!("{key}={value}")
    }
}

fn role(view: &ClusterView, server: &Server) -> &'static str {
    let is_source = !view.topology.replicas_of(&server.id).is_empty();
    let is_replica = !view.topology.channels_of(&server.id).is_empty();
    if view.report.primary.server() == Some(&server.id) {
        "primary"
    } else if server.facts.is_none() {
        "unknown"
    } else if is_replica && is_source {
        "intermediate"
    } else if is_replica {
        "replica"
    } else {
        "standalone"
    }
}

fn probe_document(snapshot: &Snapshot, probe: Probe) -> ProbeDocument {
    let state = Word(probe.reach());
    let Probe {
        answered_at,
        attempted_at,
        failing_since,
        receiver_stuck_since: _,
        back_at: _,
        failure,
        failures,
        successes,
        round_trip,
    } = probe;
    let ago = |at: Option<Timestamp>| at.map(|at| millis(age(snapshot, at)));
    ProbeDocument {
        state,
        failure: failure.as_ref().map(baton_core::model::ProbeFailure::word),
        error_number: failure
            .as_ref()
            .and_then(baton_core::model::ProbeFailure::error_number),
        answered_at: answered_at.map(|at| rfc3339(wall_of(snapshot, at))),
        answered_age_ms: ago(answered_at),
        attempted_age_ms: ago(attempted_at),
        failing_for_ms: ago(failing_since),
        failures,
        successes,
        round_trip_us: round_trip.map(micros),
    }
}

fn facts_document(facts: ServerFacts) -> FactsDocument {
    let ServerFacts {
        uid,
        server_id,
        flavor,
        version,
        version_text,
        version_comment,
        hostname,
        port,
        report_host,
        report_port,
        read_only,
        super_read_only,
        log_bin,
        log_updates,
        log_format,
        row_image,
        gtid_mode,
        executed,
        purged,
        binlog,
        // Shown beside the facts, with the members they point to.
        channels: _,
        replicas: _,
        semi_sync,
        // What is wrong with these is a finding.
        durability: _,
        vitals,
        events: _,
        // The server's own place is shown; this is where it came from.
        place: _,
        cluster_hint,
        // Findings name them.
        prepared: _,
        privileged_writers: _,
    } = facts;
    FactsDocument {
        uid,
        server_id,
        flavor: Word(flavor),
        version: version.to_string(),
        version_text,
        version_comment,
        hostname,
        port,
        report_host,
        report_port,
        read_only,
        super_read_only,
        log_bin,
        log_updates,
        log_format: Word(log_format),
        row_image,
        gtid_mode,
        gtid_executed: executed.to_string(),
        gtid_purged: purged.map(|set| set.to_string()),
        binlog: binlog.map(|BinlogPosition { file, position }| PositionDocument { file, position }),
        semi_sync: semi_sync.as_ref().map(semi_sync_document),
        vitals: vitals_document(vitals),
        cluster_hint,
    }
}

fn semi_sync_document(semi_sync: &SemiSync) -> SemiSyncDocument {
    let SemiSync {
        source_enabled,
        source_active,
        wait_for,
        clients,
        waiting_sessions,
        timeout,
        wait_point: _,
        waits_without_replicas: _,
        replica_enabled,
        replica_active,
    } = semi_sync.clone();
    SemiSyncDocument {
        source_enabled,
        source_active,
        wait_for,
        clients,
        waiting_sessions,
        timeout_ms: timeout.map(millis),
        replica_enabled,
        replica_active,
    }
}

fn vitals_document(vitals: Vitals) -> VitalsDocument {
    let Vitals {
        uptime,
        connections,
        connections_max,
        threads_running,
        commit,
        space: _,
    } = vitals;
    let (state, took_ms, error_number) = match commit {
        CommitProbe::NotTried => ("not-tried", None, None),
        CommitProbe::Committed { took } => ("committed", Some(millis(took)), None),
        CommitProbe::Refused { number } => ("refused", None, Some(number)),
        CommitProbe::Stalled { waited } => ("stalled", Some(millis(waited)), None),
    };
    VitalsDocument {
        uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
        connections,
        connections_max,
        threads_running,
        commit: CommitDocument {
            state,
            took_ms,
            error_number,
        },
    }
}

fn channel(names: &Names<'_>, edge: Edge, heard_age_ms: Option<u64>) -> ChannelDocument {
    let Edge {
        replica: _,
        channel,
        source: member,
    } = edge;
    let Channel {
        name,
        source,
        source_uid,
        source_server_id,
        user: _,
        receiver,
        applier,
        receiver_error,
        applier_error,
        received,
        auto_position,
        lag,
        delay,
        filtered,
        read_position,
        applied_position,
        relay_position,
        heartbeats: _,
        heartbeat_period,
        tls,
    } = channel;
    let error = |error: ReplicationError| {
        let ReplicationError { number, message } = error;
        ErrorDocument { number, message }
    };
    let position = |(file, position): (String, u64)| PositionDocument { file, position };
    ChannelDocument {
        name,
        source_address: source.map(|address| address.to_string()),
        source: member.map(|id| names.server(&id)),
        source_uid,
        source_server_id,
        receiver: Word(receiver),
        applier: Word(applier),
        receiver_error: receiver_error.map(error),
        applier_error: applier_error.map(error),
        received: received.to_string(),
        auto_position,
        lag_ms: lag.map(millis),
        delay_ms: millis(delay),
        filtered,
        read_position: position(read_position),
        applied_position: position(applied_position),
        relay_position: position(relay_position),
        heard_age_ms,
        heartbeat_period_ms: heartbeat_period.map(millis),
        tls,
    }
}

fn place_document(place: Place) -> PlaceDocument {
    let Place {
        data_center,
        region,
        environment,
    } = place;
    PlaceDocument {
        data_center,
        region,
        environment,
    }
}

pub(in crate::v1) fn downtime_document(downtime: Downtime) -> DowntimeDocument {
    let Downtime {
        owner,
        reason,
        begins,
        ends,
    } = downtime;
    DowntimeDocument {
        owner,
        reason,
        begins_at: rfc3339(begins),
        ends_at: rfc3339(ends),
    }
}
