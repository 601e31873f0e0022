//! Who could take over, as far as the host is concerned. Policies order and veto what is left; they
//! never add.

use std::collections::BTreeSet;

use super::acknowledgers::too_few_acknowledgers;
use super::eligibility::{Failover, Ineligible, declared};
use super::explain::Reason;
use super::history::History;
use super::inherited::{edges_below, replaced_with};
use super::semi_sync::was_acknowledged;
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{Bounds, Server, ServerFacts, Snapshot, Topology};
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
    pub excluded: Vec<Ineligible>,
}

impl Candidate {
    /// True if policies may rank it.
    pub fn is_allowed(&self) -> bool {
        self.excluded.is_empty()
    }

    /// Why no policy can allow it, for people.
    pub fn exclusions(&self) -> impl Iterator<Item = Reason> {
        self.excluded.iter().map(|why| why.reason(&self.server))
    }
}

/// Considers every replica of `replaced`. With `read_after`, only readings that began after that
/// instant count: what a server said before receivers were stopped may have grown since.
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
        history.errant(server, facts).is_empty() && declared(server).is_empty()
    };
    let some_clean = anybody(&is_clean);
    let some_log = anybody(&|server, facts| facts.log_updates && declared(server).is_empty());
    let bounds = Bounds::of(snapshot, &topology);
    let field = Field {
        rules: Failover {
            snapshot,
            topology: &topology,
            bounds: &bounds,
            replaced: &replaced,
            history: &history,
            most: most.as_ref(),
            some_clean,
            some_log,
            read_after,
        },
        read: &read,
        waits: replaced.iter().any(|id| was_acknowledged(snapshot, id)),
    };
    let considered = servers.iter().map(|server| consider(server, &field));
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
    rules: Failover<'a>,
    read: &'a [(&'a Server, &'a ServerFacts)],
    /// The successor is to wait for acknowledgements.
    waits: bool,
}

fn fresh(server: &Server, read_after: Option<Timestamp>) -> Option<&ServerFacts> {
    match read_after {
        Some(instant) => server.facts_after(instant),
        None => server.current_facts(),
    }
}

fn consider(server: &Server, field: &Field<'_>) -> Candidate {
    let rules = &field.rules;
    let facts = fresh(server, rules.read_after);
    let possessed = facts.map(|facts| {
        let all = facts.possessed();
        rules
            .bounds
            .own(rules.snapshot, rules.topology, &server.id, all)
    });
    let missing = possessed
        .as_ref()
        .zip(rules.most)
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
            .map(|facts| rules.history.errant(server, facts))
            .or_else(|| server.errant.clone())
            .map(|set| count(&set)),
        wanted: facts.map(|facts| rules.history.part(server, facts)),
        followers: u32::try_from(followers.count()).unwrap_or(u32::MAX),
        warnings: facts
            .map(|facts| warnings(server, facts, field))
            .unwrap_or_default(),
        excluded: rules.reasons(server, facts),
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

/// The code of the warning about a delayed replica.
pub(super) const DELAYED: &str = "delayed";

fn warnings(server: &Server, facts: &ServerFacts, field: &Field<'_>) -> Vec<Reason> {
    let Failover {
        snapshot,
        topology,
        history,
        replaced,
        ..
    } = field.rules;
    let mut reasons = Vec::new();
    if !history.errant(server, facts).is_empty() {
        reasons.push(reason(
            "errant",
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
    let without: Vec<&ServerId> = replaced.iter().collect();
    if let Some(text) =
        too_few_acknowledgers(snapshot, &server.id, &without).filter(|_| field.waits)
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
