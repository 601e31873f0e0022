//! A plan: immutable, complete, with every server, step and precondition named, so that the
//! executor has no choice left.

use std::collections::BTreeSet;
use std::time::Duration;

use super::semi_sync::{is_held_up, silenced};
use crate::command::{IfUnknown, ServerCommand};
use crate::ids::{ClusterId, LeaseEpoch, ServerId};
use crate::model::{RecoveryKind, Snapshot};
use crate::time::Timestamp;
use crate::words;

/// Number of a step within its recovery; steps of later plans of the same recovery go on counting.
pub type StepId = u32;

/// What a step is for, in the order of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Confirm the right to act.
    Lock,
    /// Make the old primary unable to accept writes.
    Fence,
    /// Stop receivers, so that nothing more can be acknowledged.
    Revoke,
    /// Let candidates apply what they received.
    Drain,
    /// Decide who takes over.
    Choose,
    /// Make the chosen server writable.
    Promote,
    /// Tell clients.
    Route,
    /// Let siblings follow.
    Repoint,
    /// Read back.
    Verify,
    /// Take the old primary back.
    Rejoin,
    /// Undo.
    Unwind,
    /// Repair something beside recoveries.
    Repair,
}

words!(Phase {
    Lock = "lock",
    Fence = "fence",
    Revoke = "revoke",
    Drain = "drain",
    Choose = "choose",
    Promote = "promote",
    Route = "route",
    Repoint = "repoint",
    Verify = "verify",
    Rejoin = "rejoin",
    Unwind = "unwind",
    Repair = "repair",
});

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Arm the guard on `target` (if there is one), then confirm that the lock is still held on
    /// every server of `others` that answers and by nobody else on any, and that the lease outlives
    /// the guard.
    Confirm {
        /// The server that will be made writable.
        target: Option<ServerId>,
        /// The others whose locks are confirmed.
        others: BTreeSet<ServerId>,
    },
    /// Send one change to one server.
    Command {
        /// The server.
        server: ServerId,
        /// The change.
        command: ServerCommand,
    },
    /// Read a server, so that what follows is decided on fresh facts.
    Observe {
        /// The server.
        server: ServerId,
    },
    /// Read what `server` itself has received by now and wait until all of it is applied.
    Drain {
        /// The server.
        server: ServerId,
    },
    /// Read what each of `from` has executed by now and wait until `server` has applied all of it.
    CatchUp {
        /// The server that has to catch up.
        server: ServerId,
        /// Whose transactions.
        from: BTreeSet<ServerId>,
    },
    /// Read `from` again, then `server`: fails if `from` has executed what `server` has not, as a
    /// fence that somebody writes through lets it.
    VerifyCovers {
        /// The server that is to take over.
        server: ServerId,
        /// The fenced one.
        from: ServerId,
    },
    /// Read `returned`, then `primary`, and compare their histories: fails, and sets `returned`
    /// aside, if it has transactions that `primary` lacks.
    Classify {
        /// The server that is to follow.
        returned: ServerId,
        /// The present primary.
        primary: ServerId,
    },
    /// Leave a fence for a replaced server that hangs, to be carried out the moment it goes on.
    /// Nothing is waited for.
    LeaveFence {
        /// The server.
        server: ServerId,
    },
    /// Record the intended primary.
    RecordPrimary {
        /// The server.
        server: ServerId,
    },
    /// Write the routes of the cluster.
    Route {
        /// The server clients are sent to.
        server: ServerId,
    },
    /// Read back until the server is writable.
    AwaitWritable {
        /// The server.
        server: ServerId,
    },
    /// Read back until `server` replicates from `source` with both threads running.
    AwaitReplicating {
        /// The replica.
        server: ServerId,
        /// Its source.
        source: ServerId,
    },
}

impl Action {
    /// The server a step is mainly about.
    pub fn server(&self) -> Option<&ServerId> {
        match self {
            Self::Confirm { target, others: _ } => target.as_ref(),
            Self::Command { server, command: _ }
            | Self::Observe { server }
            | Self::Drain { server }
            | Self::CatchUp { server, from: _ }
            | Self::VerifyCovers { server, from: _ }
            | Self::Classify {
                returned: server,
                primary: _,
            }
            | Self::LeaveFence { server }
            | Self::RecordPrimary { server }
            | Self::Route { server }
            | Self::AwaitWritable { server }
            | Self::AwaitReplicating { server, source: _ } => Some(server),
        }
    }

    /// True if the step changes its server, or may start a thread there.
    pub fn changes(&self) -> bool {
        match self {
            Self::Command { .. } | Self::Drain { .. } | Self::CatchUp { .. } => true,
            Self::Confirm { .. }
            | Self::Observe { .. }
            | Self::VerifyCovers { .. }
            | Self::Classify { .. }
            | Self::LeaveFence { .. }
            | Self::RecordPrimary { .. }
            | Self::Route { .. }
            | Self::AwaitWritable { .. }
            | Self::AwaitReplicating { .. } => false,
        }
    }

    /// True if the step has a server apply what it has received, or prepares that.
    pub fn drains(&self) -> bool {
        let lifts = matches!(
            self,
            Self::Command { command: ServerCommand::SetDelay { delay, .. }, server: _ } if delay.is_zero()
        );
        lifts || matches!(self, Self::Drain { .. })
    }

    /// True for the one step after which there is no way back but forward.
    pub fn opens_writes(&self) -> bool {
        matches!(
            self,
            Self::Command { command, server: _ } if command.properties().if_unknown == IfUnknown::Ask
        )
    }

    /// A few words for the journal.
    pub fn describe(&self) -> String {
        match self {
            Self::Confirm {
                target: Some(target),
                others,
            } => {
                format!(
                    "arm the guard on {target} and confirm the locks on {} servers",
                    others.len()
                )
            }
            Self::Confirm {
                target: None,
                others,
            } => {
                format!("confirm the locks on {} servers", others.len())
            }
            Self::Command { server, command } => command.describe_on(server),
            Self::Observe { server } => format!("read {server}"),
            Self::Drain { server } => format!("wait until {server} has applied what it received"),
            Self::CatchUp { server, from } => {
                let from: Vec<&str> = from.iter().map(ServerId::as_str).collect();
                format!(
                    "wait until {server} has applied all that {} executed",
                    from.join(", ")
                )
            }
            Self::VerifyCovers { server, from } => {
                format!("read {from} again: {server} must have all that it executed")
            }
            Self::Classify { returned, primary } => {
                format!("compare the history of {returned} with that of {primary}")
            }
            Self::LeaveFence { server } => {
                format!("leave a fence for {server}, should it go on")
            }
            Self::RecordPrimary { server } => format!("record {server} as primary"),
            Self::Route { server } => format!("send clients to {server}"),
            Self::AwaitWritable { server } => format!("read back that {server} is writable"),
            Self::AwaitReplicating { server, source } => {
                format!("read back that {server} replicates from {source}")
            }
        }
    }
}

/// What a failed step means for its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The plan stops; nothing after it is begun.
    Abort,
    /// The failure is recorded and steps that wait for this one go on.
    Continue,
    /// The failure is recorded and steps that wait for this one are skipped: a sibling is lost, the
    /// plan goes on.
    SkipDependants,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number.
    pub id: StepId,
    /// What it is for.
    pub phase: Phase,
    /// What it does.
    pub action: Action,
    /// Steps that must have ended before.
    pub after: BTreeSet<StepId>,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Time limit of the step.
    pub limit: Duration,
}

/// What a plan is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A recovery on record.
    Recovery(RecoveryKind),
    /// A repair beside recoveries, see [`Repair`](super::Repair).
    Repair,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Cluster it is for.
    pub cluster: ClusterId,
    /// What it is part of.
    pub purpose: Purpose,
    /// The epoch under which it was made; no other may carry it out.
    pub epoch: LeaseEpoch,
    /// The server that is replaced, rejoined or repaired.
    pub subject: ServerId,
    /// The server that will be writable at its end, if the plan changes that.
    pub successor: Option<ServerId>,
    /// Why promotion may happen without a confirmed fence, if it may.
    pub fence_waiver: Option<String>,
    /// What the plan may lose was stated and accepted, by a person or by what the cluster may risk.
    pub loss_consented: bool,
    /// When receivers began to be stopped: a receiver counts as cut off only by what was done or
    /// read after that. `None` where nothing is revoked.
    pub revoked_after: Option<Timestamp>,
    /// Steps, by number.
    pub steps: Vec<Step>,
}

#[cfg(test)]
impl Plan {
    /// The words of the commands to one server, in their order.
    pub(crate) fn words_on(&self, id: &str) -> Vec<&'static str> {
        let steps = self.steps.iter();
        let words = steps.filter_map(|step| match &step.action {
            Action::Command { server, command } if server.as_str() == id => Some(command.word()),
            _ => None,
        });
        words.collect()
    }
}

/// Builds the steps of a plan; numbering starts where the recovery's earlier plans ended.
///
/// A replica whose applier waits for acknowledgements of its own is released before its applier is
/// stopped: that would hang until the wait's time limit is over, and with it the session that holds
/// the cluster's lock on it (seen on MariaDB 10.11 and MySQL 9.7).
#[derive(Debug)]
pub(crate) struct Builder {
    next: StepId,
    steps: Vec<Step>,
    held_up: BTreeSet<ServerId>,
}

impl Builder {
    pub(crate) fn new(snapshot: &Snapshot, first: StepId) -> Self {
        let servers = snapshot.servers.keys();
        Self {
            next: first,
            steps: Vec::new(),
            held_up: servers
                .filter(|id| is_held_up(snapshot, id))
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn step(
        &mut self,
        phase: Phase,
        action: Action,
        after: &[StepId],
        policy: (OnFailure, Duration),
    ) -> StepId {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let (on_failure, limit) = policy;
        self.steps.push(Step {
            id,
            phase,
            action,
            after: after.iter().copied().collect(),
            on_failure,
            limit,
        });
        id
    }

    pub(crate) fn command(
        &mut self,
        phase: Phase,
        target: (&ServerId, ServerCommand),
        after: &[StepId],
        policy: (OnFailure, Duration),
    ) -> StepId {
        let (server, command) = target;
        let released = self.released(phase, (server, &command), after, policy.1);
        let after = released.as_ref().map_or(after, std::slice::from_ref);
        self.command_as_it_is(phase, (server, command), after, policy)
    }

    fn released(
        &mut self,
        phase: Phase,
        (server, command): (&ServerId, &ServerCommand),
        after: &[StepId],
        limit: Duration,
    ) -> Option<StepId> {
        if let ServerCommand::SetSemiSync {
            source: Some(_), ..
        } = command
        {
            self.held_up.remove(server);
        }
        let is_due = command.properties().stops_applier && self.held_up.remove(server);
        is_due.then(|| {
            let limits = (OnFailure::Continue, limit);
            self.command_as_it_is(phase, (server, silenced()), after, limits)
        })
    }

    fn command_as_it_is(
        &mut self,
        phase: Phase,
        (server, command): (&ServerId, ServerCommand),
        after: &[StepId],
        policy: (OnFailure, Duration),
    ) -> StepId {
        let server = server.clone();
        self.step(phase, Action::Command { server, command }, after, policy)
    }

    /// The steps so far.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn finish(self) -> Vec<Step> {
        self.steps
    }
}
