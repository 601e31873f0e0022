//! A former primary that is back: what proves that it was replaced, and what speaks against fencing it.

use super::primary::is_severed;
use super::report::{Code, Evidence, PrimaryView, Severity};
use super::scene::{Draft, Scene, evidence, listed};
use crate::ids::ServerId;
use crate::model::{
    PastRecovery, RecoveryKind, RecoveryOutcome, Server, ServerFacts, Snapshot, ThreadState,
};
use crate::policy::Suggestion;

/// A server answers that is no part of the topology, or that takes writes although a recovery replaced it.
pub(super) fn old_primary_returned(scene: &Scene<'_>, draft: &mut Draft) {
    let Some(primary) = scene.primary() else {
        return;
    };
    let Some(primary_facts) = scene.current(&primary.id) else {
        return;
    };
    for server in scene.servers().filter(|server| server.id != primary.id) {
        let Some(facts) = scene.current(&server.id) else {
            continue;
        };
        let writable = facts.is_writable();
        let replaced = replaced_on_record(scene, server);
        // Two that were replaced one after the other and replicate from each other, as a pair did, are no part of it either.
        let attached = scene.has_member_source(&server.id)
            && (replaced.is_none() || scene.topology.subtree(&primary.id).contains(&server.id));
        if attached && !(writable && replaced.is_some()) {
            continue;
        }
        let recorded = replaced.is_some();
        let mut found = Vec::new();
        found.extend((!attached).then(|| outside(server, writable)));
        found.extend(replaced);
        let objections = objections(scene, (server, facts), (primary, primary_facts), recorded);
        let suggestion = if objections.is_empty() {
            Suggestion::Act
        } else {
            Suggestion::Hold
        };
        found.extend(objections);
        let severity = if writable {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let answer = (suggestion, RecoveryKind::Rejoin);
        let code = Code::OldPrimaryReturned;
        draft.propose_as(severity, code, &server.id, answer, found);
    }
}

/// What speaks against fencing. What others read from it is no objection against a server that was replaced on record: that is how a
/// partition leaves them. One that was set aside since may have got its followers from a person.
fn objections(
    scene: &Scene<'_>,
    (server, facts): (&Server, &ServerFacts),
    (primary, primary_facts): (&Server, &ServerFacts),
    recorded: bool,
) -> Vec<Evidence> {
    let doubtful = !recorded || server.quarantined;
    let read_by = |say: fn(&Scene<'_>, &ServerId, &ServerId) -> Option<Evidence>| {
        doubtful
            .then(|| say(scene, &server.id, &primary.id))
            .flatten()
    };
    let objections = [
        primary_facts.read_only.then(|| {
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

/// The recovery that replaced `server`, if it is the last word about it and its chain of successors ends at the recorded primary.
///
/// A switchover is none: it fenced the old primary itself and saw it follow, so whoever made it writable did that afterwards. The same holds
/// after it was taken back. A primary that somebody else promoted breaks the chain.
fn replaced_on_record(scene: &Scene<'_>, server: &Server) -> Option<Evidence> {
    let PrimaryView::Recorded(primary) = &scene.view else {
        return None;
    };
    let last = succeeded(scene.snapshot).find(|past| past.kind.replaces_primary())?;
    if last.successor.as_ref() != Some(primary) {
        return None;
    }
    let names = |past: &&PastRecovery| {
        past.failed == server.id
            || past.kind.replaces_primary() && past.successor.as_ref() == Some(&server.id)
    };
    let about = succeeded(scene.snapshot).find(names)?;
    let was_lost = about.kind.replaces_lost_primary();
    let successor = about.successor.as_ref()?;
    (was_lost && about.failed == server.id && *successor != server.id).then(|| {
        let text = format!(
            "{} was replaced by {successor} in {} {}, and not taken back since.",
            server.id,
            about.kind.word(),
            about.id
        );
        evidence("replaced-on-record", text, [&server.id, primary])
    })
}

/// Earlier recoveries that reached their aim, young ones first.
fn succeeded(snapshot: &Snapshot) -> impl Iterator<Item = &PastRecovery> {
    let past = snapshot.control.past.iter();
    past.filter(|past| past.outcome == RecoveryOutcome::Succeeded)
}

/// If somebody reads from `server` beside another source: that is how a person made it, and nothing that a failover leaves behind.
fn read_beside(scene: &Scene<'_>, server: &ServerId, _primary: &ServerId) -> Option<Evidence> {
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
