//! Who takes writes, and who should.

use super::report::{Code, Evidence, PrimaryView, Severity};
use super::scene::{Draft, Scene, current, evidence, listed};
use crate::ids::ServerId;
use crate::model::{Edge, Server, ServerFacts};
use crate::policy::Suggestion;

/// Servers that answer and take writes.
fn writers<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Server> + use<'a> {
    scene
        .servers()
        .filter(|server| current(server).is_some_and(ServerFacts::is_writable))
}

/// The primary is read-only and nobody else takes writes.
pub(super) fn no_writable_primary(scene: &Scene<'_>, draft: &mut Draft) {
    let Some(primary) = scene.primary() else {
        return;
    };
    let read_only = scene
        .current(&primary.id)
        .is_some_and(|facts| facts.read_only);
    if !read_only || writers(scene).next().is_some() || !scene.unprobed().is_empty() {
        return;
    }
    let text = format!(
        "{} is read-only, and no server that answers is writable.",
        primary.id
    );
    let found = vec![evidence("read-only", text, [&primary.id])];
    draft.note(
        Code::NoWritablePrimary,
        &primary.id,
        Severity::Critical,
        found,
    );
}

/// More than one server takes writes, and they do not get each other's as replicas do.
pub(super) fn split_brain(scene: &Scene<'_>, draft: &mut Draft) {
    let writing: Vec<&Server> = writers(scene)
        .filter(|server| {
            scene.is_primary(&server.id)
                || !scene.has_member_source(&server.id)
                || scene.topology.co_primary_of(&server.id).is_some()
        })
        .collect();
    let primary = writing
        .iter()
        .find(|server| scene.is_primary(&server.id))
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
    let paired = |id: &&ServerId| scene.topology.are_co_primaries(&first.id, id);
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
    draft.note(Code::SplitBrain, &first.id, severity, found);
}

/// No server can be called the primary.
pub(super) fn primary_unknown(scene: &Scene<'_>, draft: &mut Draft) {
    let PrimaryView::Unknown(candidates) = &scene.view else {
        return;
    };
    let Some(about) = candidates
        .first()
        .or_else(|| scene.servers().next().map(|s| &s.id))
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
    draft.note(Code::PrimaryUnknown, about, Severity::Warning, found);
}

/// Somebody else promoted a server.
pub(super) fn primary_moved(scene: &Scene<'_>, draft: &mut Draft) {
    let PrimaryView::Moved { from, to } = &scene.view else {
        return;
    };
    let text = format!(
        "{from} is recorded as primary, but {to} is writable and leads it or its replicas."
    );
    let found = vec![evidence("promoted-by-others", text, [from, to])];
    draft.note(Code::PrimaryMoved, to, Severity::Warning, found);
}

/// `Act`, unless a server already takes writes as if it had been promoted: a second one must not be.
pub(super) fn unless_rivals(
    scene: &Scene<'_>,
    primary: &ServerId,
    list: &mut Vec<Evidence>,
) -> Suggestion {
    let was_detached = |server: &&Server| {
        let channels = || scene.topology.channels_of(&server.id).iter();
        let stopped = |edge: &Edge| edge.channel.is_receiver_stopped();
        server.id != *primary && (!scene.has_member_source(&server.id) || channels().all(stopped))
    };
    let rivals: Vec<&ServerId> = writers(scene)
        .filter(was_detached)
        .map(|server| &server.id)
        .collect();
    if rivals.is_empty() {
        return Suggestion::Act;
    }
    let text = format!(
        "{}: takes writes and replicates from nobody.",
        listed(rivals.iter().copied())
    );
    list.push(evidence("another-writer", text, rivals));
    Suggestion::Hold
}

/// A replica takes writes of its own.
pub(super) fn writable_replicas(scene: &Scene<'_>, draft: &mut Draft) {
    for server in writers(scene) {
        let id = &server.id;
        let paired = scene.topology.co_primary_of(id).is_some();
        if scene.is_primary(id) || paired || !scene.has_member_source(id) {
            continue;
        }
        let text = format!("{id} replicates and takes writes.");
        let found = vec![evidence("writable", text, [id])];
        draft.note(Code::ReplicaWritable, id, Severity::Warning, found);
    }
}
