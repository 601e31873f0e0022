//! What is known about a source that does not answer, whatever its role.

use std::cmp::Reverse;

use super::context::{Context, ReportBuilder, evidence, in_words, listed};
use super::replica_evidence::{CollectedEvidence, ReplicaEvidence, Sign};
use super::report::{Evidence, ProbeRequest};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{ProbeFailure, Server, ThreadState};

/// The judgement about a silent source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It has no replicas, so nobody misses it and no replica shows whether it lives.
    NoReplicas,
    /// A replica shows that it lives.
    Alive {
        /// All its replicas lag.
        all_lag: bool,
    },
    /// Some of the evidence can still be had.
    Incomplete,
    /// It keeps connections that it had, and accepts no new one.
    Hung,
    /// Every replica that answers has lost it.
    Dead {
        /// Some replicas do not answer.
        some_silent: bool,
    },
    /// No replica answers either.
    AllSilent,
    /// The replicas that answer do not tell: their receivers do not run.
    NoReplicaTells {
        /// Nobody listens where it should, and a replica answers.
        refused: bool,
        /// Some replicas do not answer.
        some_silent: bool,
    },
}

/// The judgement with what it rests on.
pub(super) struct Assessment<'s> {
    pub(super) loss: Loss,
    pub(super) evidence: Vec<Evidence>,
    pub(super) collected: CollectedEvidence<'s>,
}

/// Judges `source`, which is silent, and asks for the evidence that is missing.
pub(super) fn judge<'s>(
    cx: &'s Context<'_>,
    source: &'s Server,
    report: &mut ReportBuilder,
) -> Assessment<'s> {
    let probe = &source.probe;
    let lost_at = probe
        .failing_since
        .or(probe.attempted_at)
        .unwrap_or(cx.now());
    let collected = CollectedEvidence::of(cx, source, lost_at);
    let mut evidence = vec![own_probe_evidence(cx, source)];
    add_replica_evidence(&collected, &mut evidence);
    let unprobed = cx.unprobed();
    let loss = loss(cx, source, &collected, unprobed.is_empty());
    if !collected.any(ReplicaEvidence::is_alive) {
        let open = collected.who(ReplicaEvidence::is_open);
        report.reads.extend(open.into_iter().cloned());
        report.reads.extend(unprobed.into_iter().cloned());
    }
    match loss {
        Loss::Incomplete => ask_for_reconnect(cx, source, &collected, report, &mut evidence),
        // Policies may want to hear it from each: a receiver across a cut network looks connected
        // for a minute.
        Loss::Dead { .. } => {
            let attached = collected.who(|said| said == ReplicaEvidence::Attached);
            if !attached.is_empty() && had_time_to_notice(cx, source, &attached) {
                ask_one(cx, source, &collected, report, &mut evidence);
            }
        }
        Loss::Alive { .. }
        | Loss::NoReplicas
        | Loss::AllSilent
        | Loss::Hung
        | Loss::NoReplicaTells { .. } => {}
    }
    Assessment {
        loss,
        evidence,
        collected,
    }
}

fn loss(
    cx: &Context<'_>,
    source: &Server,
    collected: &CollectedEvidence<'_>,
    all_probed: bool,
) -> Loss {
    let some_silent = collected.any(|said| said == ReplicaEvidence::Silent);
    if collected.any(ReplicaEvidence::is_alive) {
        Loss::Alive {
            all_lag: all_lag(cx, collected),
        }
    } else if collected.any(ReplicaEvidence::is_open) || !all_probed {
        Loss::Incomplete
    } else if collected.said.is_empty() {
        Loss::NoReplicas
    } else if collected.all(|said| said == ReplicaEvidence::Silent) {
        Loss::AllSilent
    } else if collected.any(|said| said == ReplicaEvidence::Attached) {
        // A receiver that never could connect proves nothing about those that are connected, so one
        // of these must have tried again.
        let tested = collected.any(|said| said == ReplicaEvidence::Lost { tested: true });
        let tried_since = collected
            .back_at
            .is_none_or(|at| source.probe.attempted_at > Some(at));
        match (tested && tried_since, source.probe.failure.as_ref()) {
            (false, _) => Loss::Incomplete,
            (true, Some(ProbeFailure::Refused)) => Loss::Dead { some_silent },
            (true, _) => Loss::Hung,
        }
    } else if collected.any(ReplicaEvidence::is_lost) {
        Loss::Dead { some_silent }
    } else {
        let would_not_notice =
            |said| matches!(said, ReplicaEvidence::Mute | ReplicaEvidence::Halted);
        let refused = source.probe.is_refused() && collected.any(would_not_notice);
        if !refused && collected.any(|said| said == ReplicaEvidence::Halted) {
            return Loss::Incomplete;
        }
        Loss::NoReplicaTells {
            refused,
            some_silent,
        }
    }
}

/// All replicas lag, and not all of them on purpose.
fn all_lag(cx: &Context<'_>, collected: &CollectedEvidence<'_>) -> bool {
    let mut channels = collected.edges.values().map(|edge| &edge.channel);
    collected.edges.len() == collected.said.len()
        && channels.clone().all(|channel| cx.lags(channel))
        && channels.any(|channel| channel.delay.is_zero())
}

/// Asks for one connected replica to connect anew: a living source accepts it, a hung one does not.
/// Without a connected one, one whose receiver was halted will do.
fn ask_for_reconnect(
    cx: &Context<'_>,
    source: &Server,
    collected: &CollectedEvidence<'_>,
    report: &mut ReportBuilder,
    evidence_list: &mut Vec<Evidence>,
) {
    let tested = collected.any(|said| said == ReplicaEvidence::Lost { tested: true });
    if !tested {
        ask_one(cx, source, collected, report, evidence_list);
    }
}

/// One at a time: a living source accepts it and that is known before the next one is asked.
fn ask_one(
    cx: &Context<'_>,
    source: &Server,
    collected: &CollectedEvidence<'_>,
    report: &mut ReportBuilder,
    evidence_list: &mut Vec<Evidence>,
) {
    let attached = collected.who(|said| said == ReplicaEvidence::Attached);
    let halted = collected.who(|said| said == ReplicaEvidence::Halted);
    let able = if attached.is_empty() {
        &halted
    } else {
        &attached
    };
    if collected.any(|said| said == ReplicaEvidence::Settling) {
        return;
    }
    if !had_time_to_notice(cx, source, &attached) {
        // The process is gone; its replicas just have not noticed when they were read.
        report.reads.extend(attached.into_iter().cloned());
        return;
    }
    let Some(edge) = least_advanced(cx, able).and_then(|id| collected.edges.get(id)) else {
        return;
    };
    report.reconnects.insert(ProbeRequest::ReconnectReceiver {
        server: edge.replica.clone(),
        channel: edge.channel.name.clone(),
        source: source.id.clone(),
    });
    evidence_list.push(evidence(
        "reconnect-one-replica",
        format!(
            "{} is to connect to {} anew, which a hung server does not accept.",
            edge.replica, source.id
        ),
        [&edge.replica],
    ));
}

/// Whether replicas that look connected have had the time to notice a closed connection. If the
/// failure does not close connections there is nothing to wait for.
fn had_time_to_notice(cx: &Context<'_>, source: &Server, attached: &[&ServerId]) -> bool {
    let closes = match &source.probe.failure {
        Some(ProbeFailure::Refused | ProbeFailure::Reset | ProbeFailure::ShuttingDown) => true,
        None
        | Some(
            ProbeFailure::Timeout(_)
            | ProbeFailure::NoRoute
            | ProbeFailure::Dns
            | ProbeFailure::Tls
            | ProbeFailure::Authentication { .. }
            | ProbeFailure::TooManyConnections
            | ProbeFailure::HostBlocked
            | ProbeFailure::NotMysql
            | ProbeFailure::Statement { .. }
            | ProbeFailure::ReceiverWaitsForSpace
            | ProbeFailure::Other(_),
        ) => false,
    };
    let noticed_by = source
        .probe
        .failing_since
        .map(|at| at.plus(cx.settings.reconnect_patience));
    let read = |id: &&ServerId| cx.server(id).and_then(|s| s.facts.as_ref()).map(|f| f.at);
    !closes || attached.iter().all(|id| read(id) >= noticed_by)
}

/// The one whose loss would matter least: not the primary itself, nobody works on it, and it lacks
/// most.
fn least_advanced<'s>(cx: &Context<'_>, ids: &[&'s ServerId]) -> Option<&'s ServerId> {
    let possessed = |id: &ServerId| cx.current(id).map(crate::model::ServerFacts::possessed);
    let all: Vec<GtidSet> = ids.iter().filter_map(|id| possessed(id)).collect();
    let union = all.into_iter().reduce(|one, two| one.union(&two))?;
    let key = |id: &&&ServerId| {
        let lacks = possessed(id).and_then(|set| set.missing_count(&union));
        let reserved = cx
            .server(id)
            .is_none_or(|s| s.maintenance || s.downtime.is_some());
        // MariaDB drops a relay log when its receiver starts while the applier does not run.
        let idle = cx.current(id).is_none_or(|facts| {
            let mut channels = facts.channels.iter();
            channels.any(|channel| channel.applier != ThreadState::Running)
        });
        (cx.is_primary(id), reserved, idle, Reverse(lacks))
    };
    ids.iter().min_by_key(key).copied()
}

fn own_probe_evidence(cx: &Context<'_>, source: &Server) -> Evidence {
    let probe = &source.probe;
    let failure = probe
        .failure
        .as_ref()
        .map_or("no answer", ProbeFailure::word);
    let for_how_long = probe.failing_since.map(|at| in_words(cx.now().since(at)));
    let text = format!(
        "{} does not answer us ({failure}, {} failed, for {}).",
        source.id,
        probe.failures,
        for_how_long.as_deref().unwrap_or("an unknown time"),
    );
    evidence("does-not-answer", text, [&source.id])
}

fn add_replica_evidence(collected: &CollectedEvidence<'_>, list: &mut Vec<Evidence>) {
    let mut say = |code, text: &str, who: Vec<&ServerId>| {
        if !who.is_empty() {
            list.push(evidence(
                code,
                format!("{}: {text}.", listed(who.iter().copied())),
                who,
            ));
        }
    };
    let said = |replica_evidence: ReplicaEvidence| collected.who(|said| said == replica_evidence);
    let alive = |sign| said(ReplicaEvidence::Alive(sign));
    say(
        "replica-hears-it",
        "something came from it after the loss",
        alive(Sign::Heard),
    );
    say(
        "replica-reconnected",
        "it accepted a new connection",
        alive(Sign::Accepted),
    );
    say(
        "replica-was-denied",
        "it refused a new connection itself",
        alive(Sign::Denied),
    );
    say(
        "receiver-still-connected",
        "connected, nothing came since",
        said(ReplicaEvidence::Attached),
    );
    say(
        "reconnecting",
        "made to reconnect, not connected yet",
        said(ReplicaEvidence::Settling),
    );
    say(
        "not-read-since",
        "not read since the loss",
        said(ReplicaEvidence::Unread),
    );
    say(
        "receiver-lost-it",
        "the receiver is not connected",
        collected.who(ReplicaEvidence::is_lost),
    );
    say(
        "receiver-halted",
        "the receiver stopped when the source was lost, and nobody started it",
        said(ReplicaEvidence::Halted),
    );
    say(
        "receiver-not-running",
        "the receiver would not notice",
        said(ReplicaEvidence::Mute),
    );
    say(
        "replica-refuses-us",
        "lives, but cannot be read",
        said(ReplicaEvidence::Refusing),
    );
    say(
        "replica-silent",
        "does not answer either",
        said(ReplicaEvidence::Silent),
    );
}
