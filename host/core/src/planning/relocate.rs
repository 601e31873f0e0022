//! Replicas of a dead intermediate source (or of a dead passive co-primary) find another source.

use std::collections::BTreeSet;

use super::failover::{add_repoints, answering_replicas};
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose};
use super::{Blocked, Candidate, PlanSettings};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{Edge, RecoveryKind, ServerFacts, Snapshot, Topology};

/// The replicas of a dead source that answer and need another one. The primary, the other half of a
/// pair, is none: it waits for its partner to come back.
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
        purpose: Purpose::Recovery(kind),
        epoch,
        subject: dead.clone(),
        successor: None,
        fence_waiver: Some(format!("{dead} takes no writes of the cluster")),
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    })
}

/// Servers that could feed the orphans: the dead one's siblings and its own source. Most replicas
/// first follow the sibling that has all they have; one that is behind would make them wait, or
/// (MariaDB) refuse them.
pub fn destinations(snapshot: &Snapshot, dead: &ServerId) -> Vec<Candidate> {
    let topology = Topology::of(snapshot);
    let Some(source) = topology.source_of(dead) else {
        return Vec::new();
    };
    let wanted = orphans(snapshot, &topology, dead)
        .iter()
        .filter_map(|edge| snapshot.facts(&edge.replica))
        .map(ServerFacts::possessed)
        .reduce(|all, one| all.union(&one));
    // Below the dead half of a pair is also the primary, and so the whole cluster: that way does
    // not count.
    let primary = snapshot.cluster.primary.clone();
    let below: BTreeSet<ServerId> = topology
        .replicas_of(dead)
        .iter()
        .filter(|edge| primary.as_ref() != Some(&edge.replica))
        .flat_map(|edge| topology.subtree(&edge.replica))
        .chain([dead.clone()])
        .collect();
    let siblings = topology
        .replicas_of(source)
        .iter()
        .map(|edge| edge.replica.clone());
    // The dead one's source may itself have been replaced since: the present primary and its
    // replicas will do as well.
    let firsts = primary
        .iter()
        .flat_map(|id| topology.replicas_of(id))
        .map(|edge| edge.replica.clone());
    let all: BTreeSet<ServerId> = siblings
        .chain([source.clone()])
        .chain(primary.clone())
        .chain(firsts)
        .collect();
    let mut list: Vec<Candidate> = all
        .into_iter()
        .filter(|id| !below.contains(id))
        .filter_map(|id| snapshot.servers.get(&id))
        .filter_map(|server| {
            let facts = server.current_facts()?;
            let feeds = facts.log_bin
                && (facts.log_updates || primary.as_ref() == Some(&server.id))
                && !server.quarantined;
            let behind = wanted
                .as_ref()
                .and_then(|set| facts.executed.missing_count(set));
            (feeds && behind == Some(0)).then(|| Candidate {
                server: server.id.clone(),
                possessed: Some(facts.possessed()),
                wanted: Some(facts.possessed()),
                missing: behind,
                unapplied: Some(0),
                errant: None,
                followers: 0,
                warnings: Vec::new(),
                excluded: Vec::new(),
            })
        })
        .collect();
    list.sort_by(|a, b| a.server.cmp(&b.server));
    list
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
