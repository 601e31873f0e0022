//! Who waits for acknowledgements, and who gives them, while the primary changes.

use std::time::Duration;

use super::PlanSettings;
use super::plan::{Builder, OnFailure, Phase, StepId};
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{ServerFacts, Snapshot};

/// Has a successor wait for acknowledgements if its predecessor did, or if it was only released for
/// the drain. Sent *before* writes are open, so that nothing is told to be committed that is on one
/// server only; and before a replica connects, because one that connects earlier is taken on
/// without acknowledgements.
///
/// Gives the step that has to end before, if there is one.
pub(super) fn add_source_side(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (subject, successor): (&ServerId, &ServerId),
    place: (Phase, &[StepId]),
    limit: Duration,
) -> Option<StepId> {
    let is_off = if has_source_role(snapshot, successor)? {
        is_held_up(snapshot, successor)
    } else {
        was_acknowledged(snapshot, subject)
    };
    is_off.then(|| {
        let on = ServerCommand::SetSemiSync {
            source: Some(true),
            replica: None,
        };
        let (phase, after) = place;
        // Without it the cluster still has a primary; what is missing is a finding, and is made up
        // for.
        steps.command(phase, (successor, on), after, (OnFailure::Continue, limit))
    })
}

/// Releases a replica whose applier waits for acknowledgements of its own: nothing would be drained
/// before its time limit is over. It is read-only, so that no client is told anything by it, and
/// what it applies is its source's.
pub(super) fn add_release(
    steps: &mut Builder,
    snapshot: &Snapshot,
    replica: &ServerId,
    after: &[StepId],
    settings: &PlanSettings,
) -> Option<StepId> {
    is_held_up(snapshot, replica).then(|| {
        let limits = (OnFailure::Continue, settings.step_limit);
        steps.command(Phase::Drain, (replica, silenced()), after, limits)
    })
}

/// The source's side off, the replica's side as it is.
pub(super) fn silenced() -> ServerCommand {
    ServerCommand::SetSemiSync {
        source: Some(false),
        replica: None,
    }
}

/// A read-only server with the source's side on and too few replicas that acknowledge.
pub(super) fn is_held_up(snapshot: &Snapshot, id: &ServerId) -> bool {
    let facts = snapshot.facts(id);
    facts.is_some_and(|facts| facts.read_only && lacks_acknowledgements(facts))
}

/// The same of a server that a person has opened. It is not released: its own clients would be told
/// that their rows are committed, which no other server has. What stops its applier hangs for as
/// long as that waits, and keeps the session that holds the cluster's lock there (measured on MySQL
/// 9.7).
pub(super) fn waits_as_writer(snapshot: &Snapshot, id: &ServerId) -> bool {
    let facts = snapshot.facts(id);
    facts.is_some_and(|facts| {
        let semi_sync = facts.semi_sync.as_ref();
        let waits = semi_sync.is_some_and(|semi_sync| semi_sync.source_active);
        !facts.read_only && waits && lacks_acknowledgements(facts)
    })
}

fn lacks_acknowledgements(facts: &ServerFacts) -> bool {
    let semi_sync = facts.semi_sync.as_ref();
    semi_sync
        .is_some_and(|semi_sync| semi_sync.source_enabled && semi_sync.clients < semi_sync.wait_for)
}

/// Only after its channels are gone: a receiver that still is there would be made to connect anew.
pub(super) fn add_end_of_acknowledging(
    steps: &mut Builder,
    successor: &ServerId,
    forgotten: &[StepId],
    settings: &PlanSettings,
) {
    let off = ServerCommand::SetSemiSync {
        source: None,
        replica: Some(false),
    };
    let limits = (OnFailure::Continue, settings.step_limit);
    steps.command(Phase::Verify, (successor, off), forgotten, limits);
}

/// A server that stops being the primary: it acknowledges from now on.
pub(super) fn acknowledging() -> ServerCommand {
    ServerCommand::SetSemiSync {
        source: Some(false),
        replica: Some(true),
    }
}

/// Whether a server that is replaced waited for acknowledgements, or was to. Its own side tells,
/// unless it was never read (this node was started after it had died), or still has the replica's
/// side on, as one that died while it was being promoted. Then its replicas tell: whoever has the
/// replica's side on was meant to acknowledge. To be wrong costs the next primary a wait for what
/// they send anyway; to be wrong the other way would leave the cluster without acknowledgements for
/// good.
pub(super) fn was_acknowledged(snapshot: &Snapshot, subject: &ServerId) -> bool {
    let side = |facts: &ServerFacts| facts.semi_sync.clone().unwrap_or_default();
    match snapshot.facts(subject).map(side) {
        Some(own) if own.source_enabled => true,
        Some(own) if !own.replica_enabled => false,
        Some(_) | None => {
            let servers = snapshot.servers.values();
            let mut others = servers.filter(|other| other.id != *subject);
            others.any(|other| {
                other
                    .last_facts()
                    .is_some_and(|facts| side(facts).replica_enabled)
            })
        }
    }
}

/// Whether a server has the source's side on; `None` without semi-synchronous replication.
pub(super) fn has_source_role(snapshot: &Snapshot, id: &ServerId) -> Option<bool> {
    let semi_sync = snapshot
        .facts(id)
        .and_then(|facts| facts.semi_sync.as_ref());
    semi_sync.map(|semi_sync| semi_sync.source_enabled)
}

/// The server whose place the primary took in the last recovery, if that one waited for
/// acknowledgements and the primary does not: the step that was to have it wait, too, failed, or
/// its leader ended before.
pub fn was_to_wait(snapshot: &Snapshot) -> Option<&ServerId> {
    let primary = snapshot.cluster.primary.as_ref()?;
    let mut past = snapshot.control.past.iter();
    let last = past.find(|recovery| recovery.promoted)?;
    let replaced = last.successor.as_ref() == Some(primary)
        && snapshot.control.active.is_none()
        && has_source_role(snapshot, primary) == Some(false)
        && was_acknowledged(snapshot, &last.subject);
    replaced.then_some(&last.subject)
}

#[cfg(test)]
mod tests {
    use super::was_to_wait;
    use crate::sketch;

    #[test]
    fn a_primary_that_took_over_from_one_that_waited_is_to_wait() {
        let past = "past=failover:succeeded:p0:p1:1m";
        for (cluster, p0, p1, r1, expected) in [
            (
                past,
                "silent refused ss=source",
                "wait_for=1",
                "ss=replica",
                true,
            ),
            // It is back, and acknowledges.
            (past, "<- p1 ss=replica", "wait_for=1", "ss=replica", true),
            (
                past,
                "silent refused ss=source",
                "ss=source",
                "ss=replica",
                false,
            ),
            (
                past,
                "silent refused wait_for=1",
                "wait_for=1",
                "ss=replica",
                false,
            ),
            (past, "silent refused ss=source", "", "", false),
            (
                "",
                "silent refused ss=source",
                "wait_for=1",
                "ss=replica",
                false,
            ),
            (
                "past=failover:unwound:p0:p1:1m",
                "ss=source",
                "wait_for=1",
                "ss=replica",
                false,
            ),
        ] {
            let text = format!("cluster {cluster}\np0 {p0}\np1 primary {p1}\nr1 <- p1 {r1}");
            let snapshot = sketch::snapshot(&text);
            assert_eq!(was_to_wait(&snapshot).is_some(), expected, "{text}");
        }
    }
}
