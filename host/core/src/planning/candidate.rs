//! Who could take over, as far as the host is concerned. Policies order and veto what is left; they never add.

use std::collections::BTreeSet;

use super::acknowledgers::too_few_acknowledgers;
use super::explain::Reason;
use super::history::History;
use super::inherited::{edges_below, replaced_with};
use super::semi_sync::was_acknowledged;
use crate::analysis::ConnectError;
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Bounds, Channel, PromotionRule, Reach, ReplicationError, Server, ServerFacts, Snapshot, Space,
    ThreadState, Topology,
};
use crate::time::Timestamp;

/// One server considered as successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The server.
    pub server: ServerId,
    /// Executed or received; `None` if never read.
    pub possessed: Option<GtidSet>,
    /// Of that, what came from the replaced primary: a successor must have it.
    pub wanted: Option<GtidSet>,
    /// What the most advanced server has received and this one has not.
    pub missing: Option<u64>,
    /// Received, not applied.
    pub unapplied: Option<u64>,
    /// Number of errant transactions, where known.
    pub errant: Option<u64>,
    /// Siblings that could follow it.
    pub followers: u32,
    /// What speaks against it without excluding it.
    pub warnings: Vec<Reason>,
    /// Why no policy can allow it; empty = allowed.
    pub excluded: Vec<Reason>,
}

impl Candidate {
    /// True if policies may rank it.
    pub fn is_allowed(&self) -> bool {
        self.excluded.is_empty()
    }
}

/// Considers every replica of `replaced`. With `read_after`, only readings that began after that instant count: what a
/// server said before receivers were stopped may have grown since.
pub fn candidates(
    snapshot: &Snapshot,
    replaced: &ServerId,
    read_after: Option<Timestamp>,
) -> Vec<Candidate> {
    let topology = Topology::of(snapshot);
    let replaced = replaced_with(snapshot, replaced);
    let replicas: BTreeSet<&ServerId> = edges_below(&topology, &replaced)
        .map(|edge| &edge.replica)
        .collect();
    let servers: Vec<&Server> = replicas
        .iter()
        .filter_map(|id| snapshot.servers.get(*id))
        .collect();
    let read: Vec<(&Server, &ServerFacts)> = servers
        .iter()
        .filter_map(|s| fresh(s, read_after).map(|facts| (*s, facts)))
        .collect();
    let history = History::of(snapshot, &topology, &replaced);
    let parts = read
        .iter()
        .map(|(server, facts)| history.part(server, facts));
    let most = parts.reduce(|all, one| all.union(&one));
    let anybody = |is: &dyn Fn(&Server, &ServerFacts) -> bool| {
        read.iter().any(|(server, facts)| is(server, facts))
    };
    let is_clean = |server: &Server, facts: &ServerFacts| {
        history.errant(server, facts).is_empty() && is_willing(server)
    };
    let some_clean = anybody(&is_clean);
    let some_log = anybody(&|server, facts| facts.log_updates && is_willing(server));
    let bounds = Bounds::of(snapshot, &topology);
    let field = Field {
        snapshot,
        topology: &topology,
        bounds: &bounds,
        read: &read,
        most: most.as_ref(),
        history: &history,
        some_clean,
        some_log,
        replaced: replaced.iter().collect(),
        waits: replaced.iter().any(|id| was_acknowledged(snapshot, id)),
        read_after,
    };
    let considered = servers
        .iter()
        .map(|server| consider(server, &replaced, &field));
    let mut list: Vec<Candidate> = considered.collect();
    list.sort_by_key(|c| {
        (
            !c.is_allowed(),
            c.missing.unwrap_or(u64::MAX),
            c.server.clone(),
        )
    });
    list
}

struct Field<'a> {
    snapshot: &'a Snapshot,
    topology: &'a Topology,
    bounds: &'a Bounds,
    read: &'a [(&'a Server, &'a ServerFacts)],
    most: Option<&'a GtidSet>,
    history: &'a History,
    /// Somebody could be promoted who has no errant transactions.
    some_clean: bool,
    /// Somebody could be promoted who logs what it replicates.
    some_log: bool,
    replaced: Vec<&'a ServerId>,
    /// The successor is to wait for acknowledgements.
    waits: bool,
    read_after: Option<Timestamp>,
}

/// No operator speaks against it.
fn is_willing(server: &Server) -> bool {
    server.promotion != PromotionRule::MustNot
        && !server.quarantined
        && !server.maintenance
        && server.downtime.is_none()
}

fn fresh(server: &Server, read_after: Option<Timestamp>) -> Option<&ServerFacts> {
    match read_after {
        Some(instant) => server.facts_after(instant),
        None => server
            .last_facts()
            .filter(|_| server.probe.reach() == Reach::Answering),
    }
}

fn consider(server: &Server, replaced: &BTreeSet<ServerId>, field: &Field<'_>) -> Candidate {
    let facts = fresh(server, field.read_after);
    let possessed = facts.map(|facts| {
        let all = facts.possessed();
        field
            .bounds
            .own(field.snapshot, field.topology, &server.id, all)
    });
    let missing = possessed
        .as_ref()
        .zip(field.most)
        .and_then(|(own, most)| own.missing_count(most));
    let unapplied = facts
        .zip(possessed.as_ref())
        .and_then(|(facts, own)| facts.executed.missing_count(own));
    let followers = field
        .read
        .iter()
        .filter(|(other, facts)| other.id != server.id && can_follow(facts, server));
    Candidate {
        server: server.id.clone(),
        missing,
        unapplied,
        errant: facts
            .map(|facts| field.history.errant(server, facts))
            .or_else(|| server.errant.clone())
            .map(|set| count(&set)),
        wanted: facts.map(|facts| field.history.part(server, facts)),
        followers: u32::try_from(followers.count()).unwrap_or(u32::MAX),
        warnings: facts
            .map(|facts| warnings(server, facts, field))
            .unwrap_or_default(),
        excluded: exclusions(server, facts, replaced, field),
        possessed,
    }
}

fn count(set: &GtidSet) -> u64 {
    set.empty_like().missing_count(set).unwrap_or(0)
}

/// Same family of GTIDs: the only thing that makes following impossible for certain.
fn can_follow(facts: &ServerFacts, candidate: &Server) -> bool {
    candidate
        .last_facts()
        .is_some_and(|other| other.executed.missing_count(&facts.executed).is_some())
}

fn exclusions(
    server: &Server,
    facts: Option<&ServerFacts>,
    replaced: &BTreeSet<ServerId>,
    field: &Field<'_>,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut no = |code: &str, text: String| reasons.push(reason(code, text, server));
    if server.promotion == PromotionRule::MustNot {
        no(
            "must-not",
            format!("{} has the promotion rule must_not", server.id),
        );
    }
    if server.quarantined {
        no(
            "quarantined",
            format!("{} is set aside with errant transactions", server.id),
        );
    }
    if server.maintenance {
        no("maintenance", format!("{} is in maintenance", server.id));
    }
    if server.downtime.is_some() {
        no("downtimed", format!("{} is downtimed", server.id));
    }
    let Some(facts) = facts else {
        no(
            "not-read",
            format!(
                "{} did not answer, so what it has received is not known",
                server.id
            ),
        );
        return reasons;
    };
    if !field.history.errant(server, facts).is_empty() && field.some_clean {
        no(
            ERRANT,
            format!(
                "{} has errant transactions, which every server would get with its promotion",
                server.id
            ),
        );
    }
    if let Space::Awaited { .. } = facts.vitals.space {
        no(
            "waits-for-space",
            format!("{} waits for disk space itself", server.id),
        );
    }
    if facts.possessed().is_empty() && field.most.is_some_and(|most| !most.is_empty())
        || facts.possessed().is_empty() && field.snapshot.highest.is_some()
    {
        no("empty", format!("{} has no data", server.id));
    }
    if !facts.log_bin {
        no(
            "no-binary-log",
            format!(
                "{} writes no binary log, nobody could replicate from it",
                server.id
            ),
        );
    } else if !facts.log_updates
        && field.some_log
        && !edges_below(field.topology, replaced).all(|e| e.replica == server.id)
    {
        no(
            "no-replica-updates",
            format!(
                "{} does not log replicated changes, its siblings could not follow it",
                server.id
            ),
        );
    }
    for edge in field.topology.channels_of(&server.id) {
        let channel = &edge.channel;
        let source = edge.source.as_ref();
        let from_replaced = source.is_some_and(|source| replaced.contains(source));
        if from_replaced && may_still_receive(server, channel, field.read_after) {
            no(
                "still-receiving",
                format!(
                    "the receiver of {} could not be stopped, so what it has may still grow",
                    server.id
                ),
            );
        }
        if let Some(error) = has_gap(channel).filter(|_| from_replaced) {
            no(
                "receiver-broken",
                format!(
                    "the receiver of {} stopped with error {}: it lacks what came since",
                    server.id, error.number
                ),
            );
        }
        if !from_replaced && field.bounds.leads_outside(edge) {
            continue;
        }
        if channel.filtered {
            no(
                "filtered",
                format!(
                    "{} replicates with filters: it is not a full copy",
                    server.id
                ),
            );
        }
        // A lifted delay costs the channel its position by GTID, until it is set back.
        if !channel.auto_position && server.lifted_on(channel).is_none() {
            no(
                "no-gtid",
                format!("{} does not replicate by GTID", server.id),
            );
        }
        if let Some(error) = &channel.applier_error
            && channel.applier == ThreadState::Stopped
        {
            no(
                "applier-broken",
                format!(
                    "the applier of {} stopped with error {}",
                    server.id, error.number
                ),
            );
        }
    }
    reasons
}

/// The code of the one exclusion that a person's order for that server lifts.
pub(super) const ERRANT: &str = "errant";

/// The code of the warning about a delayed replica.
pub(super) const DELAYED: &str = "delayed";

/// The error with which a receiver stopped by itself, for a reason other than the loss of its source: what its source wrote since, it
/// lacks. An error of the network is that loss; errors of a login may be older, but such a receiver goes on trying.
fn has_gap(channel: &Channel) -> Option<&ReplicationError> {
    let error = channel.receiver_error.as_ref()?;
    let is_stopped = channel.receiver == ThreadState::Stopped;
    (is_stopped && ConnectError::of(error.number) == ConnectError::Other).then_some(error)
}

fn warnings(server: &Server, facts: &ServerFacts, field: &Field<'_>) -> Vec<Reason> {
    let topology = field.topology;
    let mut reasons = Vec::new();
    if !field.history.errant(server, facts).is_empty() {
        reasons.push(reason(
            ERRANT,
            format!("{} has errant transactions", server.id),
            server,
        ));
    }
    if facts.log_bin && !facts.log_updates {
        reasons.push(reason(
            "no-replica-updates",
            format!(
                "{} does not log what it replicates: replicas that lack some of that cannot follow it",
                server.id
            ),
            server,
        ));
    }
    if facts.channels.len() > 1 {
        reasons.push(reason(
            "multi-source",
            format!("{} has {} channels", server.id, facts.channels.len()),
            server,
        ));
    }
    if facts
        .channels
        .iter()
        .any(|channel| !channel.delay.is_zero() || server.lifted_on(channel).is_some())
    {
        reasons.push(reason(
            DELAYED,
            format!("{} applies with a configured delay", server.id),
            server,
        ));
    }
    if let Some(text) =
        too_few_acknowledgers(field.snapshot, &server.id, &field.replaced).filter(|_| field.waits)
    {
        reasons.push(reason("too-few-acknowledgers", text, server));
    }
    if !topology.replicas_of(&server.id).is_empty() {
        reasons.push(reason(
            "intermediate",
            format!("{} feeds replicas of its own", server.id),
            server,
        ));
    }
    reasons
}

fn reason(code: &str, text: String, server: &Server) -> Reason {
    Reason {
        code: code.to_owned(),
        text,
        about: vec![server.id.clone()],
    }
}

/// A receiver has ended if it shows as stopped, or if it was severed by this recovery before the reading: its thread may wait for
/// its source for a while, but it receives nothing.
fn may_still_receive(server: &Server, channel: &Channel, read_after: Option<Timestamp>) -> bool {
    let Some(read_after) = read_after else {
        return false;
    };
    let severed = server
        .severed_on(&channel.name)
        .is_some_and(|at| at > read_after && server.facts_after(at).is_some());
    channel.receiver != ThreadState::Stopped && !severed
}
