//! Whose replicas a successor takes over.

use std::collections::BTreeSet;

use crate::ids::ServerId;
use crate::model::{Edge, Reach, RecoveryKind, RecoveryOutcome, Snapshot, Topology};

/// The server that is replaced, and those that it had replaced itself and that are still gone: a failover whose successor fell silent
/// before anybody was pointed at it leaves their replicas where they were.
pub(super) fn replaced_with(snapshot: &Snapshot, failed: &ServerId) -> BTreeSet<ServerId> {
    let mut all = BTreeSet::from([failed.clone()]);
    let is_gone = |id: &ServerId| {
        let server = snapshot.servers.get(id);
        server.is_some_and(|server| server.probe.reach() != Reach::Answering)
    };
    // Young ones first: each is looked at after the one that replaced its successor.
    for past in &snapshot.control.past {
        let was_lost = matches!(
            past.kind,
            RecoveryKind::Failover | RecoveryKind::CoPrimaryFailover
        );
        let is_ours = past
            .successor
            .as_ref()
            .is_some_and(|successor| all.contains(successor));
        let succeeded = past.outcome == RecoveryOutcome::Succeeded;
        if succeeded && was_lost && is_ours && is_gone(&past.failed) {
            all.insert(past.failed.clone());
        }
    }
    all
}

/// Replicas of `failed` and of those that are replaced with it, in the order of what they follow.
pub fn estate(snapshot: &Snapshot, topology: &Topology, failed: &ServerId) -> Vec<Edge> {
    let replaced = replaced_with(snapshot, failed);
    replaced
        .iter()
        .flat_map(|source| topology.replicas_of(source))
        .filter(|edge| !replaced.contains(&edge.replica))
        .cloned()
        .collect()
}
