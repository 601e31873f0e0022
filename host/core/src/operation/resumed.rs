//! What the servers show of an operation that another process left open.

use super::undo::answers;
use super::{LeftOpen, Order};
use crate::ids::ServerId;
use crate::model::{Bounds, Reach, Server, ServerFacts, Snapshot, ThreadState, Topology};

/// Who took over: the recorded successor, if it is writable now, or whoever is writable and
/// replicates from nobody beside the server that was to be replaced. A backend that forgets commits
/// may have forgotten the line before the step that opened it.
pub(super) fn writable_successor(
    order: &Order,
    left: &LeftOpen,
    snapshot: &Snapshot,
) -> Option<ServerId> {
    recorded(left, snapshot).or_else(|| opened_unrecorded(order, snapshot))
}

fn recorded(left: &LeftOpen, snapshot: &Snapshot) -> Option<ServerId> {
    let successor = left.successor.as_ref().filter(|_| left.committed)?;
    let facts = snapshot.servers.get(successor)?.last_facts();
    let writable = facts.is_some_and(ServerFacts::is_writable);
    (answers(snapshot, successor) && writable).then(|| successor.clone())
}

fn opened_unrecorded(order: &Order, snapshot: &Snapshot) -> Option<ServerId> {
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let members = snapshot.servers.values();
    let mut open = members.filter(|server| is_open(server) && !bounds.is_apart(&server.id));
    let found = open.next()?;
    let alone = open.next().is_none() && found.id != order.subject;
    alone.then(|| found.id.clone())
}

fn is_open(server: &Server) -> bool {
    server.probe.reach() == Reach::Answering
        && server.last_facts().is_some_and(|facts| {
            let mut receivers = facts.channels.iter().map(|channel| channel.receiver);
            facts.is_writable() && receivers.all(|state| state == ThreadState::Stopped)
        })
}
