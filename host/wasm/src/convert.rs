//! Baton's own questions and answers to and from the contract's, version 0.1.
//!
//! Everything is destructured without `..`, so that a new field does not compile until someone
//! decides what becomes of it.

mod backend;

pub(crate) use backend::{Costly, select_question, selection, selection_record};

use baton_core::model::{Flavor, LogFormat, PromotionRule, ThreadState};
use baton_core::policy as core;

use crate::bindings::{failover, topology, types};

/// `assess`: question.
pub(crate) fn assess_question(question: &core::AssessQuestion) -> failover::AssessQuestion {
    let core::AssessQuestion {
        context,
        cluster,
        finding,
        approvals,
        extra,
    } = question;
    failover::AssessQuestion {
        context: self::context(context),
        cluster: self::cluster(cluster),
        finding: self::finding(finding),
        approvals: approvals.iter().map(approval).collect(),
        extra: extra.clone(),
    }
}

/// `rank`: question.
pub(crate) fn rank_question(question: &core::RankQuestion) -> failover::RankQuestion {
    let core::RankQuestion {
        context,
        cluster,
        purpose,
        replaced,
        candidates,
        requested,
        extra,
    } = question;
    failover::RankQuestion {
        context: self::context(context),
        cluster: self::cluster(cluster),
        purpose: purpose.clone(),
        replaced: *replaced,
        candidates: candidates.iter().map(candidate).collect(),
        requested: *requested,
        extra: extra.clone(),
    }
}

/// `assess`: answer. The contract's `extra` has no names yet that Baton knows.
pub(crate) fn assessment(answer: failover::Assessment) -> core::Assessment {
    let failover::Assessment {
        verdict,
        reasons,
        extra: _,
    } = answer;
    let verdict = match verdict {
        failover::Verdict::Act => core::Verdict::Act,
        failover::Verdict::Wait(time) => core::Verdict::Wait(time),
        failover::Verdict::Hold => core::Verdict::Hold,
        failover::Verdict::Ask(failover::Ask {
            topic,
            prompt,
            valid_for,
        }) => core::Verdict::Ask {
            topic,
            prompt,
            valid_for,
        },
    };
    core::Assessment {
        verdict,
        reasons: reasons_from(reasons),
    }
}

/// `rank`: answer.
pub(crate) fn ranking(answer: failover::Ranking) -> core::Ranking {
    let failover::Ranking {
        order,
        vetoes,
        reasons,
        extra: _,
    } = answer;
    let ranked = |ranked: failover::Ranked| {
        let failover::Ranked {
            server,
            score,
            reasons,
        } = ranked;
        core::Ranked {
            server,
            score,
            reasons: reasons_from(reasons),
        }
    };
    let veto = |veto: failover::Veto| {
        let failover::Veto { server, reasons } = veto;
        core::Veto {
            server,
            reasons: reasons_from(reasons),
        }
    };
    core::Ranking {
        order: order.into_iter().map(ranked).collect(),
        vetoes: vetoes.into_iter().map(veto).collect(),
        reasons: reasons_from(reasons),
    }
}

/// An accepted `assess` answer as it is recorded.
pub(crate) fn assessment_record(answer: &core::Assessment) -> failover::Assessment {
    let core::Assessment { verdict, reasons } = answer;
    let verdict = match verdict {
        core::Verdict::Act => failover::Verdict::Act,
        core::Verdict::Wait(time) => failover::Verdict::Wait(*time),
        core::Verdict::Hold => failover::Verdict::Hold,
        core::Verdict::Ask {
            topic,
            prompt,
            valid_for,
        } => failover::Verdict::Ask(failover::Ask {
            topic: topic.clone(),
            prompt: prompt.clone(),
            valid_for: *valid_for,
        }),
    };
    failover::Assessment {
        verdict,
        reasons: self::reasons(reasons),
        extra: None,
    }
}

/// An accepted `rank` answer as it is recorded.
pub(crate) fn ranking_record(answer: &core::Ranking) -> failover::Ranking {
    let core::Ranking {
        order,
        vetoes,
        reasons,
    } = answer;
    let ranked = |ranked: &core::Ranked| {
        let core::Ranked {
            server,
            score,
            reasons,
        } = ranked;
        failover::Ranked {
            server: *server,
            score: *score,
            reasons: self::reasons(reasons),
        }
    };
    let veto = |veto: &core::Veto| {
        let core::Veto { server, reasons } = veto;
        failover::Veto {
            server: *server,
            reasons: self::reasons(reasons),
        }
    };
    failover::Ranking {
        order: order.iter().map(ranked).collect(),
        vetoes: vetoes.iter().map(veto).collect(),
        reasons: self::reasons(reasons),
        extra: None,
    }
}

fn reasons_from(reasons: Vec<types::Reason>) -> Vec<core::Reason> {
    let reason = |reason: types::Reason| {
        let types::Reason { code, text, about } = reason;
        core::Reason { code, text, about }
    };
    reasons.into_iter().map(reason).collect()
}

fn reasons(reasons: &[core::Reason]) -> Vec<types::Reason> {
    let reason = |reason: &core::Reason| {
        let core::Reason { code, text, about } = reason;
        types::Reason {
            code: code.clone(),
            text: text.clone(),
            about: about.clone(),
        }
    };
    reasons.iter().map(reason).collect()
}

fn context(context: &core::Context) -> types::Context {
    let core::Context {
        decision,
        now,
        node,
        peers,
        peers_answering,
        extra,
    } = context;
    types::Context {
        decision: decision.clone(),
        now: *now,
        node: node.clone(),
        peers: peers.clone(),
        peers_answering: *peers_answering,
        extra: extra.clone(),
    }
}

fn finding(finding: &core::FindingView) -> failover::Finding {
    let core::FindingView {
        code,
        server,
        held,
        flaps,
        elsewhere,
        clusters,
        suggestion,
        reasons,
    } = finding;
    failover::Finding {
        code: code.clone(),
        server: *server,
        held: *held,
        flaps: *flaps,
        elsewhere: *elsewhere,
        clusters: *clusters,
        suggestion: suggestion.word().to_owned(),
        reasons: self::reasons(reasons),
        extra: None,
    }
}

fn approval(approval: &core::Approval) -> failover::Approval {
    let core::Approval {
        topic,
        granted,
        by,
        age,
        expires_in,
    } = approval;
    failover::Approval {
        topic: topic.clone(),
        granted: *granted,
        by: by.clone(),
        age: *age,
        expires_in: *expires_in,
    }
}

fn candidate(candidate: &core::Candidate) -> failover::Candidate {
    let core::Candidate {
        server,
        missing,
        unapplied,
        errant,
        followers,
        warnings,
    } = candidate;
    failover::Candidate {
        server: *server,
        missing: *missing,
        unapplied: *unapplied,
        errant: *errant,
        followers: *followers,
        warnings: reasons(warnings),
        extra: None,
    }
}

/// The contract's graph is flat: channels and peers' views leave their servers and say whose they
/// are.
fn cluster(cluster: &core::Cluster) -> topology::Cluster {
    let core::Cluster {
        id,
        name,
        servers,
        places,
        primary,
        automatic,
        recoveries,
        tags,
        extra,
    } = cluster;
    let mut channels = Vec::with_capacity(servers.len());
    let mut sightings = Vec::new();
    for (server, index) in servers.iter().zip(0u32..) {
        channels.extend(
            server
                .channels
                .iter()
                .map(|channel| self::channel(index, channel)),
        );
        let seen = |view| topology::Sighting {
            server: index,
            view: peer_view(view),
        };
        sightings.extend(server.peers.iter().map(seen));
    }
    topology::Cluster {
        id: id.clone(),
        name: name.clone(),
        servers: servers.iter().map(server).collect(),
        channels,
        sightings,
        places: places.iter().map(place).collect(),
        primary: *primary,
        automatic: *automatic,
        recoveries: recoveries.iter().map(recovery).collect(),
        tags: tags.clone(),
        extra: extra.clone(),
    }
}

fn server(server: &core::ServerView) -> topology::Server {
    let core::ServerView {
        id,
        address,
        role,
        flavour,
        version,
        place,
        tags,
        promotion,
        probe,
        peers: _,
        read_only,
        super_read_only,
        log_bin,
        log_updates,
        log_format,
        channels: _,
        semi_sync,
        vitals,
        executed,
        errant,
        downtime,
        maintenance,
        extra,
    } = server;
    topology::Server {
        id: id.clone(),
        address: address.clone(),
        role: self::role(*role),
        flavour: self::flavour(*flavour),
        version: *version,
        place: *place,
        tags: tags.clone(),
        promotion: self::promotion(*promotion),
        probe: self::probe(probe),
        read_only: *read_only,
        super_read_only: *super_read_only,
        log_bin: *log_bin,
        log_updates: *log_updates,
        log_format: self::log_format(*log_format),
        semi_sync: semi_sync.as_ref().map(self::semi_sync),
        vitals: vitals.as_ref().map(self::vitals),
        executed: executed.clone(),
        errant: *errant,
        downtime: downtime.as_ref().map(self::downtime),
        maintenance: *maintenance,
        extra: extra.clone(),
    }
}

fn channel(replica: u32, channel: &core::ChannelView) -> topology::Channel {
    let core::ChannelView {
        name,
        source,
        source_address,
        receiver,
        applier,
        receiver_error,
        applier_error,
        observed_age,
        read_after_loss,
        received_age,
        progress_age,
        lag,
        delay,
        auto_position,
        filtered,
        received,
        applied,
        unapplied,
    } = channel;
    topology::Channel {
        replica,
        name: name.clone(),
        source: *source,
        source_address: source_address.clone(),
        receiver: thread_state(*receiver),
        applier: thread_state(*applier),
        receiver_error: *receiver_error,
        applier_error: *applier_error,
        observed_age: *observed_age,
        read_after_loss: *read_after_loss,
        received_age: *received_age,
        progress_age: *progress_age,
        lag: *lag,
        delay: *delay,
        auto_position: *auto_position,
        filtered: *filtered,
        received: received.clone(),
        applied: applied.clone(),
        unapplied: *unapplied,
    }
}

fn probe(probe: &core::ProbeView) -> types::Probe {
    let core::ProbeView {
        state,
        failure,
        error_number,
        answered_age,
        attempt_age,
        failures,
        successes,
        round_trip_us,
    } = probe;
    types::Probe {
        state: match state {
            core::Reach::NotProbed => types::Reach::NotProbed,
            core::Reach::Answering => types::Reach::Answering,
            core::Reach::Partial => types::Reach::Partial,
            core::Reach::Silent => types::Reach::Silent,
        },
        failure: failure.clone(),
        error_number: *error_number,
        answered_age: *answered_age,
        attempt_age: *attempt_age,
        failures: *failures,
        successes: *successes,
        round_trip_us: *round_trip_us,
    }
}

fn peer_view(view: &core::PeerView) -> types::PeerView {
    let core::PeerView { peer, probe, age } = view;
    types::PeerView {
        peer: *peer,
        probe: self::probe(probe),
        age: *age,
    }
}

fn semi_sync(semi_sync: &core::SemiSyncView) -> topology::SemiSync {
    let core::SemiSyncView {
        source_enabled,
        source_active,
        wait_for,
        clients,
        waiting_sessions,
        oldest_wait,
        timeout,
        replica_enabled,
        replica_active,
    } = semi_sync;
    topology::SemiSync {
        source_enabled: *source_enabled,
        source_active: *source_active,
        wait_for: *wait_for,
        clients: *clients,
        waiting_sessions: *waiting_sessions,
        oldest_wait: *oldest_wait,
        timeout: *timeout,
        replica_enabled: *replica_enabled,
        replica_active: *replica_active,
    }
}

fn vitals(vitals: &core::VitalsView) -> topology::Vitals {
    let core::VitalsView {
        uptime,
        connections,
        connections_max,
        threads_running,
        disk_free_mib,
        disk_total_mib,
        commit_age,
        commit_stall,
    } = vitals;
    topology::Vitals {
        uptime: *uptime,
        connections: *connections,
        connections_max: *connections_max,
        threads_running: *threads_running,
        disk_free_mib: *disk_free_mib,
        disk_total_mib: *disk_total_mib,
        commit_age: *commit_age,
        commit_stall: *commit_stall,
    }
}

fn downtime(downtime: &core::DowntimeView) -> topology::Downtime {
    let core::DowntimeView {
        reason,
        owner,
        remaining,
    } = downtime;
    topology::Downtime {
        reason: reason.clone(),
        owner: owner.clone(),
        remaining: *remaining,
    }
}

fn place(place: &core::PlaceView) -> topology::Place {
    let core::PlaceView {
        data_center,
        region,
        environment,
    } = place;
    topology::Place {
        data_center: data_center.clone(),
        region: region.clone(),
        environment: environment.clone(),
    }
}

fn recovery(recovery: &core::RecoveryView) -> topology::Recovery {
    let core::RecoveryView {
        kind,
        outcome,
        started_age,
        ended_age,
        from_server,
        to_server,
        acknowledged,
        automatic,
    } = recovery;
    topology::Recovery {
        kind: kind.clone(),
        outcome: outcome.clone(),
        started_age: *started_age,
        ended_age: *ended_age,
        from_server: from_server.clone(),
        to_server: to_server.clone(),
        acknowledged: *acknowledged,
        automatic: *automatic,
    }
}

fn role(role: core::Role) -> topology::Role {
    match role {
        core::Role::Primary => topology::Role::Primary,
        core::Role::Intermediate => topology::Role::Intermediate,
        core::Role::Replica => topology::Role::Replica,
        core::Role::Standalone => topology::Role::Standalone,
        core::Role::Unknown => topology::Role::Unknown,
    }
}

fn flavour(flavour: Flavor) -> topology::Flavour {
    match flavour {
        Flavor::Mysql => topology::Flavour::Mysql,
        Flavor::Percona => topology::Flavour::Percona,
        Flavor::Mariadb => topology::Flavour::Mariadb,
        Flavor::Other => topology::Flavour::Other,
    }
}

fn promotion(rule: PromotionRule) -> topology::PromotionRule {
    match rule {
        PromotionRule::Must => topology::PromotionRule::Must,
        PromotionRule::Prefer => topology::PromotionRule::Prefer,
        PromotionRule::Neutral => topology::PromotionRule::Neutral,
        PromotionRule::PreferNot => topology::PromotionRule::PreferNot,
        PromotionRule::MustNot => topology::PromotionRule::MustNot,
    }
}

fn log_format(format: Option<LogFormat>) -> topology::LogFormat {
    match format {
        Some(LogFormat::Row) => topology::LogFormat::Row,
        Some(LogFormat::Mixed) => topology::LogFormat::Mixed,
        Some(LogFormat::Statement) => topology::LogFormat::Statement,
        None => topology::LogFormat::Unknown,
    }
}

fn thread_state(state: ThreadState) -> topology::ThreadState {
    match state {
        ThreadState::Running => topology::ThreadState::Running,
        ThreadState::Connecting => topology::ThreadState::Connecting,
        ThreadState::Stopped => topology::ThreadState::Stopped,
        ThreadState::Unknown => topology::ThreadState::Unknown,
    }
}
