//! What the servers show of an operation that another process left open.

use super::{Context, LeftOpen, takes_writes};
use crate::ids::ServerId;
use crate::model::{Bounds, Server, ThreadState, Topology};

/// Who took over: the recorded successor, if it takes writes. Otherwise the one writable server
/// that replicates from nobody, unless that is the server to be replaced: a backend that forgets
/// commits may have forgotten the line before the step that opened it.
pub(super) fn writable_successor(cx: &Context<'_>, left: &LeftOpen) -> Option<ServerId> {
    recorded(cx, left).or_else(|| opened_unrecorded(cx))
}

fn recorded(cx: &Context<'_>, left: &LeftOpen) -> Option<ServerId> {
    let successor = left.successor.as_ref().filter(|_| left.committed)?;
    takes_writes(cx.view.snapshot, successor).then(|| successor.clone())
}

fn opened_unrecorded(cx: &Context<'_>) -> Option<ServerId> {
    let snapshot = cx.view.snapshot;
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let members = snapshot.servers.values();
    let mut open = members.filter(|server| is_open(server) && !bounds.is_apart(&server.id));
    let found = open.next()?;
    let alone = open.next().is_none() && found.id != cx.order.subject;
    alone.then(|| found.id.clone())
}

fn is_open(server: &Server) -> bool {
    server.answers()
        && server.last_facts().is_some_and(|facts| {
            let mut receivers = facts.channels.iter().map(|channel| channel.receiver);
            facts.is_writable() && receivers.all(|state| state == ThreadState::Stopped)
        })
}
