//! What is known about a source that does not answer, whatever its role.

use std::cmp::Reverse;

use super::report::{Evidence, ProbeRequest};
use super::scene::{ReportBuilder, Scene, evidence, listed, spoken};
use super::testimony::{Hearing, Sign, Testimony};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{ProbeFailure, Server, ThreadState};

/// The judgement about a silent source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It has no replicas, so nobody misses it and nobody can testify.
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
    NoWitness {
        /// Nobody listens where it should, and a replica answers.
        refused: bool,
        /// Some replicas do not answer.
        some_silent: bool,
    },
}

/// The judgement with what it rests on.
pub(super) struct Verdict<'s> {
    pub(super) loss: Loss,
    pub(super) evidence: Vec<Evidence>,
    pub(super) hearing: Hearing<'s>,
}

/// Judges `source`, which is silent, and asks for the evidence that is missing.
pub(super) fn judge<'s>(
    scene: &'s Scene<'_>,
    source: &'s Server,
    report: &mut ReportBuilder,
) -> Verdict<'s> {
    let probe = &source.probe;
    let lost_at = probe
        .failing_since
        .or(probe.attempted_at)
        .unwrap_or(scene.now());
    let hearing = Hearing::of(scene, source, lost_at);
    let mut evidence = vec![own_probe(scene, source)];
    testimony_as_evidence(&hearing, &mut evidence);
    let unprobed = scene.unprobed();
    let loss = loss(scene, source, &hearing, unprobed.is_empty());
    if !hearing.any(Testimony::is_alive) {
        let open = hearing.who(Testimony::is_open);
        report.reads.extend(open.into_iter().cloned());
        report.reads.extend(unprobed.into_iter().cloned());
    }
    match loss {
        Loss::Incomplete => ask_for_reconnect(scene, source, &hearing, report, &mut evidence),
        // Policies may want to hear it from each: a receiver across a cut network looks connected for a minute.
        Loss::Dead { .. } => {
            let attached = hearing.who(|said| said == Testimony::Attached);
            if !attached.is_empty() && had_time_to_notice(scene, source, &attached) {
                ask_one(scene, source, &hearing, report, &mut evidence);
            }
        }
        Loss::Alive { .. }
        | Loss::NoReplicas
        | Loss::AllSilent
        | Loss::Hung
        | Loss::NoWitness { .. } => {}
    }
    Verdict {
        loss,
        evidence,
        hearing,
    }
}

fn loss(scene: &Scene<'_>, source: &Server, hearing: &Hearing<'_>, all_probed: bool) -> Loss {
    let some_silent = hearing.any(|said| said == Testimony::Silent);
    if hearing.any(Testimony::is_alive) {
        Loss::Alive {
            all_lag: all_lag(scene, hearing),
        }
    } else if hearing.any(Testimony::is_open) || !all_probed {
        Loss::Incomplete
    } else if hearing.said.is_empty() {
        Loss::NoReplicas
    } else if hearing.all(|said| said == Testimony::Silent) {
        Loss::AllSilent
    } else if hearing.any(|said| said == Testimony::Attached) {
        // A receiver that never could connect proves nothing about those that are connected, so one of these must have
        // tried again.
        let tested = hearing.any(|said| said == Testimony::Lost { tested: true });
        let tried_since = hearing
            .back_at
            .is_none_or(|at| source.probe.attempted_at > Some(at));
        match (tested && tried_since, source.probe.failure.as_ref()) {
            (false, _) => Loss::Incomplete,
            (true, Some(ProbeFailure::Refused)) => Loss::Dead { some_silent },
            (true, _) => Loss::Hung,
        }
    } else if hearing.any(Testimony::is_lost) {
        Loss::Dead { some_silent }
    } else {
        let would_not_notice = |said| matches!(said, Testimony::Mute | Testimony::Halted);
        let refused = source.probe.is_refused() && hearing.any(would_not_notice);
        if !refused && hearing.any(|said| said == Testimony::Halted) {
            return Loss::Incomplete;
        }
        Loss::NoWitness {
            refused,
            some_silent,
        }
    }
}

/// All replicas lag, and not all of them on purpose.
fn all_lag(scene: &Scene<'_>, hearing: &Hearing<'_>) -> bool {
    let mut channels = hearing.edges.values().map(|edge| &edge.channel);
    hearing.edges.len() == hearing.said.len()
        && channels.clone().all(|channel| scene.lags(channel))
        && channels.any(|channel| channel.delay.is_zero())
}

/// Asks for one connected replica to connect anew: a living source accepts it, a hung one does not. Without a connected one, one whose receiver
/// was halted will do.
fn ask_for_reconnect(
    scene: &Scene<'_>,
    source: &Server,
    hearing: &Hearing<'_>,
    report: &mut ReportBuilder,
    evidence_list: &mut Vec<Evidence>,
) {
    let tested = hearing.any(|said| said == Testimony::Lost { tested: true });
    if !tested {
        ask_one(scene, source, hearing, report, evidence_list);
    }
}

/// One at a time: a living source accepts it and that is known before the next one is asked.
fn ask_one(
    scene: &Scene<'_>,
    source: &Server,
    hearing: &Hearing<'_>,
    report: &mut ReportBuilder,
    evidence_list: &mut Vec<Evidence>,
) {
    let attached = hearing.who(|said| said == Testimony::Attached);
    let halted = hearing.who(|said| said == Testimony::Halted);
    let able = if attached.is_empty() {
        &halted
    } else {
        &attached
    };
    if hearing.any(|said| said == Testimony::Settling) {
        return;
    }
    if !had_time_to_notice(scene, source, &attached) {
        // The process is gone; its replicas just have not noticed when they were read.
        report.reads.extend(attached.into_iter().cloned());
        return;
    }
    let Some(edge) = least_advanced(scene, able).and_then(|id| hearing.edges.get(id)) else {
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

/// Whether replicas that look connected have had the time to notice a closed connection. If the failure does not close
/// connections there is nothing to wait for.
fn had_time_to_notice(scene: &Scene<'_>, source: &Server, attached: &[&ServerId]) -> bool {
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
        .map(|at| at.plus(scene.settings.reconnect_patience));
    let read = |id: &&ServerId| {
        scene
            .server(id)
            .and_then(|s| s.facts.as_ref())
            .map(|f| f.at)
    };
    !closes || attached.iter().all(|id| read(id) >= noticed_by)
}

/// The one whose loss would matter least: not the primary itself, nobody works on it, and it lacks most.
fn least_advanced<'s>(scene: &Scene<'_>, ids: &[&'s ServerId]) -> Option<&'s ServerId> {
    let possessed = |id: &ServerId| scene.current(id).map(crate::model::ServerFacts::possessed);
    let all: Vec<GtidSet> = ids.iter().filter_map(|id| possessed(id)).collect();
    let union = all.into_iter().reduce(|one, two| one.union(&two))?;
    let key = |id: &&&ServerId| {
        let lacks = possessed(id).and_then(|set| set.missing_count(&union));
        let reserved = scene
            .server(id)
            .is_none_or(|s| s.maintenance || s.downtime.is_some());
        // MariaDB drops a relay log when its receiver starts while the applier does not run.
        let idle = scene.current(id).is_none_or(|facts| {
            let mut channels = facts.channels.iter();
            channels.any(|channel| channel.applier != ThreadState::Running)
        });
        (scene.is_primary(id), reserved, idle, Reverse(lacks))
    };
    ids.iter().min_by_key(key).copied()
}

fn own_probe(scene: &Scene<'_>, source: &Server) -> Evidence {
    let probe = &source.probe;
    let failure = probe
        .failure
        .as_ref()
        .map_or("no answer", ProbeFailure::word);
    let for_how_long = probe.failing_since.map(|at| spoken(scene.now().since(at)));
    let text = format!(
        "{} does not answer us ({failure}, {} failed, for {}).",
        source.id,
        probe.failures,
        for_how_long.as_deref().unwrap_or("an unknown time"),
    );
    evidence("does-not-answer", text, [&source.id])
}

fn testimony_as_evidence(hearing: &Hearing<'_>, list: &mut Vec<Evidence>) {
    let mut say = |code, text: &str, who: Vec<&ServerId>| {
        if !who.is_empty() {
            list.push(evidence(
                code,
                format!("{}: {text}.", listed(who.iter().copied())),
                who,
            ));
        }
    };
    let said = |testimony: Testimony| hearing.who(|said| said == testimony);
    let alive = |sign| said(Testimony::Alive(sign));
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
        said(Testimony::Attached),
    );
    say(
        "reconnecting",
        "made to reconnect, not connected yet",
        said(Testimony::Settling),
    );
    say(
        "not-read-since",
        "not read since the loss",
        said(Testimony::Unread),
    );
    say(
        "receiver-lost-it",
        "the receiver is not connected",
        hearing.who(Testimony::is_lost),
    );
    say(
        "receiver-halted",
        "the receiver stopped when the source was lost, and nobody started it",
        said(Testimony::Halted),
    );
    say(
        "cannot-testify",
        "the receiver would not notice",
        said(Testimony::Mute),
    );
    say(
        "replica-refuses-us",
        "lives, but cannot be read",
        said(Testimony::Refusing),
    );
    say(
        "replica-silent",
        "does not answer either",
        said(Testimony::Silent),
    );
}
