//! Facts as questions to policies: servers become indexes, instants become ages.

use std::collections::BTreeMap;
use std::time::Duration;

use super::acknowledgers::Acknowledgers;
use super::candidate::Candidate;
use crate::analysis::{Evidence, Finding};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Channel, Held, Probe, ProbeFailure, Reach, RecoveryKind, SemiSync, Server, ServerFacts,
    Snapshot, Topology,
};
use crate::policy::{
    self, AssessQuestion, ChannelView, Cluster, Context, DowntimeView, FindingView, Indexed, Ms,
    Pair, PlaceView, ProbeView, RankQuestion, Reason, RecoveryView, Role, SemiSyncView,
    ServerIndex, ServerView, VitalsView,
};
use crate::time::Timestamp;

/// Asks whether a finding is worth a recovery. `primary` is the server the analysis treats as
/// primary.
pub fn assess_question(
    snapshot: &Snapshot,
    finding: &Finding,
    held: Held,
    context: Context,
    primary: Option<&ServerId>,
) -> Indexed<AssessQuestion> {
    let index = Index::of(snapshot);
    let question = AssessQuestion {
        context,
        cluster: cluster(snapshot, &index, primary),
        finding: FindingView {
            code: finding.code.word().to_owned(),
            server: index.of_server(&finding.server),
            held: ms(snapshot.taken_at.since(held.since)),
            flaps: held.flaps,
            elsewhere: snapshot
                .fleet
                .elsewhere
                .get(finding.code.word())
                .copied()
                .unwrap_or(0),
            clusters: snapshot.fleet.clusters,
            suggestion: finding.suggestion,
            reasons: finding
                .evidence
                .iter()
                .map(|evidence| index.reason(evidence))
                .collect(),
        },
        approvals: Vec::new(),
        extra: finding
            .recovery
            .filter(|kind| kind.replaces_lost_primary())
            .map(|_| acknowledgements(snapshot, &finding.server)),
    };
    Indexed {
        question,
        ids: index.ids,
    }
}

/// Asks who takes over from `replaced`. Excluded candidates are not part of the question.
pub fn rank_question(
    snapshot: &Snapshot,
    target: (RecoveryKind, &ServerId),
    list: &[Candidate],
    requested: Option<&ServerId>,
    context: Context,
) -> Indexed<RankQuestion> {
    let (kind, replaced) = target;
    let index = Index::of(snapshot);
    let candidates = list.iter().filter(|candidate| candidate.is_allowed());
    let question = RankQuestion {
        context,
        cluster: cluster(snapshot, &index, Some(replaced)),
        purpose: kind.word().to_owned(),
        replaced: index.of_server(replaced),
        candidates: candidates
            .map(|candidate| index.candidate(candidate))
            .collect(),
        requested: requested.map(|id| index.of_server(id)),
        extra: kind
            .replaces_lost_primary()
            .then(|| acknowledgements(snapshot, replaced)),
    };
    Indexed {
        question,
        ids: index.ids,
    }
}

/// The two counts that decide what a failover may lose, as words without a field of their own: how
/// many members may acknowledge to the old primary from now on, how many may hold what nobody else
/// has, and for how many it waits.
fn acknowledgements(snapshot: &Snapshot, replaced: &ServerId) -> Vec<Pair> {
    let found = Acknowledgers::of(snapshot, replaced, None);
    [
        ("could-acknowledge", found.could.len()),
        ("may-hold", found.may_hold.len()),
        ("wait-for", found.wait_for),
    ]
    .map(|(word, count)| (word.to_owned(), count.to_string()))
    .to_vec()
}

struct Index {
    ids: Vec<ServerId>,
    at: BTreeMap<ServerId, ServerIndex>,
}

impl Index {
    fn of(snapshot: &Snapshot) -> Self {
        let ids: Vec<ServerId> = snapshot.servers.keys().cloned().collect();
        let at = ids.iter().cloned().zip(0..).collect();
        Self { ids, at }
    }

    /// Servers of a snapshot are all indexed; for one that is not, an index that no check accepts.
    fn of_server(&self, id: &ServerId) -> ServerIndex {
        self.at.get(id).copied().unwrap_or(ServerIndex::MAX)
    }

    fn reason(&self, evidence: &Evidence) -> Reason {
        Reason {
            code: evidence.code.to_owned(),
            text: evidence.text.clone(),
            about: evidence
                .about
                .iter()
                .filter_map(|id| self.at.get(id))
                .copied()
                .collect(),
        }
    }

    fn candidate(&self, candidate: &Candidate) -> policy::Candidate {
        let warning = |reason: &super::Reason| Reason {
            code: reason.code.clone(),
            text: reason.text.clone(),
            about: reason
                .about
                .iter()
                .filter_map(|id| self.at.get(id))
                .copied()
                .collect(),
        };
        policy::Candidate {
            server: self.of_server(&candidate.server),
            missing: candidate.missing.map(small),
            unapplied: candidate.unapplied.map(small),
            errant: candidate.errant.map(small),
            followers: candidate.followers,
            warnings: candidate.warnings.iter().map(warning).collect(),
        }
    }
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn ms(duration: Duration) -> Ms {
    u32::try_from(duration.as_millis()).unwrap_or(Ms::MAX)
}

fn cluster(snapshot: &Snapshot, index: &Index, primary: Option<&ServerId>) -> Cluster {
    let topology = Topology::of(snapshot);
    let mut places: Vec<PlaceView> = snapshot.servers.values().map(place).collect();
    places.sort();
    places.dedup();
    let servers = snapshot
        .servers
        .values()
        .map(|server| {
            view(
                server,
                &Around {
                    snapshot,
                    topology: &topology,
                    index,
                    places: &places,
                    primary,
                },
            )
        })
        .collect();
    Cluster {
        id: snapshot.cluster.id.to_string(),
        name: snapshot.cluster.name.clone(),
        servers,
        places,
        primary: primary.map(|id| index.of_server(id)),
        automatic: snapshot.control.automatic,
        recoveries: recoveries(snapshot),
        tags: Vec::new(),
        extra: None,
    }
}

fn place(server: &Server) -> PlaceView {
    PlaceView {
        data_center: server.place.data_center.clone(),
        region: server.place.region.clone(),
        environment: server.place.environment.clone(),
    }
}

fn recoveries(snapshot: &Snapshot) -> Vec<RecoveryView> {
    let age = |at| ms(snapshot.wall.since(at));
    snapshot
        .control
        .past
        .iter()
        // It changed nothing about who the primary is, and policies that do not know the word would
        // begin a cooldown with it.
        .filter(|past| past.kind != RecoveryKind::Reopen)
        .map(|past| RecoveryView {
            kind: past.kind.word().to_owned(),
            outcome: past.outcome.word().to_owned(),
            started_age: age(past.started),
            ended_age: past.ended.map(age),
            from_server: past.subject.to_string(),
            to_server: past
                .successor
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            acknowledged: past.acknowledged,
            automatic: past.automatic,
        })
        .collect()
}

struct Around<'a> {
    snapshot: &'a Snapshot,
    topology: &'a Topology,
    index: &'a Index,
    places: &'a [PlaceView],
    primary: Option<&'a ServerId>,
}

fn view(server: &Server, around: &Around<'_>) -> ServerView {
    let facts = server.last_facts();
    let version = facts.map(|f| f.version).unwrap_or_default();
    ServerView {
        id: server.id.to_string(),
        address: server.address.to_string(),
        role: role(server, around),
        flavour: facts.map_or(crate::model::Flavor::Other, |f| f.flavor),
        version: (
            version.major.into(),
            version.minor.into(),
            version.patch.into(),
        ),
        place: around
            .places
            .iter()
            .zip(0..)
            .find(|(p, _)| **p == place(server))
            .map(|(_, i)| i),
        tags: (!server.tags.is_empty()).then(|| server.tags.clone()),
        promotion: server.promotion,
        probe: probe_view(&server.probe, around.snapshot.taken_at),
        peers: Vec::new(),
        read_only: facts.map(|f| f.read_only),
        super_read_only: facts.and_then(|f| f.super_read_only),
        log_bin: facts.map(|f| f.log_bin),
        log_updates: facts.map(|f| f.log_updates),
        log_format: facts.map(|f| f.log_format),
        channels: facts
            .map(|f| channels(server, f, around))
            .unwrap_or_default(),
        semi_sync: facts.and_then(|f| f.semi_sync.as_ref()).map(semi_sync),
        vitals: facts.map(vitals),
        executed: None,
        errant: server.errant.as_ref().and_then(count).map(small),
        downtime: server.downtime.as_ref().map(|downtime| DowntimeView {
            reason: downtime.reason.clone(),
            owner: downtime.owner.clone(),
            remaining: Some(ms(downtime.ends.since(around.snapshot.wall))),
        }),
        maintenance: server.maintenance,
        extra: None,
    }
}

fn count(set: &GtidSet) -> Option<u64> {
    set.empty_like().missing_count(set)
}

fn role(server: &Server, around: &Around<'_>) -> Role {
    let feeds = !around.topology.replicas_of(&server.id).is_empty();
    let replicates = !around.topology.channels_of(&server.id).is_empty();
    if around.primary == Some(&server.id) {
        Role::Primary
    } else if server.facts.is_none() {
        Role::Unknown
    } else {
        match (replicates, feeds) {
            (true, true) => Role::Intermediate,
            (true, false) => Role::Replica,
            (false, _) => Role::Standalone,
        }
    }
}

fn probe_view(probe: &Probe, now: Timestamp) -> ProbeView {
    let age = |at: Timestamp| ms(now.since(at));
    ProbeView {
        state: match probe.reach() {
            Reach::NotProbed => policy::Reach::NotProbed,
            Reach::Answering => policy::Reach::Answering,
            Reach::Partial => policy::Reach::Partial,
            Reach::Silent => policy::Reach::Silent,
        },
        failure: probe
            .failure
            .as_ref()
            .map(|failure| failure.word().to_owned()),
        error_number: probe
            .failure
            .as_ref()
            .and_then(ProbeFailure::error_number)
            .map(u32::from),
        answered_age: probe.answered_at.map(age),
        attempt_age: probe.attempted_at.map(age),
        failures: probe.failures,
        successes: probe.successes,
        round_trip_us: probe
            .round_trip
            .map(|rtt| small(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX))),
    }
}

fn channels(server: &Server, facts: &ServerFacts, around: &Around<'_>) -> Vec<ChannelView> {
    facts
        .channels
        .iter()
        .map(|channel| channel_view(server, facts, channel, around))
        .collect()
}

fn channel_view(
    server: &Server,
    facts: &ServerFacts,
    channel: &Channel,
    around: &Around<'_>,
) -> ChannelView {
    let now = around.snapshot.taken_at;
    let at = server
        .facts
        .as_ref()
        .map_or(Timestamp::default(), |observed| observed.at);
    let source = channel
        .source
        .as_ref()
        .and_then(|address| around.snapshot.server_at(address));
    let lost_at = source.and_then(|source| source.probe.failing_since);
    let heartbeat = server
        .heartbeat_moved
        .iter()
        .find(|(name, _)| *name == channel.name)
        .map(|(_, at)| *at);
    ChannelView {
        name: (!channel.name.is_empty()).then(|| channel.name.clone()),
        source: source.map(|source| around.index.of_server(&source.id)),
        source_address: match (source, &channel.source) {
            (None, Some(address)) => Some(address.to_string()),
            (Some(_), _) | (None, None) => None,
        },
        receiver: channel.receiver,
        applier: channel.applier,
        receiver_error: channel
            .receiver_error
            .as_ref()
            .map_or(0, |error| error.number),
        applier_error: channel
            .applier_error
            .as_ref()
            .map_or(0, |error| error.number),
        observed_age: ms(now.since(at)),
        // A receiver that had stood still long before says nothing about the loss, whenever it was
        // read.
        read_after_loss: lost_at.is_some_and(|lost| {
            at > lost && !crate::analysis::starved_before(around.snapshot, server, channel, lost)
        }),
        // Not the applier's progress: applying what came before a loss is no sign of life after it.
        received_age: heartbeat.map(|at| ms(now.since(at))),
        progress_age: server.progressed_at.map(|at| ms(now.since(at))),
        lag: channel.lag.map(ms),
        delay: ms(server.lifted_on(channel).unwrap_or(channel.delay)),
        auto_position: channel.auto_position,
        filtered: channel.filtered,
        received: None,
        applied: None,
        unapplied: facts.executed.missing_count(&channel.received).map(small),
    }
}

fn semi_sync(semi: &SemiSync) -> SemiSyncView {
    SemiSyncView {
        source_enabled: semi.source_enabled,
        source_active: semi.source_active,
        wait_for: semi.wait_for,
        clients: semi.clients,
        waiting_sessions: semi.waiting_sessions,
        oldest_wait: None,
        timeout: semi.timeout.map(ms),
        replica_enabled: semi.replica_enabled,
        replica_active: semi.replica_active,
    }
}

fn vitals(facts: &ServerFacts) -> VitalsView {
    use crate::model::CommitProbe;
    VitalsView {
        uptime: facts.vitals.uptime.map(ms),
        connections: facts.vitals.connections,
        connections_max: facts.vitals.connections_max,
        threads_running: facts.vitals.threads_running,
        disk_free_mib: None,
        disk_total_mib: None,
        commit_age: None,
        commit_stall: match facts.vitals.commit {
            CommitProbe::Stalled { waited } => Some(ms(waited)),
            CommitProbe::NotTried | CommitProbe::Committed { .. } | CommitProbe::Refused { .. } => {
                None
            }
        },
    }
}
