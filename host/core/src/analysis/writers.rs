//! Who takes writes, and who should.

use super::primary::has_live_follower;
use super::report::{Code, Evidence, PrimaryView, Severity};
use super::scene::{Draft, Scene, current, evidence, listed};
use crate::ids::ServerId;
use crate::model::{RecoveryKind, Server};
use crate::policy::Suggestion;

/// Servers that answer and take writes.
fn writers<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Server> + use<'a> {
    scene
        .servers()
        .filter(|server| current(server).is_some_and(|facts| facts.is_writable()))
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
        let mut held = |code, text: String| found.push(evidence(code, text, [&server.id]));
        let mut suggestion = Suggestion::Act;
        if primary_facts.read_only {
            held(
                "primary-read-only",
                format!("The primary {} is read-only.", primary.id),
            );
            suggestion = Suggestion::Hold;
        }
        if has_live_follower(scene.snapshot, &scene.topology, &server.id) {
            held(
                "has-followers",
                format!("Replicas still follow {}.", server.id),
            );
            suggestion = Suggestion::Hold;
        }
        if server.quarantined && facts.read_only {
            held(
                "quarantined",
                format!("{} is set aside already.", server.id),
            );
            suggestion = Suggestion::Hold;
        }
        let answer = (suggestion, RecoveryKind::Rejoin);
        draft.propose(Code::OldPrimaryReturned, &server.id, answer, found);
        if let Some(finding) = draft.findings.last_mut().filter(|_| facts.read_only) {
            finding.severity = Severity::Warning;
        }
    }
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
