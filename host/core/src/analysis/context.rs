//! What the rules look at, and what they write into.

use std::collections::BTreeSet;
use std::time::Duration;

use super::finding_codes::Code;
use super::primary::primary_of;
use super::report::{Evidence, Finding, PrimaryView, ProbeRequest, Severity};
use super::settings::AnalysisSettings;
use crate::ids::ServerId;
use crate::model::{
    Bounds, Channel, Edge, Reach, RecoveryKind, Server, ServerFacts, Snapshot, Topology,
};
use crate::policy::Suggestion;
use crate::time::Timestamp;

/// A snapshot with what every rule derives from it.
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) settings: &'a AnalysisSettings,
    pub(super) topology: Topology,
    pub(super) view: PrimaryView,
    /// Which members belong to the primary's cluster.
    pub(super) bounds: Bounds,
}

impl<'a> Context<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, settings: &'a AnalysisSettings) -> Self {
        let topology = Topology::of(snapshot);
        let view = primary_of(snapshot, &topology);
        let bounds = Bounds::around(snapshot, &topology, view.server());
        Self {
            snapshot,
            settings,
            topology,
            view,
            bounds,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.snapshot.taken_at
    }

    /// Whether what happened then still says something about the present.
    pub(super) fn is_recent(&self, at: Timestamp) -> bool {
        self.now().since(at) <= self.settings.receiver_silence
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &'a Server> + use<'a> {
        self.snapshot.servers.values()
    }

    pub(super) fn server(&self, id: &ServerId) -> Option<&'a Server> {
        self.snapshot.servers.get(id)
    }

    /// The server to treat as primary, if it can be told and is a member.
    pub(super) fn primary(&self) -> Option<&'a Server> {
        self.view.server().and_then(|id| self.server(id))
    }

    pub(super) fn is_primary(&self, id: &ServerId) -> bool {
        self.view.server() == Some(id)
    }

    pub(super) fn reach(&self, id: &ServerId) -> Reach {
        self.server(id)
            .map_or(Reach::NotProbed, |server| server.probe.reach())
    }

    pub(super) fn answers(&self, id: &ServerId) -> bool {
        self.reach(id) == Reach::Answering
    }

    /// The reading of a server that answers now.
    pub(super) fn current(&self, id: &ServerId) -> Option<&'a ServerFacts> {
        self.server(id).and_then(Server::current_facts)
    }

    /// Servers that no probe has finished for: nothing is known about them.
    pub(super) fn unprobed(&self) -> Vec<&'a ServerId> {
        let unprobed = |server: &&Server| server.probe.reach() == Reach::NotProbed;
        self.servers()
            .filter(unprobed)
            .map(|server| &server.id)
            .collect()
    }

    /// Channels of other members that point to `source`.
    pub(super) fn edges_below<'s>(
        &'s self,
        source: &'s ServerId,
    ) -> impl Iterator<Item = &'s Edge> + use<'s> {
        self.topology
            .replicas_of(source)
            .iter()
            .filter(move |edge| edge.replica != *source)
    }

    /// Direct replicas of `source`, each once.
    pub(super) fn replicas<'s>(&'s self, source: &'s ServerId) -> BTreeSet<&'s ServerId> {
        self.edges_below(source).map(|edge| &edge.replica).collect()
    }

    /// Whether `replica` has a channel to another member.
    pub(super) fn has_member_source(&self, replica: &ServerId) -> bool {
        let other = |edge: &Edge| edge.source.as_ref().is_some_and(|source| source != replica);
        self.topology.channels_of(replica).iter().any(other)
    }

    /// In a downtime that has begun and has not ended.
    pub(super) fn is_down(&self, server: &Server) -> bool {
        let now = self.snapshot.wall;
        let downtime = server.downtime.as_ref();
        downtime.is_some_and(|downtime| downtime.begins <= now && now < downtime.ends)
    }

    /// Lag beyond limit and configured delay.
    pub(super) fn lags(&self, channel: &Channel) -> bool {
        let limit = self.settings.lag_limit.saturating_add(channel.delay);
        channel.lag.is_some_and(|lag| lag > limit)
    }
}

/// What the rules have found so far.
#[derive(Default)]
pub(super) struct ReportBuilder {
    pub(super) findings: Vec<Finding>,
    pub(super) reads: BTreeSet<ServerId>,
    pub(super) reconnects: BTreeSet<ProbeRequest>,
}

impl ReportBuilder {
    /// Adds an observation that no recovery answers.
    pub(super) fn note(
        &mut self,
        code: Code,
        server: &ServerId,
        severity: Severity,
        evidence: Vec<Evidence>,
    ) {
        self.findings.push(Finding {
            code,
            server: server.clone(),
            severity,
            suggestion: Suggestion::Hold,
            recovery: None,
            evidence,
        });
    }

    /// Adds an observation that a recovery could answer.
    pub(super) fn propose_recovery(
        &mut self,
        code: Code,
        server: &ServerId,
        answer: (Suggestion, RecoveryKind),
        evidence: Vec<Evidence>,
    ) {
        self.propose_recovery_as(Severity::Critical, code, server, answer, evidence);
    }

    /// As [`propose_recovery`](Self::propose), with another severity.
    pub(super) fn propose_recovery_as(
        &mut self,
        severity: Severity,
        code: Code,
        server: &ServerId,
        answer: (Suggestion, RecoveryKind),
        evidence: Vec<Evidence>,
    ) {
        self.findings.push(Finding {
            code,
            server: server.clone(),
            severity,
            suggestion: answer.0,
            recovery: Some(answer.1),
            evidence,
        });
    }

    /// What to gather, in a fixed order.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<ProbeRequest>) {
        let servers: Vec<ServerId> = self.reads.into_iter().collect();
        let reads = (!servers.is_empty()).then_some(ProbeRequest::ReadNow { servers });
        (
            self.findings,
            reads.into_iter().chain(self.reconnects).collect(),
        )
    }
}

/// One piece of evidence. `code` is one of those that `evidence::WORDS` explains.
pub(super) fn evidence<'a>(
    code: &'static str,
    text: String,
    about: impl IntoIterator<Item = &'a ServerId>,
) -> Evidence {
    Evidence {
        code,
        text,
        about: about.into_iter().cloned().collect(),
    }
}

/// Identities as a text: `a, b and c`.
pub(super) fn listed<'a>(ids: impl IntoIterator<Item = &'a ServerId>) -> String {
    let ids: Vec<&str> = ids.into_iter().map(ServerId::as_str).collect();
    match ids.split_last() {
        None => "nobody".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A duration as a text for people: `350 ms`, `2.4 s`, `90 s`.
pub(super) fn in_words(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        format!("{millis} ms")
    } else if millis < 10_000 && millis % 1000 >= 100 {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    } else {
        format!("{} s", millis / 1000)
    }
}
