//! Who takes writes, and who should.

use super::primary::is_severed;
use super::report::{Code, Evidence, PrimaryView, Severity};
use super::scene::{Draft, Scene, current, evidence, listed};
use crate::ids::ServerId;
use crate::model::{Edge, RecoveryKind, Server, ServerFacts, ThreadState};
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

/// A server answers that is no part of the topology: most likely the former primary.
pub(super) fn old_primary_returned(scene: &Scene<'_>, draft: &mut Draft) {
    let Some(primary) = scene.primary() else {
        return;
    };
    let Some(primary_facts) = scene.current(&primary.id) else {
        return;
    };
    for server in scene.servers() {
        let Some(facts) = scene.current(&server.id) else {
            continue;
        };
        if server.id == primary.id || scene.has_member_source(&server.id) {
            continue;
        }
        let mut found = vec![outside(server, facts.is_writable())];
        let objections = [
            primary_facts.read_only.then(|| {
                let text = format!("The primary {} is read-only.", primary.id);
                evidence("primary-read-only", text, [&primary.id])
            }),
            followed_as_much(scene, &server.id, &primary.id),
            read_beside(scene, &server.id),
            (server.quarantined && facts.read_only).then(|| {
                let text = format!("{} is set aside already.", server.id);
                evidence("quarantined", text, [&server.id])
            }),
        ];
        found.extend(objections.into_iter().flatten());
        let suggestion = if found.len() == 1 {
            Suggestion::Act
        } else {
            Suggestion::Hold
        };
        let severity = if facts.is_writable() {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let answer = (suggestion, RecoveryKind::Rejoin);
        draft.propose_as(
            severity,
            Code::OldPrimaryReturned,
            &server.id,
            answer,
            found,
        );
    }
}

/// If somebody reads from `server` beside another source: that is how a person made it, and nothing that a failover leaves behind.
fn read_beside(scene: &Scene<'_>, server: &ServerId) -> Option<Evidence> {
    let from_others = |replica: &ServerId| {
        let mut sources = scene.topology.channels_of(replica).iter();
        sources.any(|edge| edge.source.as_ref().is_some_and(|other| other != server))
    };
    let readers: Vec<&ServerId> = scene
        .edges_below(server)
        .filter(|edge| edge.channel.receiver != ThreadState::Stopped)
        .map(|edge| &edge.replica)
        .filter(|replica| from_others(replica))
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
fn followed_as_much(scene: &Scene<'_>, server: &ServerId, primary: &ServerId) -> Option<Evidence> {
    let followers = |source| -> Vec<&ServerId> {
        scene
            .edges_below(source)
            .filter(|edge| match edge.channel.receiver {
                ThreadState::Running | ThreadState::Connecting => scene.answers(&edge.replica),
                ThreadState::Stopped | ThreadState::Unknown => false,
            })
            .filter(|edge| !is_severed(scene.snapshot, edge))
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

/// `Act`, unless a server already takes writes as if it had been promoted: a second one must not be.
pub(super) fn unless_rivals(
    scene: &Scene<'_>,
    primary: &ServerId,
    list: &mut Vec<Evidence>,
) -> Suggestion {
    let was_detached = |server: &&Server| {
        let channels = || scene.topology.channels_of(&server.id).iter();
        let stopped = |edge: &Edge| {
            edge.channel.receiver == ThreadState::Stopped && edge.channel.receiver_error.is_none()
        };
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
