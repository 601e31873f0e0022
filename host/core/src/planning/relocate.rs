//! Replicas of a dead intermediate source (or of a dead passive co-primary) find another source.

use std::collections::BTreeSet;

use super::failover::{add_repoints, answering_replicas};
use super::plan::{Action, Builder, OnFailure, Phase, Plan};
use super::{Blocked, PlanSettings};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{Edge, RecoveryKind, Snapshot, Topology};

/// The replicas of a dead source that answer and need another one. The primary, the other half of a pair, is none: it waits for
/// its partner to come back.
pub fn orphans(snapshot: &Snapshot, topology: &Topology, dead: &ServerId) -> Vec<Edge> {
    let mut edges = answering_replicas(snapshot, topology, dead);
    edges.retain(|edge| snapshot.cluster.primary.as_ref() != Some(&edge.replica));
    edges
}

/// Plans to point every answering replica of `dead` at `destination`.
///
/// # Errors
/// Blocked if there is nothing to move or nowhere to move it.
pub fn plan_relocate(
    snapshot: &Snapshot,
    kind: RecoveryKind,
    target: (&ServerId, &ServerId),
    epoch: LeaseEpoch,
    settings: &PlanSettings,
) -> Result<Plan, Blocked> {
    let (dead, destination) = target;
    let topology = Topology::of(snapshot);
    let orphans: Vec<Edge> = orphans(snapshot, &topology, dead)
        .into_iter()
        .filter(|edge| edge.replica != *destination)
        .collect();
    if orphans.is_empty() {
        let text = format!("no replica of {dead} answers");
        return Err(Blocked::because(
            kind,
            "no-replica-answers",
            text,
            vec![dead.clone()],
        ));
    }
    let below: BTreeSet<ServerId> = orphans
        .iter()
        .flat_map(|edge| topology.subtree(&edge.replica))
        .collect();
    if below.contains(destination) {
        let text =
            format!("{destination} replicates from the servers that would be moved below it");
        return Err(Blocked::because(
            kind,
            "loop",
            text,
            vec![destination.clone()],
        ));
    }
    let mut steps = Builder::new(snapshot, 1);
    let others = orphans.iter().map(|edge| edge.replica.clone()).collect();
    let confirm = steps.step(
        Phase::Lock,
        Action::Confirm {
            target: None,
            others,
        },
        &[],
        (OnFailure::Abort, settings.step_limit),
    );
    add_repoints(
        &mut steps,
        snapshot,
        (destination, &orphans),
        &[confirm],
        settings,
    );
    Ok(Plan {
        cluster: snapshot.cluster.id.clone(),
        kind,
        epoch,
        failed: dead.clone(),
        successor: None,
        fence_waiver: Some(format!("{dead} takes no writes of the cluster")),
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::plan_relocate;
    use crate::ids::{LeaseEpoch, ServerId};
    use crate::model::RecoveryKind;
    use crate::planning::{Action, PlanSettings};
    use crate::sketch;

    #[test]
    fn the_replicas_of_a_dead_co_primary_move_to_the_primary_and_the_primary_stays() {
        let snapshot = sketch::snapshot(
            "p1 primary <- p2 io=connecting
             p2 ro <- p1 silent refused
             r1 <- p1
             r2 <- p2 io=connecting",
        );
        let (dead, destination) = (ServerId::new("p2"), ServerId::new("p1"));
        let kind = RecoveryKind::IntermediateFailover;
        let target = (&dead, &destination);
        let settings = PlanSettings::default();
        let plan = plan_relocate(&snapshot, kind, target, LeaseEpoch::default(), &settings);
        let steps = plan.expect("it can be planned").steps;
        let moved: Vec<&ServerId> = steps
            .iter()
            .filter(|step| !matches!(step.action, Action::Confirm { .. }))
            .filter_map(|step| step.action.server())
            .collect();
        assert!(moved.iter().all(|id| id.as_str() == "r2"), "{moved:?}");
        assert!(!moved.is_empty());
    }
}
