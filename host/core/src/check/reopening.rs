//! Only the recorded primary is opened again, and only if nobody who answers has more than it.

use super::Objection;
use crate::model::{Bounds, RecoveryKind, Snapshot, Topology};
use crate::planning::{Plan, Purpose};

pub(super) fn check_reopening(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    if plan.purpose != Purpose::Recovery(RecoveryKind::Reopen) {
        return;
    }
    let topology = Topology::of(snapshot);
    let bounds = Bounds::of(snapshot, &topology);
    let opened = plan.steps.iter().filter(|step| step.action.opens_writes());
    for server in opened.filter_map(|step| step.action.server()) {
        if snapshot.cluster.primary.as_ref() != Some(server) {
            objections.push(Objection::NotRecorded(server.clone()));
        }
        for (holder, transactions) in bounds.ahead_of(snapshot, &topology, server) {
            objections.push(Objection::Discards {
                holder,
                transactions,
            });
        }
    }
}
