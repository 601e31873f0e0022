//! Taking back a server that returned after it was replaced: fence it, compare histories, attach or set aside.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::failover::{acknowledging, first_channel, has_source_role};
use super::plan::{Action, Builder, OnFailure, Phase, Plan, StepId};
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
    if let Some(primary) = &snapshot.cluster.primary {
        // Read after the returned one: else live traffic would look errant.
        steps.step(
            Phase::Rejoin,
            Action::Observe {
                server: primary.clone(),
            },
            &[read],
            limits,
        );
    }
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
            channel: first_channel(snapshot, returned),
            source: server.address.clone(),
            start: true,
            configured_account: true,
        };
        let sided = (has_source_role(snapshot, returned) == Some(true)).then(|| {
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

fn plan(snapshot: &Snapshot, returned: &ServerId, epoch: LeaseEpoch, steps: Builder) -> Plan {
    Plan {
        cluster: snapshot.cluster.id.clone(),
        kind: RecoveryKind::Rejoin,
        epoch,
        failed: returned.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        steps: steps.finish(),
    }
}
