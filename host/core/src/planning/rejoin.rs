//! Taking back a server that returned after it was replaced: fence it, compare histories, attach or
//! set aside.

use std::collections::BTreeSet;

use super::PlanSettings;
use super::channels::channel_of;
use super::events;
use super::plan::{Action, Builder, OnFailure, Phase, Plan, Purpose, StepId};
use super::semi_sync::{acknowledging, has_source_role};
use crate::command::ServerCommand;
use crate::gtid::{GtidSet, Origin};
use crate::ids::{LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, ServerFacts, Snapshot};

/// What a returned server's history is, beside the present primary's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejoinClass {
    /// Everything it has, the primary has: it can follow.
    Subset,
    /// It has transactions that the primary lacks: it must not follow, and must not lose them
    /// silently.
    Errant {
        /// How many.
        count: u64,
        /// Which, as text.
        transactions: String,
    },
    /// The primary was restored after it wrote these, and nobody who answers shows whether they
    /// were in it: it must not follow either.
    Untold {
        /// Its last transactions that cannot be told, as text.
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

impl RejoinClass {
    /// What the server has, or may have, and its primary lacks, as text; it is set aside with it.
    pub fn set_aside_with(&self) -> Option<&str> {
        match self {
            Self::Errant { transactions, .. } | Self::Untold { transactions } => Some(transactions),
            Self::Subset | Self::NeedsData { .. } | Self::Incomparable => None,
        }
    }

    /// Why `returned` must not follow `primary`; `None` if it may.
    pub fn objection(&self, returned: &ServerId, primary: &ServerId) -> Option<String> {
        match self {
            Self::Subset => None,
            Self::Errant {
                count,
                transactions,
            } => Some(format!(
                "{returned} has {count} transactions that the primary lacks: {transactions}"
            )),
            Self::Untold { transactions } => Some(format!(
                "whether {primary} has what {returned} wrote up to {transactions} cannot be told: {primary} was restored since, and not \
                 replicated"
            )),
            Self::NeedsData { count } => Some(format!(
                "{returned} needs {count} transactions that {primary} has purged: provision it anew"
            )),
            Self::Incomparable => Some(format!(
                "the histories of {returned} and {primary} cannot be compared"
            )),
        }
    }
}

/// Classifies a returned server. `returned` must have been read *before* `primary`.
pub fn classify_returned(returned: &ServerFacts, primary: &ServerFacts) -> RejoinClass {
    if primary.executed.missing_count(&returned.executed).is_none() {
        return RejoinClass::Incomparable;
    }
    let own: BTreeSet<Origin> = returned.origin().into_iter().collect();
    let history = primary.executed.with_history_of(&returned.executed, &own);
    if let Some(errant) = GtidSet::errant(&returned.executed, &history) {
        if errant.count > 0 {
            return RejoinClass::Errant {
                count: errant.count,
                transactions: errant.text,
            };
        }
        // What others wrote came to it by replication, from the cluster.
        if own.is_empty() || !own.is_disjoint(&errant.unknown_of) {
            return RejoinClass::Untold {
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
    let mut steps = Builder::new(snapshot, 1);
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
    let mut steps = Builder::new(snapshot, first_step);
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

/// It was a primary that waited for acknowledgements; or whoever made a replica of it ended before
/// it was told to acknowledge, as its new primary expects.
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
        purpose: Purpose::Recovery(RecoveryKind::Rejoin),
        epoch,
        subject: returned.clone(),
        successor: None,
        fence_waiver: None,
        loss_consented: false,
        revoked_after: None,
        steps: steps.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::{PlanSettings, RejoinClass, acknowledging, classify_returned, plan_attach};
    use crate::gtid::GtidSet;
    use crate::ids::{LeaseEpoch, ServerId};
    use crate::model::ServerFacts;
    use crate::planning::Action;
    use crate::sketch;

    fn classified(returned: (u32, &str), primary: (&str, &str)) -> RejoinClass {
        let snapshot = sketch::snapshot("p1 primary mariadb\nr1 mariadb");
        let facts = |name: &str| snapshot.facts(&ServerId::new(name)).unwrap().clone();
        let history = |state, position| GtidSet::parse_mariadb_history(state, position).unwrap();
        let returned = ServerFacts {
            server_id: returned.0,
            executed: history(returned.1, ""),
            ..facts("r1")
        };
        let primary = ServerFacts {
            executed: history(primary.0, primary.1),
            ..facts("p1")
        };
        classify_returned(&returned, &primary)
    }

    /// "has 0 transactions that the primary lacks", and it was set aside.
    #[test]
    fn what_others_wrote_before_the_primary_was_restored_is_history() {
        let restored = ("", "0-1-1000");
        assert_eq!(
            classified((3, "0-2-700,0-1-900"), restored),
            RejoinClass::Subset
        );
        let untold = classified((2, "0-2-700"), restored);
        let objection = untold.objection(&ServerId::new("old"), &ServerId::new("new"));
        assert!(objection.unwrap().contains("up to 0-2-700 cannot be told"));
        let errant = classified((3, "0-3-1001"), restored);
        assert!(
            matches!(errant, RejoinClass::Errant { count: 1, .. }),
            "{errant:?}"
        );
    }

    /// A switchover whose leader died between the two sides left the old primary with neither:
    /// writers of its successor waited for ever (seen with MySQL 9.7).
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
