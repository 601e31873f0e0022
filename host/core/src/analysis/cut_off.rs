//! The primary answers us, and its replicas cannot reach it: the network between the servers is
//! cut. Where commits wait for acknowledgements nobody can commit until it heals, and no new source
//! helps: only another primary does.

use std::time::Duration;

use super::context::{Context, ReportBuilder, evidence, in_words, listed};
use super::finding_codes::Code;
use super::replica_evidence::is_cut_off;
use super::report::{Evidence, ProbeRequest, Severity};
use super::stalled_replicas::{Attempt, attempt, cannot_reach_source};
use super::writers::unless_rivals;
use crate::ids::ServerId;
use crate::model::{Edge, Reach, RecoveryKind, SemiSync, Server, ThreadState};
use crate::policy::Suggestion;
use crate::time::Timestamp;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[primary_without_replicas, starving];

/// Commits wait for so long before a receiver that looks connected is made to connect anew, to see
/// whether it is.
const ASK_AFTER: Duration = Duration::from_millis(1500);
/// A primary that goes on without acknowledgements after less than this is not replaced for the
/// lack of them.
const HOLDS_COMMITS_FOR: Duration = Duration::from_mins(1);
/// From then on, a receiver that runs and receives nothing although there is something is a
/// finding.
const STARVES_AFTER: Duration = Duration::from_secs(5);

/// All replicas of a primary that answers have lost it.
pub(super) fn primary_without_replicas(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary().filter(|primary| cx.answers(&primary.id)) else {
        return;
    };
    if cx.topology.co_primary_of(&primary.id).is_some() {
        return;
    }
    let wait = Wait::of(cx, primary);
    let Some(followers) = Followers::of(cx, primary, wait.as_ref()) else {
        return;
    };
    if followers.cut.is_empty() {
        if let Some(wait) = wait.filter(|wait| wait.lasts >= ASK_AFTER) {
            ask_one_that_looks_connected(cx, report, &followers, &wait, primary);
        }
        return;
    }
    let mut found = followers.evidence();
    let is_tested = try_again(cx, report, &followers, primary, &mut found);
    let (severity, suggestion) = match &wait {
        None => {
            let text = format!("{} commits without them.", primary.id);
            found.push(evidence("goes-on-alone", text, [&primary.id]));
            (Severity::Warning, Suggestion::Hold)
        }
        Some(wait) => {
            let suggestion = answer(cx, primary, wait, is_tested, &mut found);
            (Severity::Critical, suggestion)
        }
    };
    let answer = (suggestion, RecoveryKind::Failover);
    let code = Code::PrimaryReplicasCannotConnect;
    report.propose_recovery_as(severity, code, &primary.id, answer, found);
}

/// Sessions of the primary that wait for acknowledgements.
struct Wait<'s> {
    since: Timestamp,
    lasts: Duration,
    semi_sync: &'s SemiSync,
}

impl<'s> Wait<'s> {
    fn of(cx: &Context<'s>, primary: &'s Server) -> Option<Self> {
        let semi_sync = cx.current(&primary.id)?.semi_sync.as_ref()?;
        let since = primary.commits_wait_since?;
        semi_sync.has_waiting_sessions().then(|| Self {
            since,
            lasts: cx.now().since(since),
            semi_sync,
        })
    }
}

/// Whether another primary is to be made: the lock has lasted, does not end by itself, and is no
/// matter of the next attempt.
fn answer(
    cx: &Context<'_>,
    primary: &Server,
    wait: &Wait<'_>,
    is_tested: bool,
    found: &mut Vec<Evidence>,
) -> Suggestion {
    let id = &primary.id;
    let (lasts, limit) = (wait.lasts, cx.settings.semi_sync_stall_limit);
    let text = format!(
        "{} sessions on {id} have waited for acknowledgements for {}, limit {}.",
        wait.semi_sync.waiting_sessions,
        in_words(lasts),
        in_words(limit)
    );
    found.push(evidence("acknowledgements-missing", text, [id]));
    if !wait.semi_sync.holds_commits_for(HOLDS_COMMITS_FOR) {
        let text = format!("{id} goes on without acknowledgements by itself.");
        found.push(evidence("goes-on-alone", text, [id]));
        return Suggestion::Hold;
    }
    if !is_tested || lasts < limit {
        return Suggestion::Wait;
    }
    unless_rivals(cx, id, found)
}

/// The replicas of a primary, none of which is known to receive from it.
struct Followers<'s> {
    /// Cannot connect to it.
    cut: Vec<&'s Edge>,
    /// Look connected, and nothing came since commits began to wait.
    attached: Vec<&'s Edge>,
    /// Do not answer.
    silent: Vec<&'s ServerId>,
}

impl<'s> Followers<'s> {
    /// `None` if one of them receives from the primary, was stopped, is refused by it, or cannot be
    /// judged.
    fn of(cx: &'s Context<'_>, primary: &'s Server, wait: Option<&Wait<'_>>) -> Option<Self> {
        let mut followers = Self {
            cut: Vec::new(),
            attached: Vec::new(),
            silent: Vec::new(),
        };
        for edge in cx.edges_below(&primary.id) {
            let replica = cx.server(&edge.replica)?;
            match replica.probe.reach() {
                Reach::Silent => followers.silent.push(&edge.replica),
                Reach::Answering if is_cut(cx, replica, edge) => followers.cut.push(edge),
                Reach::Answering if is_mute(replica, edge, wait?) => followers.attached.push(edge),
                Reach::NotProbed | Reach::Partial | Reach::Answering => return None,
            }
        }
        Some(followers)
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut found = Vec::new();
        let mut say = |code, text: &str, who: Vec<&ServerId>| {
            if !who.is_empty() {
                let text = format!("{}: {text}.", listed(who.iter().copied()));
                found.push(evidence(code, text, who));
            }
        };
        let ids = |edges: &[&'s Edge]| edges.iter().map(|edge| &edge.replica).collect();
        say(
            "cannot-connect",
            "the receiver cannot connect",
            ids(&self.cut),
        );
        say(
            "receiver-still-connected",
            "connected, nothing came since commits wait",
            ids(&self.attached),
        );
        say("replica-silent", "does not answer", self.silent.clone());
        found
    }
}

/// The receiver cannot connect; or its source did not even let it go when it was made to connect
/// anew.
fn is_cut(cx: &Context<'_>, replica: &Server, edge: &Edge) -> bool {
    if is_cut_off(&edge.channel) {
        return true;
    }
    let channel = &edge.channel.name;
    let signs = [replica.reconnected_on(channel), replica.heard_on(channel)];
    replica.reconnect_failed_on(channel).is_some_and(|failed| {
        cx.is_recent(failed) && signs.into_iter().flatten().all(|sign| sign < failed)
    })
}

/// The receiver runs, and shows no sign that it reaches its source since commits wait there.
fn is_mute(replica: &Server, edge: &Edge, wait: &Wait<'_>) -> bool {
    let channel = &edge.channel;
    let accepted = replica.reconnected_on(&channel.name);
    let signs = [accepted, replica.heard_on(&channel.name)];
    channel.receiver == ThreadState::Running
        && !cannot_reach_source(channel)
        && signs.into_iter().flatten().all(|sign| sign <= wait.since)
}

/// Whether one that cannot connect has tried again in vain; if not, one of them is to.
fn try_again(
    cx: &Context<'_>,
    report: &mut ReportBuilder,
    followers: &Followers<'_>,
    primary: &Server,
    found: &mut Vec<Evidence>,
) -> bool {
    let attempts = followers.cut.iter().map(|edge| (attempt(cx, edge), *edge));
    let Some((attempt, edge)) = attempts.min_by_key(|(attempt, _)| *attempt) else {
        return false;
    };
    if attempt == Attempt::Failed {
        return true;
    }
    let text = format!(
        "{} is to try again now, not at its next attempt.",
        edge.replica
    );
    found.push(evidence("reconnect-to-living", text, [&edge.replica]));
    reconnect(report, attempt, edge, &primary.id);
    false
}

/// Nobody has noticed a cut connection yet. One receiver connects anew, once: a primary that it
/// reaches has another trouble.
fn ask_one_that_looks_connected(
    cx: &Context<'_>,
    report: &mut ReportBuilder,
    followers: &Followers<'_>,
    wait: &Wait<'_>,
    primary: &Server,
) {
    let was_asked = followers.attached.iter().any(|edge| {
        let replica = cx.server(&edge.replica);
        let asked = replica.and_then(|replica| replica.reconnected_on(&edge.channel.name));
        asked.is_some_and(|at| at >= wait.since)
    });
    if was_asked {
        return;
    }
    let mut able = followers
        .attached
        .iter()
        .filter(|edge| keeps_its_logs(edge));
    if let Some(edge) = able.next() {
        reconnect(report, Attempt::None, edge, &primary.id);
    }
}

/// A replica that restarts its receiver while its applier stands still may throw its relay logs
/// away (MariaDB).
fn keeps_its_logs(edge: &Edge) -> bool {
    edge.channel.applier == ThreadState::Running
}

fn reconnect(report: &mut ReportBuilder, attempt: Attempt, edge: &Edge, source: &ServerId) {
    match attempt {
        Attempt::Failed | Attempt::UnderWay => {
            report.reads.insert(edge.replica.clone());
        }
        Attempt::None if keeps_its_logs(edge) => {
            report.reconnects.insert(ProbeRequest::ReconnectReceiver {
                server: edge.replica.clone(),
                channel: edge.channel.name.clone(),
                source: source.clone(),
            });
        }
        Attempt::None => {}
    }
}

/// A receiver shows as running and receives nothing, although its source, which answers, has more
/// for it.
pub(super) fn starving(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in cx.servers().filter(|server| cx.answers(&server.id)) {
        let starves = |edge: &&Edge| {
            let source = edge.source.as_ref();
            let since = server.starving_since(&edge.channel.name);
            source.is_some_and(|source| cx.answers(source))
                && since.is_some_and(|since| cx.now().since(since) >= STARVES_AFTER)
        };
        let edges = cx.topology.channels_of(&server.id).iter();
        let found: Vec<Evidence> = edges
            .filter(starves)
            .map(|edge| {
                let source = edge.source.iter();
                let text = format!(
                    "The receiver of {} shows as running, and nothing arrives from {}, which has more.",
                    server.id,
                    listed(source)
                );
                evidence("receives-nothing", text, [&server.id])
            })
            .collect();
        if !found.is_empty() {
            let code = Code::ReplicaReceivesNothing;
            report.note(code, &server.id, Severity::Warning, found);
        }
    }
}
