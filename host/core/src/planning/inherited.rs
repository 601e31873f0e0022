//! Whose replicas a successor takes over.

use std::collections::BTreeSet;

use crate::ids::ServerId;
use crate::model::{Edge, Snapshot, Topology};

/// The server that is replaced, and those that it had replaced itself and that are still gone: a
/// failover whose successor fell silent before anybody was pointed at it leaves their replicas
/// where they were.
pub(super) fn replaced_with(snapshot: &Snapshot, subject: &ServerId) -> BTreeSet<ServerId> {
    let mut all = BTreeSet::from([subject.clone()]);
    let is_gone = |id: &ServerId| {
        let server = snapshot.servers.get(id);
        server.is_some_and(|server| !server.answers())
    };
    // Young ones first: each is looked at after the one that replaced its successor.
    for past in &snapshot.control.past {
        let is_ours = past
            .successor
            .as_ref()
            .is_some_and(|successor| all.contains(successor));
        if past.replaced_a_lost_one() && is_ours && is_gone(&past.subject) {
            all.insert(past.subject.clone());
        }
    }
    all
}

/// Replicas of `subject` and of those that are replaced with it, in the order of what they follow.
pub fn inherited_replicas(
    snapshot: &Snapshot,
    topology: &Topology,
    subject: &ServerId,
) -> Vec<Edge> {
    edges_below(topology, &replaced_with(snapshot, subject))
        .cloned()
        .collect()
}

/// What follows any of those that are replaced together, without themselves.
pub(super) fn edges_below<'a>(
    topology: &'a Topology,
    replaced: &'a BTreeSet<ServerId>,
) -> impl Iterator<Item = &'a Edge> {
    let all = replaced
        .iter()
        .flat_map(|source| topology.replicas_of(source));
    all.filter(|edge| !replaced.contains(&edge.replica))
}
