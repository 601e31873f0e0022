//! Taking back a server that returned after it was replaced: fence it, compare histories, attach or set aside.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::channels::channel_of;
use super::events;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, StepId};
use super::semi_sync::{acknowledging, has_source_role};
use crate::execution::ServerCommand;
use crate::gtid::GtidSet;
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, ServerFacts, Snapshot};

/// What a returned server's history is, beside the present primary's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejoinClass {
    /// Everything it has, the primary has: it can follow.
    Subset,
    /// It has transactions that the primary lacks: it must not follow, and must not lose them silently.
    Errant {
        /// How many.
        count: u64,
        /// Which, as text.
        transactions: String,
    },
    /// The primary no longer has the binary logs it would need: it must be provisioned anew.
    NeedsData {
        /// How many transactions are out of reach.
        count: u64,
    },
    /// The histories cannot be compared.
    Incomparable,
}

/// Classifies a returned server. `returned` must have been read *before* `primary`.
pub fn classify_returned(returned: &ServerFacts, primary: &ServerFacts) -> RejoinClass {
    if primary.executed.missing_count(&returned.executed).is_none() {
        return RejoinClass::Incomparable;
    }
    if let Some(errant) = GtidSet::errant(&returned.executed, &primary.executed) {
        if errant.count > 0 {
            return RejoinClass::Errant {
                count: errant.count,
                transactions: errant.text,
            };
        }
        if !errant.unknown.is_empty() {
            return RejoinClass::Errant {
                count: 0,
                transactions: errant.unknown,
            };
        }
    }
    let unreachable = primary
        .purged
        .as_ref()
        .and_then(|purged| returned.executed.missing_count(purged));
    match unreachable {
        Some(count) if count > 0 => RejoinClass::NeedsData { count },
        Some(_) | None => RejoinClass::Subset,
    }
}

/// Fences a returned server and reads it. Fencing a server that is not the primary is always right.
pub fn plan_fence(
    snapshot: &Snapshot,
    returned: &ServerId,
    epoch: LeaseEpoch,
    settings: &PlanSettings,
) -> Plan {
    let mut steps = Builder::new(1);
    let others = BTreeSet::from([returned.clone()]);
    let limits = (OnFailure::Abort, settings.step_limit);
    let confirm = steps.step(
        Phase::Lock,
        Action::Confirm {
            target: None,
            others,
        },
        &[],
        limits,
    );
    let fence = ServerCommand::Fence { kill_writers: true };
    let fenced = steps.command(Phase::Fence, (returned, fence), &[confirm], limits);
    let read = steps.step(
        Phase::Rejoin,
        Action::Observe {
            server: returned.clone(),
        },
        &[fenced],
        limits,
    );
    let read = match &snapshot.cluster.primary {
        // Read after the returned one: else live traffic would look errant.
        Some(primary) => steps.step(
            Phase::Rejoin,
            Action::Observe {
                server: primary.clone(),
            },
            &[read],
            (OnFailure::Continue, settings.step_limit),
        ),
        None => read,
    };
    // Not earlier: the fence's own lock keeps events still until then, and is given up for it.
    events::add_disabling(&mut steps, snapshot, returned, read, settings);
    plan(snapshot, returned, epoch, steps)
}

/// Attaches a fenced server whose history is a subset to the present primary.
pub fn plan_attach(
    snapshot: &Snapshot,
    target: (&ServerId, &ServerId),
    epoch: LeaseEpoch,
    settings: &PlanSettings,
    first_step: StepId,
) -> Plan {
    let (returned, primary) = target;
    let mut steps = Builder::new(first_step);
    if let Some(server) = snapshot.servers.get(primary) {
        let point = ServerCommand::PointAt {
            channel: channel_of(snapshot, returned),
            source: server.address.clone(),
            start: true,
            configured_account: true,
        };
        let sided = is_to_acknowledge(snapshot, returned, primary).then(|| {
            let limits = (OnFailure::Continue, settings.step_limit);
            let command = acknowledging();
            steps.command(Phase::Rejoin, (returned, command), &[], limits)
        });
        let pointed = steps.command(
            Phase::Rejoin,
            (returned, point),
            sided.as_slice(),
            (OnFailure::Abort, settings.step_limit),
        );
        steps.step(
            Phase::Verify,
            Action::AwaitReplicating {
                server: returned.clone(),
                source: primary.clone(),
            },
            &[pointed],
            (OnFailure::Abort, settings.verify_limit),
        );
    }
    plan(snapshot, returned, epoch, steps)
}

/// It was a primary that waited for acknowledgements; or whoever made a replica of it ended before it was told to acknowledge, as its
/// new primary expects.
fn is_to_acknowledge(snapshot: &Snapshot, returned: &ServerId, primary: &ServerId) -> bool {
    let own = snapshot
        .facts(returned)
        .and_then(|facts| facts.semi_sync.as_ref());
    own.is_some_and(|own| {
        own.source_enabled
            || !own.replica_enabled && has_source_role(snapshot, primary) == Some(true)
    })
}

fn plan(snapshot: &Snapshot, returned: &ServerId, epoch: LeaseEpoch, steps: Builder) -> Plan {
    Plan {
        cluster: snapshot.cluster.id.clone(),
        kind: RecoveryKind::Rejoin,
        epoch,
        failed: returned.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PlanSettings, acknowledging, plan_attach};
    use crate::ids::{LeaseEpoch, ServerId};
    use crate::planning::Action;
    use crate::sketch;

    /// A switchover whose leader died between the two sides left the old primary with neither: writers of its successor waited
    /// for ever (seen with MySQL 9.7).
    #[test]
    fn a_returned_server_acknowledges_where_the_primary_waits() {
        for (primary, returned, expected) in [
            ("ss=source", "ss=source", true),
            ("ss=source", "wait_for=1", true),
            ("ss=source", "ss=replica", false),
            ("wait_for=1", "wait_for=1", false),
            ("", "", false),
        ] {
            let text = format!("p1 primary {primary}\nr1 {returned}");
            let snapshot = sketch::snapshot(&text);
            let (p1, r1) = (ServerId::new("p1"), ServerId::new("r1"));
            let settings = PlanSettings::default();
            let plan = plan_attach(&snapshot, (&r1, &p1), LeaseEpoch::default(), &settings, 1);
            let sided = plan.steps.iter().any(|step| {
                matches!(&step.action, Action::Command { command, .. } if *command == acknowledging())
            });
            assert_eq!(sided, expected, "{text}");
        }
    }
}
