//! A source answers, and nobody replicates from it.

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::replica_evidence::{ConnectError, is_cut_off};
use super::report::{Evidence, ProbeRequest, Severity};
use super::silent_primary::relocation;
use crate::ids::ServerId;
use crate::model::{Channel, Edge, Reach, RecoveryKind, Server, ThreadState};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[sources_without_replication];

pub(super) fn sources_without_replication(cx: &Context<'_>, report: &mut ReportBuilder) {
    for source in cx.servers().filter(|server| cx.answers(&server.id)) {
        let Some(tally) = Tally::of(cx, source) else {
            continue;
        };
        if cx.topology.co_primary_of(&source.id).is_some() {
            if tally.dead.len() < tally.count() {
                say(report, Code::CoPrimaryReplicasStopped, source, &tally);
            }
        } else if cx.is_primary(&source.id) {
            // That all of them cannot connect is said by the rule about a primary that is cut off.
            if !tally.are_all_cut_off() {
                say(report, primary_code(&tally), source, &tally);
            }
        } else if tally.count() > 1 && !tally.failing.is_empty() && tally.stopped.is_empty() {
            cannot_connect(cx, report, source, &tally);
        } else {
            say(report, Code::IntermediateReplicasStopped, source, &tally);
        }
    }
}

fn primary_code(tally: &Tally<'_>) -> Code {
    match (tally.count(), tally.dead.len()) {
        (1, 0) => Code::PrimarySingleReplicaStopped,
        (1, _) => Code::PrimarySingleReplicaDead,
        (_, 0) => Code::PrimaryReplicasStopped,
        (_, _) => Code::PrimaryReplicasStoppedOrDead,
    }
}

fn say(report: &mut ReportBuilder, code: Code, source: &Server, tally: &Tally<'_>) {
    report.note(code, &source.id, Severity::Warning, tally.evidence());
}

/// The source answers us and its replicas cannot connect to it. They may only have to wait for
/// their next attempt, so one of them tries again before anything is done about it.
fn cannot_connect(
    cx: &Context<'_>,
    report: &mut ReportBuilder,
    source: &Server,
    tally: &Tally<'_>,
) {
    let mut found = tally.evidence();
    let attempts = || tally.failing.iter().map(|edge| (attempt(cx, edge), *edge));
    let suggestion = if attempts().any(|(attempt, _)| attempt == Attempt::Failed) {
        relocation(cx, &mut found)
    } else {
        if let Some((attempt, edge)) = attempts().min_by_key(|(attempt, _)| *attempt) {
            let text = format!(
                "{} is to try again now, not at its next attempt.",
                edge.replica
            );
            found.push(evidence("reconnect-to-living", text, [&edge.replica]));
            ask(report, attempt, edge, &source.id);
        }
        Suggestion::Wait
    };
    let answer = (suggestion, RecoveryKind::IntermediateFailover);
    let code = Code::IntermediateReplicasCannotConnect;
    report.propose_recovery(code, &source.id, answer, found);
}

/// How far a reconnection has come that Baton asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attempt {
    /// It had the time to connect and did not.
    Failed,
    /// To be read again.
    UnderWay,
    /// None lately.
    None,
}

pub(super) fn attempt(cx: &Context<'_>, edge: &Edge) -> Attempt {
    let replica = cx.server(&edge.replica);
    let in_vain = replica.and_then(|replica| replica.reconnect_failed_on(&edge.channel.name));
    if in_vain.is_some_and(|at| cx.is_recent(at)) {
        return Attempt::Failed;
    }
    let reconnected = replica.and_then(|replica| replica.reconnected_on(&edge.channel.name));
    let Some(reconnected) = reconnected.filter(|at| cx.is_recent(*at)) else {
        return Attempt::None;
    };
    let settled = reconnected.plus(cx.settings.reconnect_patience);
    let read = replica.and_then(|replica| replica.facts.as_ref());
    if read.is_some_and(|facts| facts.at >= settled) {
        Attempt::Failed
    } else {
        Attempt::UnderWay
    }
}

fn ask(report: &mut ReportBuilder, attempt: Attempt, edge: &Edge, source: &ServerId) {
    match attempt {
        Attempt::Failed | Attempt::UnderWay => {
            report.reads.insert(edge.replica.clone());
        }
        Attempt::None => {
            report.reconnects.insert(ProbeRequest::ReconnectReceiver {
                server: edge.replica.clone(),
                channel: edge.channel.name.clone(),
                source: source.clone(),
            });
        }
    }
}

/// Replicas of a source of which none replicates.
struct Tally<'s> {
    dead: Vec<&'s ServerId>,
    /// Answer, and their receivers cannot connect.
    failing: Vec<&'s Edge>,
    /// Answer, and do not replicate for another reason.
    stopped: Vec<&'s ServerId>,
}

impl<'s> Tally<'s> {
    /// `None` if a replica replicates, if there are none, or if the state of one is not known.
    fn of(cx: &'s Context<'_>, source: &'s Server) -> Option<Self> {
        let mut tally = Self {
            dead: Vec::new(),
            failing: Vec::new(),
            stopped: Vec::new(),
        };
        for edge in cx.edges_below(&source.id) {
            match cx.reach(&edge.replica) {
                Reach::NotProbed | Reach::Partial => return None,
                Reach::Silent => tally.dead.push(&edge.replica),
                Reach::Answering if edge.channel.is_replicating() => return None,
                Reach::Answering if cannot_reach_source(&edge.channel) => tally.failing.push(edge),
                Reach::Answering => tally.stopped.push(&edge.replica),
            }
        }
        (tally.count() > 0).then_some(tally)
    }

    /// Those that answer try in vain to connect, and none of them was refused or does not replicate
    /// for another reason.
    fn are_all_cut_off(&self) -> bool {
        let mut failing = self.failing.iter();
        self.stopped.is_empty()
            && !self.failing.is_empty()
            && failing.all(|edge| is_cut_off(&edge.channel))
    }

    fn count(&self) -> usize {
        self.dead.len() + self.failing.len() + self.stopped.len()
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut found = Vec::new();
        let mut say = |code, text: &str, who: Vec<&ServerId>| {
            if !who.is_empty() {
                found.push(evidence(
                    code,
                    format!("{}: {text}.", listed(who.iter().copied())),
                    who,
                ));
            }
        };
        let failing = self.failing.iter().map(|edge| &edge.replica).collect();
        say("replica-silent", "does not answer", self.dead.clone());
        say("cannot-connect", "the receiver cannot connect", failing);
        say(
            "not-replicating",
            "answers and does not replicate",
            self.stopped.clone(),
        );
        found
    }
}

/// The receiver tries and fails, or gave up trying.
pub(super) fn cannot_reach_source(channel: &Channel) -> bool {
    let error = channel
        .receiver_error
        .as_ref()
        .map(|error| ConnectError::of(error.number));
    match channel.receiver {
        ThreadState::Running | ThreadState::Unknown => false,
        ThreadState::Connecting => true,
        ThreadState::Stopped => {
            matches!(error, Some(ConnectError::Denied | ConnectError::Network))
        }
    }
}
