//! Which server the cluster writes to.

use std::time::Duration;

use super::report::PrimaryView;
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Bounds, Closed, Edge, Reach, Server, ServerFacts, Snapshot, ThreadState, Topology,
};

/// The server the cluster writes to, as far as it can be told.
///
/// The recorded primary stands, dead or alive, unless another member was visibly promoted instead
/// of it. Without a record, the only server above all others is derived; a server that was never
/// read is not, because it may itself have a source.
pub fn primary_of(snapshot: &Snapshot, topology: &Topology) -> PrimaryView {
    match snapshot.primary() {
        Some(recorded) => match successor(snapshot, topology, recorded) {
            Some(to) => PrimaryView::Moved {
                from: recorded.id.clone(),
                to,
            },
            None => PrimaryView::Recorded(recorded.id.clone()),
        },
        None => derived(snapshot, topology),
    }
}

/// The only member that took the place of the recorded primary.
fn successor(snapshot: &Snapshot, topology: &Topology, recorded: &Server) -> Option<ServerId> {
    let bounds = Bounds::of(snapshot, topology);
    let took_over = |server: &&Server| {
        server.id != recorded.id
            && writes(server)
            && !bounds.is_apart(&server.id)
            && !is_outdated(snapshot, recorded, server)
            && !reads_from(topology, &server.id, &recorded.id)
            && (follows(snapshot, topology, recorded, server)
                || leads_alone(snapshot, topology, recorded, server)
                || stands_in(snapshot, &bounds, recorded, server))
    };
    only(snapshot.servers.values().filter(took_over)).map(|server| server.id.clone())
}

/// Whether the recorded primary replaced `server`, and merely is away or was restarted since: what
/// it took since is there only. A person who goes back to `server` closes the recorded primary
/// first.
fn is_outdated(snapshot: &Snapshot, recorded: &Server, server: &Server) -> bool {
    let is_away = !recorded.answers();
    let restarted = matches!(recorded.closed, Closed::ByRestart | Closed::AtStart);
    (is_away || restarted) && snapshot.replacement_of(&server.id).is_some()
}

/// Somebody closed the recorded primary while it ran, and `server`, the only other one that takes
/// writes, has everything it has.
fn stands_in(snapshot: &Snapshot, bounds: &Bounds, recorded: &Server, server: &Server) -> bool {
    let closed = recorded
        .current_facts()
        .filter(|facts| facts.read_only && recorded.closed == Closed::WhileRunning);
    let mut others = snapshot.servers.values();
    let is_only =
        !others.any(|other| other.id != server.id && !bounds.is_apart(&other.id) && writes(other));
    let has_all = || {
        let own = server.current_facts()?.executed.clone();
        Some(GtidSet::errant(&closed?.executed, &own).is_none())
    };
    is_only && has_all() == Some(true)
}

/// For how long a severed receiver may look as if it ran: until its thread has noticed.
const SEVERED_FOR: Duration = Duration::from_secs(60);

/// Whether Baton severed the channel's receiver lately.
pub(super) fn is_severed(snapshot: &Snapshot, edge: &Edge) -> bool {
    let replica = snapshot.servers.get(&edge.replica);
    let at = replica.and_then(|replica| replica.severed_on(&edge.channel.name));
    at.is_some_and(|at| snapshot.taken_at.since(at) < SEVERED_FOR)
}

/// The recorded primary, which answers, receives from `server`. A channel alone says nothing: one
/// whose receiver was stopped or severed for the promotion may be what the last reading still
/// shows.
fn follows(snapshot: &Snapshot, topology: &Topology, recorded: &Server, server: &Server) -> bool {
    let receives = |edge: &Edge| {
        edge.source.as_ref() == Some(&server.id)
            && edge.channel.receiver == ThreadState::Running
            && !is_severed(snapshot, edge)
    };
    // One that takes writes itself has not moved: it was given a source.
    recorded
        .current_facts()
        .is_some_and(|facts| facts.read_only)
        && snapshot.servers.contains_key(&server.id)
        && topology.channels_of(&recorded.id).iter().any(receives)
}

/// The recorded primary is silent or read-only, and nobody follows it any more: whoever it had
/// follow `server`, which has no source.
fn leads_alone(
    snapshot: &Snapshot,
    topology: &Topology,
    recorded: &Server,
    server: &Server,
) -> bool {
    let out_of_work = match recorded.probe.reach() {
        Reach::Silent => true,
        Reach::Answering => recorded.last_facts().is_some_and(|facts| facts.read_only),
        Reach::NotProbed | Reach::Partial => false,
    };
    out_of_work
        && sources(topology, &server.id).next().is_none()
        && followers(topology, &recorded.id).next().is_none()
        && live_followers(snapshot, topology, &server.id) > unheard(snapshot, recorded)
}

/// Members that answer and receive from `source` now.
fn live_followers(snapshot: &Snapshot, topology: &Topology, source: &ServerId) -> usize {
    let answers = |id| {
        snapshot
            .servers
            .get(id)
            .and_then(Server::current_facts)
            .is_some()
    };
    let receives = |edge: &&Edge| edge.channel.receiver == ThreadState::Running;
    let edges = followers(topology, source).filter(receives);
    edges.filter(|edge| answers(&edge.replica)).count()
}

/// Members beside the recorded primary that do not answer: they may follow it. A node that was cut
/// off from most of a cluster while it was failed over remembers of them what was true before.
fn unheard(snapshot: &Snapshot, recorded: &Server) -> usize {
    let others = snapshot.servers.values().filter(|s| s.id != recorded.id);
    others
        .filter(|server| server.current_facts().is_none())
        .count()
}

fn derived(snapshot: &Snapshot, topology: &Topology) -> PrimaryView {
    let servers = || snapshot.servers.values();
    let alone = servers().count() == 1;
    let tops: Vec<&Server> = servers()
        .filter(|server| sources(topology, &server.id).next().is_none())
        .filter(|server| alone || followers(topology, &server.id).next().is_some())
        .collect();
    let pairs = || servers().filter(|server| topology.co_primary_of(&server.id).is_some());
    let candidates = if tops.is_empty() {
        pairs().collect()
    } else {
        tops
    };
    // A server that was never read may have a source that nobody has told us about.
    if candidates.iter().all(|server| server.facts.is_some()) {
        let choice = only(candidates.iter().copied().filter(|s| is_writable(s)))
            .or_else(|| only(candidates.iter().copied()));
        if let Some(server) = choice {
            return PrimaryView::Derived(server.id.clone());
        }
    }
    PrimaryView::Unknown(
        candidates
            .into_iter()
            .map(|server| server.id.clone())
            .collect(),
    )
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

fn is_writable(server: &Server) -> bool {
    server.last_facts().is_some_and(ServerFacts::is_writable)
}

/// Answers now and takes writes.
fn writes(server: &Server) -> bool {
    server.current_facts().is_some_and(ServerFacts::is_writable)
}

fn reads_from(topology: &Topology, replica: &ServerId, source: &ServerId) -> bool {
    sources(topology, replica).any(|found| found == source)
}

/// Members that `replica` has a channel to, without itself.
fn sources<'t>(
    topology: &'t Topology,
    replica: &'t ServerId,
) -> impl Iterator<Item = &'t ServerId> {
    let edges = topology.channels_of(replica).iter();
    edges
        .filter_map(|edge| edge.source.as_ref())
        .filter(move |source| *source != replica)
}

fn followers<'t>(topology: &'t Topology, source: &'t ServerId) -> impl Iterator<Item = &'t Edge> {
    topology
        .replicas_of(source)
        .iter()
        .filter(move |edge| edge.replica != *source)
}
