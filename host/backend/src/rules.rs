//! What facts mean, per kind: may a write go there now, and if not, why not. Pure; the sources are
//! the measured behaviour of each kind and its documentation.

mod history;
pub(crate) mod pair;

use std::collections::BTreeMap;

use baton_core::model::ProbeFailure;
use baton_core::time::Timestamp;
use baton_ports::{
    BackendCondition, BackendFacts, BackendProof, ConditionWord, GaleraFacts, GroupFacts, NdbFacts,
};

use crate::health::{ZERO_UUID, has_majority, is_rejecting};
use crate::progress::{Progress, Standing};

/// The past and the address of one node.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) address: &'a str,
    pub(crate) database: &'a str,
    pub(crate) progress: &'a Progress,
}

/// What is known beyond the nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory<'a> {
    /// Identity of the cluster once used.
    pub(crate) identity: Option<&'a str>,
    /// Highest lease epoch ever seen, and when it was seen first.
    pub(crate) epoch: Option<(u64, Timestamp)>,
    /// This backend had tables once.
    pub(crate) had_tables: bool,
    /// Highest version of the tables that this program can use.
    pub(crate) schema_version: u32,
}

/// The host's opinion of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A write would be accepted. `None` = never read.
    pub(crate) ready: Option<bool>,
    /// Conditions that do not hold.
    pub(crate) against: Vec<BackendCondition>,
    /// What a person should know although the node can be used.
    pub(crate) notes: Vec<BackendCondition>,
    /// How far its lease epoch lies behind the best of its backend.
    pub(crate) epoch_behind: Option<u32>,
}

/// Identity of the cluster that a node belongs to, as far as its kind tells.
pub(crate) fn identity(facts: &BackendFacts) -> Option<&str> {
    match facts {
        BackendFacts::Galera(facts) => {
            Some(facts.uuid.as_str()).filter(|uuid| *uuid != ZERO_UUID && !uuid.is_empty())
        }
        BackendFacts::Pair(_) => None,
        BackendFacts::Ndb(facts) => facts.system.as_deref(),
        BackendFacts::Group(facts) => facts.group.as_deref(),
    }
}

/// Judges the nodes of one backend together.
pub(crate) fn judge(subjects: &[Subject<'_>], memory: Memory<'_>) -> Vec<Verdict> {
    let reference = reference(subjects, memory);
    let mut verdicts: Vec<Verdict> = subjects
        .iter()
        .map(|subject| alone(*subject, memory, reference))
        .collect();
    pair::judge(subjects, &mut verdicts);
    history::judge(subjects, memory, &mut verdicts);
    cut_off(subjects, &mut verdicts);
    donors(&mut verdicts);
    verdicts
}

/// The cluster that is meant: the one used before, else the one that most nodes belong to, else the
/// first configured one's.
fn reference<'a>(subjects: &[Subject<'a>], memory: Memory<'a>) -> Option<&'a str> {
    if memory.identity.is_some() {
        return memory.identity;
    }
    let identities: Vec<&str> = subjects
        .iter()
        .filter_map(|subject| identity(subject.progress.facts()?))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for identity in &identities {
        *counts.entry(identity).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    identities
        .into_iter()
        .find(|identity| counts.get(identity) == Some(&most))
}

/// What can be said without looking at the others.
fn alone(subject: Subject<'_>, memory: Memory<'_>, reference: Option<&str>) -> Verdict {
    let progress = subject.progress;
    let mut verdict = Verdict::default();
    match progress.standing() {
        Standing::NotProbed => return verdict,
        Standing::Lost => {
            if let Some(failure) = progress.failure() {
                verdict.against(unreachable(subject, failure));
            }
            return verdict;
        }
        Standing::Answering | Standing::Suspect => {}
    }
    let Some((_, reading)) = &progress.reading else {
        return verdict;
    };
    verdict.ready = Some(true);
    let Ok(facts) = &reading.facts else {
        verdict.against(BackendCondition::of(
            ConditionWord::WrongKind,
            subject.address,
            "is a server of another kind than configured: correct the kind, or the address",
        ));
        return verdict;
    };
    by_kind(subject, facts, &mut verdict);
    if let (Some(own), Some(reference)) = (identity(facts), reference)
        && own != reference
    {
        let text = format!(
            "belongs to the cluster {own}, the others of the list (or the one used before) to {reference}: \
             remove what does not belong in the list; if the cluster was created anew, restart Baton"
        );
        verdict.against(BackendCondition::of(
            ConditionWord::ForeignCluster,
            subject.address,
            &text,
        ));
    }
    content(subject, memory, &mut verdict);
    if verdict.against.is_empty() && !progress.proven {
        verdict.against(unproven(subject));
    }
    verdict
}

impl Verdict {
    /// Adds a condition that forbids use.
    fn against(&mut self, condition: BackendCondition) {
        self.ready = Some(false);
        self.against.push(condition);
    }
}

fn by_kind(subject: Subject<'_>, facts: &BackendFacts, verdict: &mut Verdict) {
    match facts {
        BackendFacts::Galera(facts) => galera(subject, facts, verdict),
        BackendFacts::Pair(_) => {}
        BackendFacts::Ndb(facts) => ndb(subject, facts, verdict),
        BackendFacts::Group(facts) => group(subject, facts, verdict),
    }
}

fn galera(subject: Subject<'_>, facts: &GaleraFacts, verdict: &mut Verdict) {
    let mut say =
        |word, text: &str| verdict.against(BackendCondition::of(word, subject.address, text));
    if !facts.on {
        say(
            ConditionWord::WrongKind,
            "runs without Galera (no wsrep_provider): correct the kind, or start it as part of the cluster",
        );
        return;
    }
    if facts.uuid == ZERO_UUID {
        say(
            ConditionWord::ZeroUuid,
            "came up without knowing its position (its cluster's identity is all zeroes), so its data may \
             differ from the other nodes': stop it, recover the position (--wsrep-recover), and start it again",
        );
    }
    if !facts.primary {
        say(
            ConditionWord::NotPrimaryComponent,
            "sees no majority of its cluster: bring the missing nodes or the network back",
        );
    }
    match facts.local_state {
        4 => {}
        2 => say(
            ConditionWord::Donor,
            "is desynchronised: it feeds a joining node, is locked for a backup, or wsrep_desync is ON",
        ),
        1 | 3 => say(
            ConditionWord::Joining,
            "is joining its cluster: wait until the transfer of state has ended",
        ),
        _ => say(
            ConditionWord::Joining,
            "is not part of a cluster at the moment",
        ),
    }
    if !facts.ready && facts.primary && facts.local_state == 4 {
        say(
            ConditionWord::NotReady,
            "does not take queries yet or any more (wsrep_ready is OFF)",
        );
    }
    if is_rejecting(facts) {
        say(
            ConditionWord::RejectingQueries,
            "refuses queries by order of an operator: SET GLOBAL wsrep_reject_queries=NONE",
        );
    }
    if facts.read_only {
        say(
            ConditionWord::ReadOnly,
            "is read-only: SET GLOBAL read_only=0",
        );
    }
}

fn ndb(subject: Subject<'_>, facts: &NdbFacts, verdict: &mut Verdict) {
    let mut say =
        |word, text: &str| verdict.against(BackendCondition::of(word, subject.address, text));
    match (facts.ready_nodes, facts.data_nodes) {
        (None, _) => {
            say(
                ConditionWord::WrongKind,
                "is no SQL node of MySQL Cluster: correct the kind, or start it with --ndbcluster",
            );
            return;
        }
        (Some(0), _) => say(
            ConditionWord::NoDataNodes,
            "reaches no data node: start ndbd on their hosts, and look whether the management server runs",
        ),
        (Some(ready), Some(configured)) if ready < configured => {
            let text = format!(
                "reaches {ready} of {configured} data nodes: one more failure stops the backend"
            );
            verdict.notes.push(BackendCondition::of(
                ConditionWord::DataNodesMissing,
                subject.address,
                &text,
            ));
        }
        (Some(_), _) => {}
    }
    if facts.read_only || facts.super_read_only {
        verdict.against(BackendCondition::of(
            ConditionWord::ReadOnly,
            subject.address,
            "is read-only: SET GLOBAL super_read_only=0, and read_only=0",
        ));
    }
}

fn group(subject: Subject<'_>, facts: &GroupFacts, verdict: &mut Verdict) {
    let mut say =
        |word, text: &str| verdict.against(BackendCondition::of(word, subject.address, text));
    if facts.group.is_none() {
        say(
            ConditionWord::WrongKind,
            "is no member of a replication group: correct the kind, or start the plugin",
        );
        return;
    }
    match facts.state.as_str() {
        "ONLINE" => {}
        "RECOVERING" => say(ConditionWord::Joining, "is catching up with its group"),
        "OFFLINE" => say(
            ConditionWord::NotMember,
            "has left its group, or never joined: START GROUP_REPLICATION",
        ),
        state => {
            let text = format!(
                "is in state {state} in its group: see its error log; it may have to be started again"
            );
            say(ConditionWord::NotMember, &text);
        }
    }
    if facts.state == "ONLINE" && !has_majority(facts) {
        let text = format!(
            "sees {} of {} members, which is no majority: bring the others or the network back",
            facts.seen, facts.members
        );
        say(ConditionWord::NoQuorum, &text);
    }
    if facts.offline {
        say(
            ConditionWord::Offline,
            "is in offline mode: SET GLOBAL offline_mode=0",
        );
    }
    if facts.state == "ONLINE" && !facts.primary {
        say(
            ConditionWord::NotPrimary,
            "is a secondary of its group; writes go to the primary",
        );
    } else if facts.super_read_only || facts.read_only {
        say(
            ConditionWord::ReadOnly,
            "is read-only: SET GLOBAL super_read_only=0, and read_only=0",
        );
    }
}

/// What the tables say.
fn content(subject: Subject<'_>, memory: Memory<'_>, verdict: &mut Verdict) {
    let Some((_, content)) = &subject.progress.content else {
        return;
    };
    if content.no_database {
        let text = format!("has no database {0}: CREATE DATABASE {0}", subject.database);
        verdict.against(BackendCondition::of(
            ConditionWord::NoDatabase,
            subject.address,
            &text,
        ));
    }
    if content.denied {
        let text = format!(
            "does not let Baton's account read the database {}: grant it all rights there",
            subject.database
        );
        verdict.against(BackendCondition::of(
            ConditionWord::NoRights,
            subject.address,
            &text,
        ));
    }
    if let Some(to) = &content.moved_to {
        let text = format!(
            "holds the state as it was before it was moved to {to}: use that one; `baton backend move` moves it back"
        );
        verdict.against(BackendCondition::of(
            ConditionWord::Moved,
            subject.address,
            &text,
        ));
    }
    if content.closed {
        let text = "holds a copy of the state that is not whole or not in use yet: if no move is under way, move the state \
                    again, or drop Baton's tables there";
        verdict.against(BackendCondition::of(
            ConditionWord::ClosedCopy,
            subject.address,
            text,
        ));
    }
    if let Some(found) = content
        .schema
        .filter(|found| *found > memory.schema_version)
    {
        let text = format!(
            "holds tables of version {found}, and this program knows versions up to {}: run the newer program here, too",
            memory.schema_version
        );
        verdict.against(BackendCondition::of(
            ConditionWord::SchemaNewer,
            subject.address,
            &text,
        ));
    }
}

fn unproven(subject: Subject<'_>) -> BackendCondition {
    let text = match &subject.progress.proof {
        Some((_, BackendProof::Refused(number))) => format!(
            "looks usable, but a read through its cluster failed with error {number}: wait, or see its error log"
        ),
        Some((_, BackendProof::Late)) => {
            "looks usable, but a read through its cluster does not come back: look at its network"
                .to_owned()
        }
        Some((_, BackendProof::Held | BackendProof::NotTried)) | None => {
            "has to answer well for a while before it is used again".to_owned()
        }
    };
    BackendCondition::of(ConditionWord::NotProven, subject.address, &text)
}

/// A node whose proofs do not come back while another's do is cut off; if nobody's do, the cluster
/// stalls, and waiting is all that can be done. A proof of the other counts if it lies between two
/// of the node's that did not come back: the end of a stall does not reach all nodes at the same
/// moment.
fn cut_off(subjects: &[Subject<'_>], verdicts: &mut [Verdict]) {
    let held: Vec<Timestamp> = subjects
        .iter()
        .filter_map(|subject| match subject.progress.proof {
            Some((ended, BackendProof::Held)) => Some(ended),
            _ => None,
        })
        .collect();
    for (subject, verdict) in subjects.iter().zip(verdicts) {
        let is_cut_off = subject.progress.late.is_some_and(|late| {
            held.iter()
                .any(|ended| late.first < *ended && *ended < late.last)
        });
        if is_cut_off && verdict.ready == Some(true) {
            verdict.against(unproven(*subject));
        }
    }
}

/// A donor is used if nothing better is there.
fn donors(verdicts: &mut [Verdict]) {
    if verdicts.iter().any(|verdict| verdict.ready == Some(true)) {
        return;
    }
    for verdict in verdicts {
        let is_donor =
            matches!(verdict.against.as_slice(), [only] if only.word == ConditionWord::Donor);
        if is_donor {
            verdict.ready = Some(true);
            verdict.notes.append(&mut verdict.against);
        }
    }
}

fn unreachable(subject: Subject<'_>, failure: &ProbeFailure) -> BackendCondition {
    let text = match failure {
        ProbeFailure::Refused => {
            "refuses connections: its server does not run, or listens elsewhere".to_owned()
        }
        ProbeFailure::Reset => {
            "ended the connection: look whether its server has just crashed".to_owned()
        }
        ProbeFailure::Timeout(_) => {
            "does not answer in time: the server hangs, or the network drops packets".to_owned()
        }
        ProbeFailure::NoRoute => "cannot be reached: the network knows no way to it".to_owned(),
        ProbeFailure::Dns => "has a name that does not resolve".to_owned(),
        ProbeFailure::Tls => "and Baton do not agree on encryption".to_owned(),
        ProbeFailure::Authentication { number } => {
            format!(
                "does not accept Baton's account (error {number}): correct user, password or grants there"
            )
        }
        ProbeFailure::TooManyConnections => {
            "has no connection left: raise max_connections".to_owned()
        }
        ProbeFailure::HostBlocked => "has blocked this host: FLUSH HOSTS there".to_owned(),
        ProbeFailure::ShuttingDown => "is shutting down".to_owned(),
        ProbeFailure::NotMysql => {
            "does not speak the MySQL protocol: correct the address".to_owned()
        }
        ProbeFailure::Statement { number } => {
            format!(
                "refuses what the probe asks (error {number}): see the rights that Baton's account needs"
            )
        }
        ProbeFailure::ReceiverWaitsForSpace => {
            "has no space for what it receives: free disk space there".to_owned()
        }
        ProbeFailure::Other(text) => format!("fails: {text}"),
    };
    BackendCondition::of(ConditionWord::Unreachable, subject.address, &text)
}

#[cfg(test)]
mod tests;
