//! Who takes writes, and who should.

use super::context::{Context, ReportBuilder, evidence, listed};
use super::finding_codes::Code;
use super::report::{Evidence, PrimaryView, Severity};
use crate::ids::ServerId;
use crate::model::{Channel, Edge, Server, ServerFacts};
use crate::policy::Suggestion;

/// The rules of this file.
pub(super) const RULES: &[super::Rule] = &[
    split_brain,
    primary_unknown,
    primary_moved,
    writable_replicas,
    privileged_writers,
];

/// Members of the cluster that answer and take writes.
pub(super) fn writers<'s>(cx: &'s Context<'_>) -> impl Iterator<Item = &'s Server> {
    cx.servers().filter(|server| {
        server.current_facts().is_some_and(ServerFacts::is_writable)
            && !cx.bounds.is_apart(&server.id)
    })
}

/// More than one server takes writes, and they do not get each other's as replicas do.
pub(super) fn split_brain(cx: &Context<'_>, report: &mut ReportBuilder) {
    let writing: Vec<&Server> = writers(cx)
        .filter(|server| {
            cx.is_primary(&server.id)
                || !cx.has_member_source(&server.id)
                || cx.topology.co_primary_of(&server.id).is_some()
        })
        .collect();
    let primary = writing
        .iter()
        .find(|server| cx.is_primary(&server.id))
        .copied();
    let Some(first) = primary.or(writing.first().copied()) else {
        return;
    };
    let others: Vec<&ServerId> = writing
        .iter()
        .map(|server| &server.id)
        .filter(|id| **id != first.id)
        .collect();
    if others.is_empty() {
        return;
    }
    let paired = |id: &&ServerId| cx.topology.are_co_primaries(&first.id, id);
    let severity = if others.iter().all(paired) {
        Severity::Warning
    } else {
        Severity::Critical
    };
    let mut found = Vec::new();
    let mut say = |code, text: &str, who: Vec<&ServerId>| {
        if !who.is_empty() {
            let text = format!("{} {text} {}.", listed(who.iter().copied()), first.id);
            found.push(evidence(code, text, who));
        }
    };
    let (pair, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|id| paired(id));
    say("also-writable", "takes writes apart from", rest);
    say("co-primary-writable", "takes writes as co-primary of", pair);
    report.note(Code::SplitBrain, &first.id, severity, found);
}

/// No server can be called the primary.
pub(super) fn primary_unknown(cx: &Context<'_>, report: &mut ReportBuilder) {
    let PrimaryView::Unknown(candidates) = &cx.view else {
        return;
    };
    let Some(about) = candidates
        .first()
        .or_else(|| cx.servers().next().map(|s| &s.id))
    else {
        return;
    };
    let text = if candidates.is_empty() {
        "No primary is recorded, and no server has replicas and no source.".to_owned()
    } else {
        format!(
            "No primary is recorded, and it cannot be derived from {}.",
            listed(candidates.iter())
        )
    };
    let found = vec![evidence("no-primary-recorded", text, candidates)];
    report.note(Code::PrimaryUnknown, about, Severity::Warning, found);
}

/// Somebody else promoted a server.
pub(super) fn primary_moved(cx: &Context<'_>, report: &mut ReportBuilder) {
    let PrimaryView::Moved { from, to } = &cx.view else {
        return;
    };
    let text = format!(
        "{from} is recorded as primary, but {to} is writable and leads it or its replicas."
    );
    let found = vec![evidence("promoted-by-others", text, [from, to])];
    report.note(Code::PrimaryMoved, to, Severity::Warning, found);
}

/// `Act`, unless a server already takes writes as if it had been promoted: a second one must not
/// be. Nor is a primary replaced that takes in another cluster's transactions: nobody would go on
/// with that.
pub(super) fn unless_rivals(
    cx: &Context<'_>,
    primary: &ServerId,
    list: &mut Vec<Evidence>,
) -> Suggestion {
    let was_detached = |server: &&Server| {
        let channels = || cx.topology.channels_of(&server.id).iter();
        let stopped = |edge: &Edge| edge.channel.is_receiver_stopped();
        server.id != *primary && (!cx.has_member_source(&server.id) || channels().all(stopped))
    };
    let rivals: Vec<&ServerId> = writers(cx)
        .filter(was_detached)
        .map(|server| &server.id)
        .collect();
    let is_fed = fed_from_outside(cx, primary, list);
    if rivals.is_empty() {
        return if is_fed {
            Suggestion::Hold
        } else {
            Suggestion::Act
        };
    }
    let text = format!(
        "{}: takes writes and replicates from nobody.",
        listed(rivals.iter().copied())
    );
    list.push(evidence("another-writer", text, rivals));
    Suggestion::Hold
}

/// Whether a channel from outside is in use on the primary that not all its replicas have, too. It
/// cannot be made on a successor without the password.
fn fed_from_outside(cx: &Context<'_>, primary: &ServerId, list: &mut Vec<Evidence>) -> bool {
    let replicas = cx.replicas(primary);
    let has_it = |replica: &ServerId, channel: &Channel| {
        let mut channels = cx.topology.channels_of(replica).iter();
        channels.any(|edge| edge.channel.source == channel.source)
    };
    let mut lacking = cx.bounds.outer(&cx.topology, primary).filter(|edge| {
        edge.channel.source.is_some()
            && edge.is_in_use()
            && !replicas
                .iter()
                .all(|replica| has_it(replica, &edge.channel))
    });
    let Some(edge) = lacking.next() else {
        return false;
    };
    let text = format!(
        "{primary} reads from another cluster on channel '{}', and a successor could not go on with it.",
        edge.channel.name
    );
    list.push(evidence("reads-from-elsewhere", text, [primary]));
    true
}

/// A replica takes writes of its own.
pub(super) fn writable_replicas(cx: &Context<'_>, report: &mut ReportBuilder) {
    for server in writers(cx) {
        let id = &server.id;
        let paired = cx.topology.co_primary_of(id).is_some();
        if cx.is_primary(id) || paired || !cx.has_member_source(id) {
            continue;
        }
        let text = format!("{id} replicates and takes writes.");
        let found = vec![evidence("writable", text, [id])];
        report.note(Code::ReplicaWritable, id, Severity::Warning, found);
    }
}

/// A fence binds them only while Baton keeps the global read lock; afterwards they write to a
/// replica.
pub(super) fn privileged_writers(cx: &Context<'_>, report: &mut ReportBuilder) {
    let Some(primary) = cx.primary() else {
        return;
    };
    let accounts = cx
        .current(&primary.id)
        .and_then(|facts| facts.privileged_writers.as_deref())
        .unwrap_or_default();
    if !accounts.is_empty() {
        let id = &primary.id;
        let text = format!(
            "{id}: {} may write in spite of read_only.",
            accounts.join(", ")
        );
        let found = vec![evidence("writes-when-read-only", text, [id])];
        report.note(Code::PrivilegedWriters, id, Severity::Warning, found);
    }
}
