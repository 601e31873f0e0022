//! A primary that is read-only while nobody else takes writes: whether it is the one to take them
//! again.

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::report::{Evidence, PrimaryView};
use super::writers::writers;
use crate::ids::ServerId;
use crate::model::{Bounds, Closed, RecoveryKind, Server, ServerFacts, Snapshot, Topology};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[no_writable_primary];

/// Objections that a person who orders it answers: nobody knows better than they who closed the
/// server, or what an absent one has.
const ANSWERED_BY_ORDER: [&str; 4] = [
    "closed-by-hand",
    "closing-not-seen",
    "member-not-seen",
    "lacks-what-was-seen",
];

/// The primary is read-only, and nobody else takes writes who could be one.
pub(super) fn no_writable_primary(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let read_only = cx.current(&primary.id).is_some_and(|facts| facts.read_only);
    let writing: Vec<&ServerId> = writers(cx).map(|server| &server.id).collect();
    let paired = |id: &ServerId| cx.topology.co_primary_of(id).is_some();
    let leads = |id: &&ServerId| !cx.has_member_source(id) || paired(id);
    if !read_only || writing.iter().any(leads) || !cx.unprobed().is_empty() {
        return;
    }
    let code = Code::NoWritablePrimary;
    if !writing.is_empty() {
        // A replica that was opened and still replicates was not promoted. What it wrote since then
        // no other server has.
        let text = format!(
            "{} is read-only, and {} takes writes beside it and still replicates: open the one and close the other.",
            primary.id,
            listed(writing.iter().copied())
        );
        let found = vec![evidence("writable", text, writing)];
        let suggestion = (Suggestion::Hold, RecoveryKind::Reopen);
        return report.propose_recovery(code, &primary.id, suggestion, found);
    }
    let text = format!(
        "{} is read-only, and no server that answers is writable.",
        primary.id
    );
    let mut found = vec![evidence("read-only", text, [&primary.id])];
    let PrimaryView::Recorded(_) = &cx.view else {
        let suggestion = (Suggestion::Hold, RecoveryKind::Reopen);
        return report.propose_recovery(code, &primary.id, suggestion, found);
    };
    let objections = reopening_objections(cx.snapshot, &primary.id);
    let suggestion = if objections.is_empty() {
        let text = format!(
            "{} is the recorded primary, was restarted, and has everything that anybody who answers has.",
            primary.id
        );
        found.push(evidence("restarted-read-only", text, [&primary.id]));
        Suggestion::Act
    } else {
        Suggestion::Hold
    };
    found.extend(objections);
    report.propose_recovery(code, &primary.id, (suggestion, RecoveryKind::Reopen), found);
}

/// What speaks against opening the recorded primary again, as far as a person's order does not
/// answer it.
pub fn objections_to_ordered_reopening(snapshot: &Snapshot, primary: &ServerId) -> Vec<Evidence> {
    let mut objections = reopening_objections(snapshot, primary);
    objections.retain(|objection| !ANSWERED_BY_ORDER.contains(&objection.code));
    objections
}

/// What speaks against opening the recorded primary again.
pub fn reopening_objections(snapshot: &Snapshot, primary: &ServerId) -> Vec<Evidence> {
    let mut found = Vec::new();
    let Some(server) = snapshot.servers.get(primary) else {
        return vec![evidence(
            "not-read-since",
            format!("{primary} is not known."),
            [primary],
        )];
    };
    if snapshot.cluster.primary.as_ref() != Some(primary) {
        let text = format!("{primary} is not the recorded primary.");
        found.push(evidence("no-primary-recorded", text, [primary]));
    }
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    found.extend(how_closed(snapshot, server));
    if server.quarantined {
        let text = format!("{primary} is set aside.");
        found.push(evidence("quarantined", text, [primary]));
    }
    if let Some(edge) = bounds
        .outer(&topology, primary)
        .find(|edge| edge.is_in_use())
    {
        let text = format!(
            "{primary} reads from another cluster on channel '{}'.",
            edge.channel.name
        );
        found.push(evidence("reads-from-elsewhere", text, [primary]));
    }
    for (holder, count) in bounds.ahead_of(snapshot, &topology, primary) {
        let text = format!("{holder} has {count} transactions that {primary} lacks.");
        found.push(evidence("others-have-more", text, [&holder, primary]));
    }
    found.extend(lacks_what_was_seen(snapshot, primary));
    let unseen: Vec<&ServerId> = snapshot
        .servers
        .values()
        .filter(|other| other.id != *primary && !bounds.is_apart(&other.id))
        .filter(|other| may_have_been_promoted(snapshot, other))
        .map(|other| &other.id)
        .collect();
    if !unseen.is_empty() {
        let text = format!(
            "{}: does not answer, and nobody knows whether it was promoted since.",
            listed(unseen.iter().copied())
        );
        found.push(evidence("member-not-seen", text, unseen));
    }
    found
}

/// What some member had, or the primary acknowledged, and is gone from here: it lost the end of its
/// log, perhaps, and one that does not answer has it.
fn lacks_what_was_seen(snapshot: &Snapshot, primary: &ServerId) -> Option<Evidence> {
    let highest = snapshot.highest.as_ref()?;
    let own = snapshot.facts(primary)?.possessed();
    let lacking = own.missing_count(highest).filter(|count| *count > 0)?;
    let text = format!("{primary} lacks {lacking} transactions that were seen before.");
    Some(evidence("lacks-what-was-seen", text, [primary]))
}

/// A person who closes a server wants it closed; a restart is nobody's wish.
fn how_closed(snapshot: &Snapshot, server: &Server) -> Option<Evidence> {
    let id = &server.id;
    let by_hand = || {
        let text = format!("{id} was closed while it ran: somebody wanted that.");
        evidence("closed-by-hand", text, [id])
    };
    let not_seen = || {
        let text = format!("Nobody saw how {id} was closed.");
        evidence("closing-not-seen", text, [id])
    };
    match server.closed {
        Closed::ByRestart => None,
        Closed::AtStart if took_over_last(snapshot, id) => None,
        Closed::AtStart | Closed::Unknown => Some(not_seen()),
        Closed::WhileRunning => Some(by_hand()),
    }
}

/// Whether the last change of primary on record made it one: it did take writes.
fn took_over_last(snapshot: &Snapshot, id: &ServerId) -> bool {
    let mut past = snapshot.control.past.iter();
    let last = past.find(|past| past.promoted);
    last.is_some_and(|last| last.successor.as_ref() == Some(id))
}

/// A member that does not answer, and was not last seen as a replica, nor replaced on record.
fn may_have_been_promoted(snapshot: &Snapshot, server: &Server) -> bool {
    let last_seen_closed = server.last_facts().is_some_and(|facts| facts.read_only);
    !server.answers() && !last_seen_closed && snapshot.replacement_of(&server.id).is_none()
}

/// Whether a server answers and is read-only.
pub fn is_closed(snapshot: &Snapshot, server: &ServerId) -> bool {
    let found = snapshot.servers.get(server);
    found.is_some_and(|server| {
        server.answers()
            && server
                .last_facts()
                .is_some_and(|facts: &ServerFacts| facts.read_only)
    })
}
