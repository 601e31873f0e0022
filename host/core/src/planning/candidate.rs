//! Who could take over, as far as the host is concerned. Policies order and veto what is left; they never add.

use std::collections::BTreeSet;

use super::estate::{edges_below, replaced_with};
use super::explain::Reason;
use super::{Blocked, ExpectedLoss};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{
    Channel, PromotionRule, Reach, RecoveryKind, Server, ServerFacts, Snapshot, ThreadState,
    Topology,
};
use crate::time::Timestamp;

/// One server considered as successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The server.
    pub server: ServerId,
    /// Executed or received; `None` if never read.
    pub possessed: Option<GtidSet>,
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

/// What the choice among candidates came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The successor.
    pub successor: ServerId,
    /// The server it must fetch transactions from first; `None` if it has everything.
    pub catch_up_from: Option<ServerId>,
    /// Transactions known to other servers that are given up; 0 unless a person consented.
    pub given_up: u64,
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
    let most = most_advanced(&read);
    let mut list: Vec<Candidate> = servers
        .iter()
        .map(|server| {
            consider(
                server,
                &replaced,
                &Field {
                    snapshot,
                    topology: &topology,
                    read: &read,
                    most: most.as_ref(),
                    read_after,
                },
            )
        })
        .collect();
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
    read: &'a [(&'a Server, &'a ServerFacts)],
    most: Option<&'a GtidSet>,
    read_after: Option<Timestamp>,
}

fn fresh(server: &Server, read_after: Option<Timestamp>) -> Option<&ServerFacts> {
    match read_after {
        Some(instant) => server.facts_after(instant),
        None => server
            .last_facts()
            .filter(|_| server.probe.reach() == Reach::Answering),
    }
}

/// Everything that any of the servers has received: the most that a successor can have.
fn most_advanced(read: &[(&Server, &ServerFacts)]) -> Option<GtidSet> {
    read.iter()
        .map(|(_, facts)| facts.possessed())
        .reduce(|all, one| all.union(&one))
}

fn consider(server: &Server, replaced: &BTreeSet<ServerId>, field: &Field<'_>) -> Candidate {
    let facts = fresh(server, field.read_after);
    let possessed = facts.map(ServerFacts::possessed);
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
        errant: errant_count(server),
        followers: u32::try_from(followers.count()).unwrap_or(u32::MAX),
        warnings: facts
            .map(|facts| warnings(server, facts, field.topology))
            .unwrap_or_default(),
        excluded: exclusions(server, facts, replaced, field),
        possessed,
    }
}

fn errant_count(server: &Server) -> Option<u64> {
    server
        .errant
        .as_ref()
        .map(|set| set.empty_like().missing_count(set).unwrap_or(0))
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
    if !facts.log_bin {
        no(
            "no-binary-log",
            format!(
                "{} writes no binary log, nobody could replicate from it",
                server.id
            ),
        );
    } else if !facts.log_updates
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
    for channel in &facts.channels {
        let from_replaced = channel
            .source
            .as_ref()
            .and_then(|a| field.snapshot.addresses.get(a))
            .is_some_and(|source| replaced.contains(source));
        if from_replaced && may_still_receive(server, channel, field.read_after) {
            no(
                "still-receiving",
                format!(
                    "the receiver of {} could not be stopped, so what it has may still grow",
                    server.id
                ),
            );
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
        if !channel.auto_position {
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

fn warnings(server: &Server, facts: &ServerFacts, topology: &Topology) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if errant_count(server).is_some_and(|count| count > 0) {
        reasons.push(reason(
            "errant",
            format!("{} has errant transactions", server.id),
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
        .any(|channel| !channel.delay.is_zero())
    {
        reasons.push(reason(
            "delayed",
            format!("{} applies with a configured delay", server.id),
            server,
        ));
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

/// Takes the first of the policy's order that can have everything any answering server received.
///
/// # Errors
/// Blocked if nobody is left, or if transactions known to one server only would be discarded without `consent`.
pub fn choose(
    kind: RecoveryKind,
    order: &[ServerId],
    list: &[Candidate],
    snapshot: &Snapshot,
    consent: bool,
) -> Result<Choice, Blocked> {
    let mut reasons: Vec<Reason> = Vec::new();
    for id in order {
        let Some(candidate) = list.iter().find(|c| c.server == *id && c.is_allowed()) else {
            continue;
        };
        match supplier_for(candidate, list, snapshot) {
            Supply::NotNeeded => {
                return Ok(Choice { successor: id.clone(), catch_up_from: None, given_up: 0 });
            }
            Supply::From(source) => {
                return Ok(Choice { successor: id.clone(), catch_up_from: Some(source), given_up: 0 });
            }
            Supply::Nobody { missing } if consent => {
                return Ok(Choice { successor: id.clone(), catch_up_from: None, given_up: missing });
            }
            Supply::Nobody { missing } => reasons.push(Reason {
                code: "would-lose".to_owned(),
                text: format!(
                    "{id} lacks {missing} transactions that only servers have which cannot hand them on"
                ),
                about: vec![id.clone()],
            }),
        }
    }
    if reasons.is_empty() {
        reasons.extend(list.iter().flat_map(|candidate| candidate.excluded.clone()));
    }
    if reasons.is_empty() {
        reasons.push(Reason {
            code: "no-candidate".to_owned(),
            text: "no replica may take over".to_owned(),
            about: Vec::new(),
        });
    }
    Err(Blocked { kind, reasons })
}

enum Supply {
    NotNeeded,
    From(ServerId),
    Nobody { missing: u64 },
}

/// Where a candidate gets what it lacks. A server that must not be promoted can still hand its transactions on.
fn supplier_for(candidate: &Candidate, list: &[Candidate], snapshot: &Snapshot) -> Supply {
    let Some(missing) = candidate.missing else {
        return Supply::Nobody { missing: u64::MAX };
    };
    if missing == 0 {
        return Supply::NotNeeded;
    }
    let can_supply = |other: &&Candidate| {
        other.server != candidate.server
            && other.missing == Some(0)
            && snapshot.facts(&other.server).is_some_and(|facts| {
                let broken = facts
                    .channels
                    .iter()
                    .any(|c| c.applier_error.is_some() && c.applier == ThreadState::Stopped);
                facts.log_bin && facts.log_updates && !broken
            })
    };
    match list.iter().find(can_supply) {
        Some(other) => Supply::From(other.server.clone()),
        None => Supply::Nobody { missing },
    }
}

/// What replacing `replaced` now would lose, from the last readings.
pub fn expected_loss(snapshot: &Snapshot, replaced: &ServerId, list: &[Candidate]) -> ExpectedLoss {
    let Some(primary) = snapshot.facts(replaced) else {
        return ExpectedLoss::Unknown {
            reason: format!("{replaced} was never read"),
        };
    };
    let Some(best) = list
        .iter()
        .filter_map(|c| c.possessed.clone())
        .reduce(|all, one| all.union(&one))
    else {
        return ExpectedLoss::Unknown {
            reason: "no replica answers".to_owned(),
        };
    };
    let unread = list.iter().any(|candidate| candidate.possessed.is_none());
    let semi_sync = primary
        .semi_sync
        .as_ref()
        .is_some_and(|s| s.source_enabled && s.source_active && s.wait_for > 0);
    match best.missing_count(&primary.executed) {
        Some(0) if semi_sync && !unread => ExpectedLoss::NothingAcknowledged,
        Some(transactions) => ExpectedLoss::AtMost { transactions },
        None => ExpectedLoss::Unknown {
            reason: "GTID sets of different kinds cannot be compared".to_owned(),
        },
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
