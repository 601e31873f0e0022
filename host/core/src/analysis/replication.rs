//! Single replicas that do not replicate, lag, or have what they should not.

use super::context::{Context, ReportBuilder, evidence, in_words};
use super::finding_codes::Code;
use super::report::{Evidence, Severity};
use super::stalled_replicas::cannot_reach_source;
use crate::ids::ServerId;
use crate::model::{Channel, Edge, Reach, ReplicationError, Server, ThreadState};

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[stopped_or_broken, lagging, errant];

/// Stopped, broken, or unable to connect.
pub(super) fn stopped_or_broken(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx.servers().filter(|server| cx.answers(&server.id)) {
        let mut findings = Findings::default();
        for edge in cx.topology.channels_of(&server.id) {
            findings.add(cx, edge);
        }
        findings.write(report, &server.id);
    }
}

/// What is wrong with the channels of one server.
#[derive(Default)]
struct Findings {
    first_tier: Vec<Evidence>,
    broken: Vec<Evidence>,
    stopped: Vec<Evidence>,
}

impl Findings {
    fn add(&mut self, cx: &Context<'_>, edge: &Edge) {
        let Edge {
            replica,
            channel,
            source,
        } = edge;
        let explained = source
            .as_ref()
            .is_some_and(|source| cx.reach(source) == Reach::Silent);
        if cannot_reach_source(channel) {
            let first_tier = source.as_ref().is_some_and(|source| cx.is_primary(source));
            let list = if first_tier {
                &mut self.first_tier
            } else {
                &mut self.broken
            };
            if !explained {
                let error = channel.receiver_error.as_ref();
                list.push(thread_evidence("cannot-connect", edge, "receiver", error));
            }
        } else if channel.receiver == ThreadState::Stopped {
            self.thread(cx, edge, "receiver", channel.receiver_error.as_ref());
        }
        if channel.applier == ThreadState::Stopped {
            self.thread(cx, edge, "applier", channel.applier_error.as_ref());
        }
        if channel.receiver == ThreadState::Unknown || channel.applier == ThreadState::Unknown {
            let text = format!("{replica} answers with a state that is not understood.");
            self.broken
                .push(evidence("state-not-understood", text, [replica]));
        }
    }

    fn thread(
        &mut self,
        cx: &Context<'_>,
        edge: &Edge,
        thread: &str,
        error: Option<&ReplicationError>,
    ) {
        if error.is_some() {
            self.broken
                .push(thread_evidence("thread-broken", edge, thread, error));
        } else if !cx.is_primary(&edge.replica) {
            // A primary need not replicate: its channel is the rest of an earlier role, or leads to
            // a passive partner.
            self.stopped
                .push(thread_evidence("thread-stopped", edge, thread, None));
        }
    }

    fn write(self, report: &mut ReportBuilder, id: &ServerId) {
        let Self {
            first_tier,
            broken,
            stopped,
        } = self;
        for (code, found) in [
            (Code::FirstTierReplicaCannotConnect, first_tier),
            (Code::ReplicationBroken, broken),
            (Code::ReplicationStopped, stopped),
        ] {
            if !found.is_empty() {
                report.note(code, id, Severity::Warning, found);
            }
        }
    }
}

fn thread_evidence(
    code: &'static str,
    edge: &Edge,
    thread: &str,
    error: Option<&ReplicationError>,
) -> Evidence {
    let state = match error {
        Some(error) => format!("error {}", error.number),
        None => "no error".to_owned(),
    };
    let Edge {
        replica, channel, ..
    } = edge;
    let text = format!(
        "The {thread} of {replica}{} does not run ({state}).",
        channel_name(channel)
    );
    evidence(code, text, [replica])
}

fn channel_name(channel: &Channel) -> String {
    if channel.name.is_empty() {
        String::new()
    } else {
        format!(" (channel {})", channel.name)
    }
}

/// Lag beyond the limit.
pub(super) fn lagging(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx.servers().filter(|server| cx.answers(&server.id)) {
        let found: Vec<Evidence> = cx
            .topology
            .channels_of(&server.id)
            .iter()
            .filter(|edge| cx.lags(&edge.channel))
            .map(|edge| lag_evidence(cx, edge))
            .collect();
        if !found.is_empty() {
            report.note(Code::ReplicaLagging, &server.id, Severity::Warning, found);
        }
    }
}

fn lag_evidence(cx: &Context<'_>, edge: &Edge) -> Evidence {
    let Edge {
        replica, channel, ..
    } = edge;
    let limit = cx.settings.lag_limit.saturating_add(channel.delay);
    let text = format!(
        "{replica}{} lags by {}, limit {}.",
        channel_name(channel),
        in_words(channel.lag.unwrap_or_default()),
        in_words(limit)
    );
    evidence("lag", text, [replica])
}

/// Transactions that the history of the primary lacks.
pub(super) fn errant(cx: &Context<'_>, report: &mut ReportBuilder) {
    let errant = |server: &Server| server.errant.clone().filter(|set| !set.is_empty());
    for server in cx.servers().filter(|server| !cx.is_primary(&server.id)) {
        let Some(set) = errant(server) else { continue };
        let set = set.to_string().replace('\n', "");
        let text = format!("{} has {set}, which its source lacks.", server.id);
        let found = vec![evidence("errant", text, [&server.id])];
        report.note(
            Code::ErrantTransactions,
            &server.id,
            Severity::Warning,
            found,
        );
    }
}
