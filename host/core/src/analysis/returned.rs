//! A former primary that is back: what proves that it was replaced, and what speaks against fencing
//! it.

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::primary::is_severed;
use super::report::{Evidence, PrimaryView, Severity};
use crate::gtid::GtidSet;
use crate::ids::ServerId;
use crate::model::{Closed, Reach, RecoveryKind, Server, ServerFacts, ThreadState};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[old_primary_returned];

/// A server answers that is no part of the topology, or that takes writes although a recovery
/// replaced it.
///
/// Only one that is *proven* to be a replaced primary is closed and taken back by itself. Whatever
/// else is outside the topology is there because somebody wanted that: a replica that is being
/// promoted, or rebuilt, or a server of another cluster.
pub(super) fn old_primary_returned(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    for server in cx.servers().filter(|server| server.id != primary.id) {
        if let Some(facts) = cx.current(&server.id) {
            match cx.current(&primary.id) {
                Some(primary_facts) => {
                    let primary = (primary, primary_facts);
                    beside_primary(cx, (server, facts), primary, report);
                }
                None => without_primary(cx, (server, facts), primary, report),
            }
        }
    }
}

/// The primary answers.
fn beside_primary(
    cx: &Context<'_>,
    (server, facts): (&Server, &ServerFacts),
    (primary, primary_facts): (&Server, &ServerFacts),
    report: &mut ReportBuilder,
) {
    let writable = facts.is_writable();
    let replaced = replaced_on_record(cx, server);
    // Two that were replaced one after the other and replicate from each other, as a pair did, are
    // no part of it either.
    let attached = cx.has_member_source(&server.id)
        && (replaced.is_none() || cx.topology.subtree(&primary.id).contains(&server.id));
    if attached && !(writable && replaced.is_some()) {
        return;
    }
    let recorded = replaced.is_some();
    let proof = replaced
        .or_else(|| set_aside((server, facts)))
        .or_else(|| older_history((server, facts), (primary, primary_facts)));
    let proven = proof.is_some();
    let mut found = Vec::new();
    found.extend((!attached).then(|| outside(server, writable)));
    found.extend(proof);
    let objections = objections(
        cx,
        (server, facts),
        (primary, primary_facts),
        (proven, recorded),
    );
    let suggestion = if objections.is_empty() {
        Suggestion::Act
    } else {
        Suggestion::Hold
    };
    found.extend(objections);
    let (code, severity) = match (proven, writable) {
        (true, true) => (Code::OldPrimaryReturned, Severity::Critical),
        (true, false) => (Code::OldPrimaryReturned, Severity::Warning),
        (false, true) if !cx.bounds.is_apart(&server.id) => {
            (Code::SomebodyPromotes, Severity::Warning)
        }
        (false, _) => (Code::ServerDetached, Severity::Notice),
    };
    let answer = (suggestion, RecoveryKind::Rejoin);
    report.propose_recovery_as(severity, code, &server.id, answer, found);
}

/// The primary does not answer: what it took since it replaced `server` is there only, or with its
/// replicas.
fn without_primary(
    cx: &Context<'_>,
    (server, facts): (&Server, &ServerFacts),
    primary: &Server,
    report: &mut ReportBuilder,
) {
    let Some(replaced) = replaced_on_record(cx, server) else {
        return;
    };
    if primary.probe.reach() == Reach::NotProbed {
        return;
    }
    let writable = facts.is_writable();
    if !writable && cx.has_member_source(&server.id) {
        return;
    }
    let text = format!(
        "{} does not answer: {} is not opened instead, because what {} took since may be there only.",
        primary.id, server.id, primary.id
    );
    let mut found = vec![
        replaced,
        evidence("waits-for-successor", text, [&primary.id]),
    ];
    let (severity, suggestion) = if writable {
        let follows = if server.quarantined {
            followed_as_much(cx, &server.id, &primary.id)
        } else {
            None
        };
        let suggestion = match &follows {
            Some(_) => Suggestion::Hold,
            None => Suggestion::Act,
        };
        found.extend(follows);
        (Severity::Critical, suggestion)
    } else {
        (Severity::Warning, Suggestion::Hold)
    };
    let answer = (suggestion, RecoveryKind::Rejoin);
    report.propose_recovery_as(
        severity,
        Code::OldPrimaryReturned,
        &server.id,
        answer,
        found,
    );
}

/// What speaks against fencing. What others read from it is no objection against a server that was
/// replaced on record: that is how a partition leaves them. One that was set aside since may have
/// got its followers from a person.
fn objections(
    cx: &Context<'_>,
    (server, facts): (&Server, &ServerFacts),
    (primary, primary_facts): (&Server, &ServerFacts),
    (proven, recorded): (bool, bool),
) -> Vec<Evidence> {
    let doubtful = !recorded || server.quarantined;
    let read_by = |say: fn(&Context<'_>, &ServerId, &ServerId) -> Option<Evidence>| {
        doubtful.then(|| say(cx, &server.id, &primary.id)).flatten()
    };
    // Its configuration closed it: it is to be opened again, and the one that it replaced is not to
    // take its writes meanwhile.
    let restarted = recorded && matches!(primary.closed, Closed::ByRestart | Closed::AtStart);
    let objections = [
        (!proven).then(|| {
            let text = format!(
                "Nothing proves that {} was a primary of this cluster that was replaced.",
                server.id
            );
            evidence("not-proven", text, [&server.id])
        }),
        (primary_facts.read_only && !restarted).then(|| {
            let text = format!("The primary {} is read-only.", primary.id);
            evidence("primary-read-only", text, [&primary.id])
        }),
        read_by(followed_as_much),
        read_by(read_beside),
        (server.quarantined && facts.read_only).then(|| {
            let text = format!("{} is set aside already.", server.id);
            evidence("quarantined", text, [&server.id])
        }),
    ];
    objections.into_iter().flatten().collect()
}

/// The recovery that replaced `server`, as evidence.
fn replaced_on_record(cx: &Context<'_>, server: &Server) -> Option<Evidence> {
    let PrimaryView::Recorded(primary) = &cx.view else {
        return None;
    };
    let about = cx.snapshot.replacement_of(&server.id)?;
    let successor = about.successor.as_ref()?;
    let text = format!(
        "{} was replaced by {successor} in {} {}, and not taken back since.",
        server.id,
        about.kind.word(),
        about.id
    );
    Some(evidence("replaced-on-record", text, [&server.id, primary]))
}

/// Baton closed it and set it aside, and nobody has released it since. What is read-only already
/// stays as it is.
fn set_aside((server, facts): (&Server, &ServerFacts)) -> Option<Evidence> {
    (server.quarantined && facts.is_writable()).then(|| {
        let text = format!("{} was set aside and not released since.", server.id);
        evidence("quarantined", text, [&server.id])
    })
}

/// A history that proves a replaced primary without a record: the server wrote transactions, the
/// primary has all it has, and has written some itself, none of which the server has. A replica
/// that a person opens or resets has those of its primary.
fn older_history(
    (server, facts): (&Server, &ServerFacts),
    (primary, primary_facts): (&Server, &ServerFacts),
) -> Option<Evidence> {
    let (own, present) = (&facts.executed, &primary_facts.executed);
    let was_primary = facts.has_written_in(own);
    let ends_before = primary_facts.has_written_in(present) && !primary_facts.has_written_in(own);
    let is_contained = GtidSet::errant(own, present).is_none();
    (was_primary && ends_before && is_contained).then(|| {
        let text = format!(
            "{} wrote transactions of this cluster, has none that {} lacks, and none that {} wrote.",
            server.id, primary.id, primary.id
        );
        evidence("older-history", text, [&server.id, &primary.id])
    })
}

/// If somebody reads from `server` beside another source, with a channel in whatever state: that is
/// how a person made it, and nothing that a failover leaves behind.
fn read_beside(cx: &Context<'_>, server: &ServerId, _primary: &ServerId) -> Option<Evidence> {
    let from_others = |replica: &ServerId| {
        let mut sources = cx.topology.channels_of(replica).iter();
        sources.any(|edge| edge.source.as_ref().is_some_and(|other| other != server))
    };
    let readers: Vec<&ServerId> = cx
        .edges_below(server)
        .map(|edge| &edge.replica)
        .filter(|replica| from_others(replica) || cx.is_primary(replica))
        .collect();
    (!readers.is_empty()).then(|| {
        let text = format!(
            "{} read from {server} beside another source.",
            listed(readers.iter().copied())
        );
        evidence("one-of-several-sources", text, readers)
    })
}

/// If as many servers follow `server` as the primary, it may be the record that is wrong.
fn followed_as_much(cx: &Context<'_>, server: &ServerId, primary: &ServerId) -> Option<Evidence> {
    let followers = |source| -> Vec<&ServerId> {
        cx.edges_below(source)
            .filter(|edge| match edge.channel.receiver {
                ThreadState::Running | ThreadState::Connecting => cx.answers(&edge.replica),
                ThreadState::Stopped | ThreadState::Unknown => false,
            })
            .filter(|edge| !is_severed(cx.snapshot, edge))
            .map(|edge| &edge.replica)
            .collect()
    };
    let (of_it, of_primary) = (followers(server), followers(primary));
    let in_doubt = !of_it.is_empty() && of_it.len() >= of_primary.len();
    in_doubt.then(|| {
        let text = format!(
            "{} servers follow {server}, {} follow {primary}.",
            of_it.len(),
            of_primary.len()
        );
        evidence("has-followers", text, of_it)
    })
}

fn outside(server: &Server, writable: bool) -> Evidence {
    let how = if writable {
        "takes writes"
    } else {
        "is read-only"
    };
    let text = format!(
        "{} answers, {how} and replicates from no member.",
        server.id
    );
    evidence("outside-the-topology", text, [&server.id])
}
