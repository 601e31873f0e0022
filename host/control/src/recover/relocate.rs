//! Replicas of a dead intermediate source find another source.

use std::collections::BTreeSet;

use baton_core::ids::ServerId;
use baton_core::model::{Reach, RecoveryOutcome, Snapshot, Topology};
use baton_core::planning::{Candidate, orphans, plan_relocate};

use super::Recovery;
use super::run::Ended;

impl Recovery<'_> {
    pub(crate) async fn relocate(&mut self) -> RecoveryOutcome {
        let Some(snapshot) = self.means.snapshot() else {
            return RecoveryOutcome::Failed;
        };
        let list = destinations(&snapshot, &self.row.failed);
        let mut order = self.rank(&snapshot, &list).await;
        // Whatever the policy vetoes as a *primary*, the grandparent feeds its grandchildren rather than nobody.
        if let Some(grandparent) = Topology::of(&snapshot).source_of(&self.row.failed)
            && !order.contains(grandparent)
            && list
                .iter()
                .any(|c| c.server == *grandparent && c.is_allowed())
        {
            order.push(grandparent.clone());
        }
        let settings = self.means.registry.settings.plan.clone();
        for destination in order {
            let target = (&self.row.failed.clone(), &destination);
            let plan =
                match plan_relocate(&snapshot, self.row.kind, target, self.epoch(), &settings) {
                    Ok(plan) => plan,
                    Err(blocked) => {
                        self.complain(blocked.to_string());
                        continue;
                    }
                };
            self.note_successor(&destination);
            match self.run(plan).await {
                Ended::Completed { tolerated } if tolerated.is_empty() => {
                    return RecoveryOutcome::Succeeded;
                }
                Ended::Completed { .. } if self.all_moved() => return RecoveryOutcome::Succeeded,
                Ended::Completed { .. } | Ended::Stopped | Ended::StoppedWithWritesPerhapsOpen => {}
            }
        }
        self.complain("some replicas of the dead source found no other source");
        RecoveryOutcome::Failed
    }

    /// True if no answering replica points at the dead source any more.
    fn all_moved(&self) -> bool {
        let Some(snapshot) = self.means.snapshot() else {
            return false;
        };
        let topology = Topology::of(&snapshot);
        orphans(&snapshot, &topology, &self.row.failed).is_empty()
    }
}

/// Servers that could feed the orphans: the dead one's siblings and its own source. Most replicas first follow the sibling that
/// has all they have; one that is behind would make them wait, or (MariaDB) refuse them.
fn destinations(snapshot: &Snapshot, dead: &ServerId) -> Vec<Candidate> {
    let topology = Topology::of(snapshot);
    let Some(source) = topology.source_of(dead) else {
        return Vec::new();
    };
    let wanted = orphans(snapshot, &topology, dead)
        .iter()
        .filter_map(|edge| snapshot.facts(&edge.replica))
        .map(baton_core::model::ServerFacts::possessed)
        .reduce(|all, one| all.union(&one));
    // Below the dead half of a pair is also the primary, and so the whole cluster: that way does not count.
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
    // The dead one's source may itself have been replaced since: the present primary and its replicas will do as well.
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
            let facts = server
                .last_facts()
                .filter(|_| server.probe.reach() == Reach::Answering)?;
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
