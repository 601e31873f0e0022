//! From the control loop's values to the JSON of `/api/v1`: the only file in this direction. Values are taken apart in
//! full, so that a new field stops the build until someone decides whether clients see it.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_control::{ClusterView, NodeStatus};
use baton_core::analysis::{Evidence, Finding, PrimaryView, Report};
use baton_core::ids::{Address, ServerId};
use baton_core::model::{
    ActiveRecovery, BinlogPosition, Channel, ClusterRecord, CommitProbe, Control, Downtime, Edge,
    PastRecovery, Place, Probe, ReplicationError, SemiSync, Server, ServerFacts, Snapshot, Vitals,
};
use baton_core::planning::{CandidateView, ExpectedLoss, Explanation, Intention, Reason};
use baton_core::time::Timestamp;
use baton_ports::{AuditRecord, JournalEntry, RecoveryRow, Route, StepRow};

use super::schema::{
    ActiveDocument, AuditDocument, CandidateDocument, ChannelDocument, ClusterDocument,
    ClusterSummary, CommitDocument, DowntimeDocument, ErrorDocument, ExplanationDocument,
    FactsDocument, FindingDocument, IntentionDocument, LossDocument, NodeDocument, PastDocument,
    PlaceDocument, PositionDocument, PrimaryDocument, ProbeDocument, ReasonDocument,
    RecoveryDocument, RouteDocument, SemiSyncDocument, ServerDocument, ServerRef, StepDocument,
    StrayDocument, VitalsDocument,
};
use super::words;
use crate::moments::{age, rfc3339, wall_of};

/// Names the servers of a cluster.
pub(super) struct Names<'a>(&'a ClusterView);

impl<'a> Names<'a> {
    pub(super) fn of(view: &'a ClusterView) -> Self {
        Self(view)
    }

    pub(super) fn server(&self, id: &ServerId) -> ServerRef {
        let server = self.0.snapshot.servers.get(id);
        let address = server.map(|server| server.address.to_string());
        ServerRef {
            id: id.as_str().to_owned(),
            address,
        }
    }

    fn servers(&self, ids: Vec<ServerId>) -> Vec<ServerRef> {
        ids.iter().map(|id| self.server(id)).collect()
    }
}

pub(super) fn node(status: NodeStatus) -> NodeDocument {
    let NodeStatus {
        name,
        version,
        token,
        started,
        lease,
        leader,
        store_problem,
        store,
        policy,
        recoveries_enabled,
        warm,
        counters,
    } = status;
    NodeDocument {
        name: name.as_str().to_owned(),
        version,
        token,
        started_at: rfc3339(started),
        is_leader: lease.is_some(),
        lease_epoch: lease.map(|epoch| epoch.0),
        leader: leader.map(|leader| leader.as_str().to_owned()),
        store,
        store_problem,
        policy,
        recoveries_enabled,
        warm,
        counters: counters.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// A cluster in a few lines.
pub(super) fn summary(view: &ClusterView) -> ClusterSummary {
    let names = Names::of(view);
    let ClusterRecord {
        id,
        name,
        primary: _,
        primary_epoch: _,
    } = &view.snapshot.cluster;
    let worst = view
        .report
        .findings
        .iter()
        .map(|finding| finding.severity)
        .max();
    let control = &view.snapshot.control;
    let status = match (&control.active, worst) {
        (Some(_), _) => "recovering",
        (None, Some(severity)) => words::severity(severity),
        (None, None) => "ok",
    };
    let answering = |server: &&Server| server.probe.reach() == baton_core::model::Reach::Answering;
    ClusterSummary {
        id: id.as_str().to_owned(),
        name: name.clone(),
        status,
        primary: view.report.primary.server().map(|id| names.server(id)),
        servers: view.snapshot.servers.len(),
        servers_answering: view.snapshot.servers.values().filter(answering).count(),
        findings: view.report.findings.len(),
        automatic: control.automatic,
        recovering: control
            .active
            .clone()
            .map(|active| recovering(&names, active)),
        as_of: rfc3339(view.snapshot.wall),
    }
}

/// A cluster in full.
pub(super) fn cluster(view: &ClusterView) -> ClusterDocument {
    let names = Names::of(view);
    let Control {
        automatic: _,
        enabled,
        lease: _,
        active: _,
        past,
    } = view.snapshot.control.clone();
    // What the loop reads next is its own business.
    let Report {
        taken_at: _,
        primary,
        findings,
        probes: _,
    } = view.report.clone();
    ClusterDocument {
        summary: summary(view),
        primary_view: primary_view(&names, primary),
        primary_epoch: view.snapshot.cluster.primary_epoch.0,
        recoveries_enabled: words::switch(enabled),
        servers: view
            .snapshot
            .servers
            .values()
            .map(|server_| server(view, server_))
            .collect(),
        findings: findings.into_iter().map(|one| finding(view, one)).collect(),
        past_recoveries: past
            .into_iter()
            .map(|one| past_recovery(&names, one))
            .collect(),
    }
}

fn recovering(names: &Names<'_>, active: ActiveRecovery) -> ActiveDocument {
    let ActiveRecovery { id, kind, failed } = active;
    ActiveDocument {
        id: id.as_str().to_owned(),
        kind: kind.word(),
        failed: names.server(&failed),
    }
}

fn past_recovery(names: &Names<'_>, past: PastRecovery) -> PastDocument {
    let PastRecovery {
        id,
        kind,
        outcome,
        automatic,
        started,
        ended,
        failed,
        successor,
        acknowledged,
    } = past;
    PastDocument {
        id: id.as_str().to_owned(),
        kind: kind.word(),
        outcome: outcome.word(),
        automatic,
        started_at: rfc3339(started),
        ended_at: ended.map(rfc3339),
        failed: names.server(&failed),
        successor: successor.map(|id| names.server(&id)),
        acknowledged,
    }
}

fn primary_view(names: &Names<'_>, primary: PrimaryView) -> PrimaryDocument {
    let (state, server, recorded, candidates) = match primary {
        PrimaryView::Recorded(id) => ("recorded", Some(id), None, Vec::new()),
        PrimaryView::Derived(id) => ("derived", Some(id), None, Vec::new()),
        PrimaryView::Moved { from, to } => ("moved", Some(to), Some(from), Vec::new()),
        PrimaryView::Unknown(candidates) => ("unknown", None, None, candidates),
    };
    PrimaryDocument {
        state,
        server: server.map(|id| names.server(&id)),
        recorded: recorded.map(|id| names.server(&id)),
        candidates: names.servers(candidates),
    }
}

/// A server of a cluster.
pub(super) fn server(view: &ClusterView, server: &Server) -> ServerDocument {
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
        progressed_at,
        errant,
        promotion,
        place,
        downtime,
        maintenance,
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
        promotion: promotion.word(),
        place: place_document(place),
        downtime: downtime.map(downtime_document),
        maintenance,
        quarantined,
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
    let state = words::reach(probe.reach());
    let Probe {
        answered_at,
        attempted_at,
        failing_since,
        failure,
        failures,
        successes,
        round_trip,
    } = probe;
    let ago = |at: Option<Timestamp>| at.map(|at| millis(age(snapshot, at)));
    ProbeDocument {
        state,
        failure: failure.as_ref().map(|failure| failure.word()),
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
        vitals,
        // The server's own place is shown; this is where it came from.
        place: _,
        cluster_hint,
    } = facts;
    FactsDocument {
        uid,
        server_id,
        flavor: words::flavor(flavor),
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
        log_format: words::log_format(log_format),
        row_image,
        gtid_mode,
        gtid_executed: executed.to_string(),
        gtid_purged: purged.map(|set| set.to_string()),
        binlog: binlog.map(|BinlogPosition { file, position }| PositionDocument { file, position }),
        semi_sync: semi_sync.map(semi_sync_document),
        vitals: vitals_document(vitals),
        cluster_hint,
    }
}

fn semi_sync_document(semi_sync: SemiSync) -> SemiSyncDocument {
    let SemiSync {
        source_enabled,
        source_active,
        wait_for,
        clients,
        waiting_sessions,
        timeout,
        replica_enabled,
        replica_active,
    } = semi_sync;
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
        receiver: words::thread(receiver),
        applier: words::thread(applier),
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

pub(super) fn downtime_document(downtime: Downtime) -> DowntimeDocument {
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

/// A finding of a cluster.
pub(super) fn finding(view: &ClusterView, finding: Finding) -> FindingDocument {
    let names = Names::of(view);
    let Finding {
        code,
        server,
        severity,
        suggestion,
        recovery,
        evidence,
    } = finding;
    FindingDocument {
        code: code.word(),
        cluster: view.snapshot.cluster.id.as_str().to_owned(),
        cluster_name: view.snapshot.cluster.name.clone(),
        server: names.server(&server),
        severity: words::severity(severity),
        suggestion: suggestion.word(),
        recovery: recovery.map(baton_core::model::RecoveryKind::word),
        evidence: evidence
            .into_iter()
            .map(|one| evidence_document(&names, one))
            .collect(),
    }
}

fn evidence_document(names: &Names<'_>, evidence: Evidence) -> ReasonDocument {
    let Evidence { code, text, about } = evidence;
    ReasonDocument {
        code: code.to_owned(),
        text,
        about: names.servers(about),
    }
}

fn reason(names: &Names<'_>, reason: Reason) -> ReasonDocument {
    let Reason { code, text, about } = reason;
    ReasonDocument {
        code,
        text,
        about: names.servers(about),
    }
}

/// What Baton would do, and why.
pub(super) fn explanation(view: &ClusterView, explanation: Explanation) -> ExplanationDocument {
    let names = Names::of(view);
    let Explanation {
        cluster,
        name,
        report,
        intention: intended,
        reasons,
        obstacles,
        candidates,
        expected_loss,
        policy,
    } = explanation;
    let Report {
        taken_at: _,
        primary,
        findings,
        probes: _,
    } = report;
    ExplanationDocument {
        cluster: cluster.as_str().to_owned(),
        name,
        primary_view: primary_view(&names, primary),
        findings: findings.into_iter().map(|one| finding(view, one)).collect(),
        intention: intention(&names, intended),
        reasons: reasons.into_iter().map(|one| reason(&names, one)).collect(),
        obstacles: obstacles
            .into_iter()
            .map(|one| reason(&names, one))
            .collect(),
        candidates: candidates
            .into_iter()
            .map(|one| candidate(&names, one))
            .collect(),
        expected_loss: loss(expected_loss),
        policy,
    }
}

fn intention(names: &Names<'_>, intention: Intention) -> IntentionDocument {
    let (action, kind, failed) = match intention {
        Intention::Nothing => ("nothing", None, None),
        Intention::Recovering { kind } => ("recovering", Some(kind), None),
        Intention::Act { kind, failed } => ("act", Some(kind), Some(failed)),
        Intention::Wait { kind, failed } => ("wait", Some(kind), Some(failed)),
        Intention::Hold { kind, failed } => ("hold", kind, Some(failed)),
    };
    let kind = kind.map(baton_core::model::RecoveryKind::word);
    IntentionDocument {
        action,
        kind,
        failed: failed.map(|id| names.server(&id)),
    }
}

fn candidate(names: &Names<'_>, candidate: CandidateView) -> CandidateDocument {
    let CandidateView {
        server,
        rank,
        score,
        missing,
        unapplied,
        reasons,
        excluded,
    } = candidate;
    CandidateDocument {
        server: names.server(&server),
        rank,
        score,
        missing,
        unapplied,
        reasons: reasons.into_iter().map(|one| reason(names, one)).collect(),
        excluded,
    }
}

fn loss(loss: ExpectedLoss) -> LossDocument {
    let (kind, transactions, reason) = match loss {
        ExpectedLoss::None => ("none", None, None),
        ExpectedLoss::NothingAcknowledged => ("nothing-acknowledged", None, None),
        ExpectedLoss::AtMost { transactions } => ("at-most", Some(transactions), None),
        ExpectedLoss::Unknown { reason } => ("unknown", None, Some(reason)),
    };
    LossDocument {
        kind,
        transactions,
        reason,
    }
}

/// A recovery as recorded. The decision is JSON of its own; if it is not, it is shown as text.
pub(super) fn recovery(row: RecoveryRow, steps: Option<Vec<StepRow>>) -> RecoveryDocument {
    let RecoveryRow {
        id,
        number,
        cluster,
        cluster_name,
        kind,
        finding,
        failed,
        failed_address,
        successor,
        successor_address,
        outcome,
        automatic,
        node,
        epoch,
        started,
        ended,
        lost,
        errors,
        decision,
        acknowledged,
        committed,
    } = row;
    let refer = |id: ServerId, address: Option<Address>| ServerRef {
        id: id.as_str().to_owned(),
        address: address.map(|address| address.to_string()),
    };
    let is_full = steps.is_some();
    let decision = is_full.then(|| serde_json::from_str(&decision).unwrap_or(decision.into()));
    RecoveryDocument {
        id: id.as_str().to_owned(),
        number,
        cluster: cluster.as_str().to_owned(),
        cluster_name,
        kind: kind.word(),
        finding: Some(finding).filter(|finding| !finding.is_empty()),
        failed: refer(failed, Some(failed_address)),
        successor: successor.map(|id| refer(id, successor_address)),
        outcome: outcome.word(),
        automatic,
        node: node.as_str().to_owned(),
        epoch: epoch.0,
        started_at: rfc3339(started),
        ended_at: ended.map(rfc3339),
        duration_ms: ended.map(|ended| millis(ended.since(started))),
        lost: lost.into_iter().map(|id| refer(id, None)).collect(),
        errors,
        committed,
        acknowledged: acknowledged.map(|(by, at, comment)| super::schema::AcknowledgedDocument {
            by,
            at: rfc3339(at),
            comment,
        }),
        decision,
        steps: steps.map(|steps| steps.into_iter().map(step).collect()),
    }
}

/// One line of a journal.
pub(super) fn step(row: StepRow) -> StepDocument {
    let StepRow {
        number,
        recovery: _,
        entry,
    } = row;
    let JournalEntry {
        step,
        phase,
        stage,
        server,
        text,
        at,
        since_trigger_us,
    } = entry;
    StepDocument {
        number,
        step,
        phase,
        stage: stage.word(),
        server: server.map(|id| id.as_str().to_owned()),
        text,
        at: rfc3339(at),
        since_trigger_us,
    }
}

pub(super) fn route(route: Route) -> RouteDocument {
    let Route { key, value, epoch } = route;
    RouteDocument {
        key,
        value,
        epoch: epoch.0,
    }
}

pub(super) fn audit(record: AuditRecord) -> AuditDocument {
    let AuditRecord {
        at,
        kind,
        server,
        cluster,
        by,
        text,
    } = record;
    AuditDocument {
        at: rfc3339(at),
        kind,
        server: server.map(|address| address.to_string()),
        cluster: cluster.map(|id| id.as_str().to_owned()),
        by,
        text,
    }
}

pub(super) fn stray((address, failure): (Address, String)) -> StrayDocument {
    StrayDocument {
        address: address.to_string(),
        failure,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
