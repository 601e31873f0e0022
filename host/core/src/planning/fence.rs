//! Closing the primary that is replaced, and when a failover may go on without.

use std::collections::BTreeSet;
use std::time::Duration;

use super::PlanSettings;
use super::failover::SecureRequest;
use super::plan::{Builder, OnFailure, Phase, StepId};
use crate::analysis::storage_fails;
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::{ProbeFailure, Reach, Snapshot, Topology};

/// A primary that gives up waiting for acknowledgements after less than this may commit alone
/// before it is closed.
const HOLDS_COMMITS_FOR: Duration = Duration::from_mins(1);

/// A failed server that still answers must be fenced, or the plan stops. One that is silent is
/// tried all the same unless nobody listens there; then the waiver says why promotion may go on
/// without.
pub(super) fn add_fence(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (request, waits_in_vain): (&SecureRequest, bool),
    confirm: StepId,
    settings: &PlanSettings,
) -> Option<String> {
    let subject = &request.subject;
    let probe = snapshot.servers.get(subject).map(|server| &server.probe);
    let fence = ServerCommand::Fence { kill_writers: true };
    match probe.map(|probe| (probe.reach(), probe.failure.clone())) {
        Some((Reach::Answering | Reach::Partial, _)) if waits_in_vain => {
            // It is closed now or when it returns: until then its commits wait for its storage, and
            // after that for ever.
            let limits = (OnFailure::Continue, settings.revoke_limit);
            steps.command(Phase::Fence, (subject, fence), &[confirm], limits);
            Some(format!(
                "the storage of {subject} fails, and a fence there may wait for it; it waits for acknowledgements, and all its replicas have \
                 stopped giving them"
            ))
        }
        Some((Reach::Answering, _)) => {
            let limits = (OnFailure::Abort, settings.step_limit);
            steps.command(Phase::Fence, (subject, fence), &[confirm], limits);
            None
        }
        Some((Reach::Silent, Some(ProbeFailure::Refused))) => {
            Some(format!("nobody listens at {subject}: its process is gone"))
        }
        Some((Reach::Silent | Reach::Partial | Reach::NotProbed, failure)) => {
            // It may hang or refuse us: the attempt is made, but a server that was silent all the
            // time is not waited for long.
            let limits = (OnFailure::Continue, settings.silent_fence_limit);
            steps.command(Phase::Fence, (subject, fence), &[confirm], limits);
            let word = failure.map_or("never probed", |f| f.word());
            Some(format!(
                "{subject} does not answer ({word}); its replicas acknowledge nothing any more"
            ))
        }
        None => Some(format!("{subject} is not known any more")),
    }
}

/// Whether a primary whose storage fails tells no client that anything is committed once its
/// replicas have left it: it waits for acknowledgements without an end, and all who could give them
/// answer, so that each can be stopped for certain.
pub(super) fn waits_in_vain(snapshot: &Snapshot, topology: &Topology, subject: &ServerId) -> bool {
    let Some(primary) = snapshot.servers.get(subject).filter(|p| storage_fails(p)) else {
        return false;
    };
    let semi_sync = primary
        .last_facts()
        .and_then(|facts| facts.semi_sync.as_ref());
    let Some(semi_sync) = semi_sync.filter(|semi| semi.holds_commits_for(HOLDS_COMMITS_FOR)) else {
        return false;
    };
    let edges = topology.replicas_of(subject);
    let known: BTreeSet<&ServerId> = edges.iter().map(|edge| &edge.replica).collect();
    let all_answer = known.iter().all(|id| snapshot.answers(id));
    all_answer && usize::try_from(semi_sync.clients).is_ok_and(|n| n <= known.len())
}
