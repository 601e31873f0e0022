//! The checker: looks at a finished plan and objects. Separate from planning on purpose, so that
//! one mistake is not made twice; it runs on every plan, also on those a person ordered.

mod bounds;
mod events;
mod old_primary;
mod reopening;

use std::collections::{BTreeMap, BTreeSet};

use crate::command::ServerCommand;
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Snapshot, Switch, Topology};
use crate::planning::{Acknowledgers, Action, History, Plan, Purpose, Step, StepId};

/// Why a plan must not be carried out. Each names the invariant (see ARCHITECTURE.md) that it would
/// break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Invariant 1.
    #[error("the plan would make more than one server writable: {0:?}")]
    SeveralWritable(BTreeSet<ServerId>),
    /// Invariant 2.
    #[error(
        "the plan opens writes on {successor} without fencing {subject} before and without a waiver"
    )]
    NotFenced {
        /// Old primary.
        subject: ServerId,
        /// New primary.
        successor: ServerId,
    },
    /// Invariant 3.
    #[error("the plan was made under epoch {plan}, the lease is {held:?}")]
    StaleEpoch {
        /// Of the plan.
        plan: LeaseEpoch,
        /// Held now.
        held: Option<LeaseEpoch>,
    },
    /// Invariant 4.
    #[error("step {step} opens writes without a confirmation of the right to act right before it")]
    NotConfirmed {
        /// The step.
        step: StepId,
    },
    /// Invariant 5.
    #[error("step {step} is about {server}, which is not a member of the cluster")]
    Stranger {
        /// The step.
        step: StepId,
        /// The server.
        server: ServerId,
    },
    /// Invariant 6.
    #[error(
        "step {step} would let {server} replicate from itself or from the server that is replaced"
    )]
    WrongSource {
        /// The step.
        step: StepId,
        /// The replica.
        server: ServerId,
    },
    /// Invariant 7.
    #[error("the plan discards {transactions} transactions that {holder} has, without consent")]
    Discards {
        /// Who has them.
        holder: ServerId,
        /// How many.
        transactions: u64,
    },
    /// Invariant 23.
    #[error("the plan opens writes although transactions may be acknowledged elsewhere: {}", why.join("; "))]
    Acknowledged {
        /// Old primary.
        subject: ServerId,
        /// Who may acknowledge, or hold what was acknowledged.
        why: Vec<String>,
    },
    /// Invariant 8.
    #[error("recoveries are switched off, or the switch cannot be read")]
    SwitchedOff,
    /// Of the invariant that a switchover trusts no fence.
    #[error("step {step} opens writes before {subject} was read a second time after its fence")]
    NotReadAgain {
        /// The step.
        step: StepId,
        /// Old primary.
        subject: ServerId,
    },
    /// Of the invariant that a switchover trusts no fence.
    #[error("step {step} attaches {subject} before its history was compared with its successor's")]
    NotCompared {
        /// The step.
        step: StepId,
        /// Old primary.
        subject: ServerId,
    },
    /// Invariant 20.
    #[error("step {step} would change {server}, which is the source of another cluster")]
    OtherCluster {
        /// The step.
        step: StepId,
        /// The server.
        server: ServerId,
    },
    /// Invariant 21.
    #[error(
        "step {step} would change channel {channel:?} of {server}, which reads from another cluster"
    )]
    OtherChannel {
        /// The step.
        step: StepId,
        /// The server.
        server: ServerId,
        /// The channel, or all of several.
        channel: Option<String>,
    },
    /// A server that is not the recorded primary would be opened again.
    #[error("{0} is not the recorded primary, so it is not opened again")]
    NotRecorded(ServerId),
    /// Invariant 24.
    #[error("step {step} would let events run on {server}, where writes were not opened before")]
    EventsBeforeWrites {
        /// The step.
        step: StepId,
        /// The server.
        server: ServerId,
    },
    /// The steps wait for each other, or for steps that do not exist.
    #[error("step {step} can never begin")]
    NeverReady {
        /// The step.
        step: StepId,
    },
}

/// A plan to which nothing is objected. No other can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved(Plan);

impl Approved {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }

    /// One that was not checked, for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn unchecked(plan: Plan) -> Self {
        Self(plan)
    }
}

/// Approves a plan, or gives all objections to it.
///
/// # Errors
/// Everything that speaks against it; never empty.
pub fn approve(plan: Plan, snapshot: &Snapshot) -> Result<Approved, Vec<Objection>> {
    let objections = check(&plan, snapshot);
    if objections.is_empty() {
        Ok(Approved(plan))
    } else {
        Err(objections)
    }
}

/// Checks a plan against the facts it will be carried out under. Empty = no objection.
pub fn check(plan: &Plan, snapshot: &Snapshot) -> Vec<Objection> {
    let mut objections = Vec::new();
    check_writable(plan, &mut objections);
    check_epoch(plan, snapshot, &mut objections);
    check_order(plan, &mut objections);
    for step in &plan.steps {
        check_step(step, plan, snapshot, &mut objections);
    }
    check_losses(plan, snapshot, &mut objections);
    check_acknowledgers(plan, snapshot, &mut objections);
    old_primary::check_old_primary(plan, &mut objections);
    bounds::check_bounds(plan, snapshot, &mut objections);
    reopening::check_reopening(plan, snapshot, &mut objections);
    events::check_events(plan, snapshot, &mut objections);
    objections
}

fn check_writable(plan: &Plan, objections: &mut Vec<Objection>) {
    let opened: BTreeSet<ServerId> = plan
        .steps
        .iter()
        .filter(|step| step.action.opens_writes())
        .filter_map(|step| step.action.server().cloned())
        .collect();
    if opened.len() > 1 {
        objections.push(Objection::SeveralWritable(opened.clone()));
    }
    for successor in opened.iter().filter(|id| **id != plan.subject) {
        let fenced = plan.steps.iter().any(|step| {
            matches!(&step.action, Action::Command { server, command: ServerCommand::Fence { .. } } if *server == plan.subject)
        });
        if !fenced && plan.fence_waiver.is_none() {
            objections.push(Objection::NotFenced {
                subject: plan.subject.clone(),
                successor: successor.clone(),
            });
        }
    }
}

fn check_epoch(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    if snapshot.control.lease != Some(plan.epoch) {
        objections.push(Objection::StaleEpoch {
            plan: plan.epoch,
            held: snapshot.control.lease,
        });
    }
    // A person's order passes the switch at the API; a running recovery is finished even if it is
    // switched off midway.
    if snapshot.control.enabled != Switch::On && snapshot.control.active.is_none() {
        objections.push(Objection::SwitchedOff);
    }
}

fn check_order(plan: &Plan, objections: &mut Vec<Objection>) {
    let by_id: BTreeMap<StepId, &Step> = plan.steps.iter().map(|step| (step.id, step)).collect();
    let mut ended: BTreeSet<StepId> = BTreeSet::new();
    loop {
        let ready: Vec<StepId> = by_id
            .values()
            .filter(|step| !ended.contains(&step.id) && step.after.is_subset(&ended))
            .map(|step| step.id)
            .collect();
        if ready.is_empty() {
            break;
        }
        ended.extend(ready);
    }
    objections.extend(
        by_id
            .keys()
            .filter(|id| !ended.contains(id))
            .map(|id| Objection::NeverReady { step: *id }),
    );
    for step in plan.steps.iter().filter(|step| step.action.opens_writes()) {
        let confirmed = step.after.iter().filter_map(|id| by_id.get(id)).any(|before| {
            matches!(&before.action, Action::Confirm { target: Some(target), .. } if Some(target) == step.action.server())
        });
        if !confirmed {
            objections.push(Objection::NotConfirmed { step: step.id });
        }
    }
}

fn check_step(step: &Step, plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    if let Some(server) = step.action.server()
        && !snapshot.servers.contains_key(server)
    {
        objections.push(Objection::Stranger {
            step: step.id,
            server: server.clone(),
        });
    }
    if let Action::Command {
        server,
        command: ServerCommand::PointAt { source, .. },
    } = &step.action
    {
        let source = snapshot.addresses.get(source);
        let replaced = matches!(
            plan.purpose,
            Purpose::Recovery(
                RecoveryKind::Failover
                    | RecoveryKind::CoPrimaryFailover
                    | RecoveryKind::IntermediateFailover
            )
        ) && source == Some(&plan.subject)
            && plan.successor.is_some();
        if source == Some(server) || replaced || source.is_none() {
            objections.push(Objection::WrongSource {
                step: step.id,
                server: server.clone(),
            });
        }
    }
}

/// What any answering replica of the replaced server possesses must be possessed by the successor,
/// or be fetched by it.
fn check_losses(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    let Some(successor) = &plan.successor else {
        return;
    };
    if plan.loss_consented {
        return;
    }
    let Some(facts) = snapshot.facts(successor) else {
        return;
    };
    let mut reached = facts.possessed();
    for step in &plan.steps {
        if let Action::CatchUp { server, from } = &step.action
            && server == successor
        {
            for source in from {
                if let Some(facts) = snapshot.facts(source) {
                    reached = reached.union(&facts.possessed());
                }
            }
        }
    }
    let topology = Topology::of(snapshot);
    let replaced = BTreeSet::from([plan.subject.clone()]);
    let history = History::of(snapshot, &topology, &replaced);
    for server in snapshot.servers.values() {
        let answering = server.probe.reach() == crate::model::Reach::Answering;
        let returned = server.quarantined || server.id == plan.subject;
        let Some(facts) = server.last_facts().filter(|_| answering && !returned) else {
            continue;
        };
        let lost = reached
            .missing_count(&history.part(server, facts))
            .unwrap_or(0);
        if lost > 0 && follows_failed(snapshot, &server.id, plan) {
            objections.push(Objection::Discards {
                holder: server.id.clone(),
                transactions: lost,
            });
        }
    }
}

/// Whoever may still acknowledge to a server that is replaced must be fewer than it waits for.
fn check_acknowledgers(plan: &Plan, snapshot: &Snapshot, objections: &mut Vec<Objection>) {
    let opens = plan
        .steps
        .iter()
        .any(|step| step.action.opens_writes() && step.action.server() != Some(&plan.subject));
    let Some(revoked_after) = plan.revoked_after.filter(|_| opens && !plan.loss_consented) else {
        return;
    };
    let found = Acknowledgers::of(snapshot, &plan.subject, Some(revoked_after));
    let against = found.objections(snapshot.control.risk);
    if !against.is_empty() {
        objections.push(Objection::Acknowledged {
            subject: plan.subject.clone(),
            why: against.into_iter().map(|reason| reason.text).collect(),
        });
    }
}

/// Every step that has ended when `step` begins.
fn all_before<'a>(plan: &'a Plan, step: &Step) -> Vec<&'a Step> {
    let by_id: BTreeMap<StepId, &Step> = plan.steps.iter().map(|step| (step.id, step)).collect();
    let mut found = BTreeSet::new();
    let mut next: Vec<StepId> = step.after.iter().copied().collect();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            next.extend(by_id.get(&id).into_iter().flat_map(|step| &step.after));
        }
    }
    found
        .iter()
        .filter_map(|id| by_id.get(id).copied())
        .collect()
}

fn follows_failed(snapshot: &Snapshot, server: &ServerId, plan: &Plan) -> bool {
    plan.purpose != Purpose::Recovery(RecoveryKind::Switchover)
        && crate::model::Topology::of(snapshot).source_of(server) == Some(&plan.subject)
}

#[cfg(test)]
mod tests;
