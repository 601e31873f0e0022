//! What is made sure of about the old primary: that it stands still before its successor is opened,
//! what it has before it follows, and that it is closed when it comes back to life.

use super::PlanSettings;
use super::channels::channel_of;
use super::events;
use super::failover::does_not_let_go;
use super::plan::{Action, Builder, OnFailure, Phase, StepId};
use super::semi_sync::acknowledging;
use crate::analysis::storage_fails;
use crate::command::ServerCommand;
use crate::ids::ServerId;
use crate::model::Snapshot;

/// Somebody may write in spite of a fence: a privileged account, an event, a prepared transaction.
/// So the old primary is read again as late as possible, and one that has moved on is given back.
pub(super) fn add_second_reading(
    steps: &mut Builder,
    (from, to): (&ServerId, &ServerId),
    after: &[StepId],
    settings: &PlanSettings,
) -> StepId {
    let action = Action::VerifyCovers {
        server: to.clone(),
        from: from.clone(),
    };
    let limits = (OnFailure::Abort, settings.step_limit);
    steps.step(Phase::Drain, action, after, limits)
}

/// A server that hangs may go on at any moment, writable, with its clients still connected; so may
/// one whose disk was full, once there is space. Left only once its successor was opened: until
/// then it may have to stay the primary.
pub(super) fn add_left_fence(
    steps: &mut Builder,
    snapshot: &Snapshot,
    subject: &ServerId,
    opened: StepId,
    settings: &PlanSettings,
) {
    let server = snapshot.servers.get(subject);
    if does_not_let_go(snapshot, subject) || server.is_some_and(storage_fails) {
        let action = Action::LeaveFence {
            server: subject.clone(),
        };
        let limits = (OnFailure::Continue, settings.silent_fence_limit);
        steps.step(Phase::Fence, action, &[opened], limits);
    }
}

/// The old primary becomes a replica, if its history allows. It never was one, perhaps: the
/// configured account is used unless it has a channel.
pub(super) fn add_demoted(
    steps: &mut Builder,
    snapshot: &Snapshot,
    (from, to): (&ServerId, &ServerId),
    (opened, acknowledges): (StepId, bool),
    settings: &PlanSettings,
) {
    let Some(address) = snapshot
        .servers
        .get(to)
        .map(|server| server.address.clone())
    else {
        return;
    };
    let action = Action::Classify {
        returned: from.clone(),
        primary: to.clone(),
    };
    // Not earlier: the fence's own lock keeps events still until then, and is given up for it. Not
    // later: one that is set aside runs no event either, and what is written without that lock is
    // compared.
    let closed = events::add_disabling(steps, snapshot, from, opened, settings);
    let classified = steps.step(
        Phase::Rejoin,
        action,
        &[closed],
        (OnFailure::SkipDependants, settings.step_limit),
    );
    let sided = acknowledges.then(|| {
        let limits = (OnFailure::Continue, settings.step_limit);
        let command = acknowledging();
        steps.command(Phase::Rejoin, (from, command), &[classified], limits)
    });
    let sided = sided.unwrap_or(classified);
    let point = ServerCommand::PointAt {
        channel: channel_of(snapshot, from),
        source: address,
        start: true,
        configured_account: true,
    };
    let pointed = steps.command(
        Phase::Rejoin,
        (from, point),
        &[sided],
        (OnFailure::SkipDependants, settings.step_limit),
    );
    let followed = steps.step(
        Phase::Verify,
        Action::AwaitReplicating {
            server: from.clone(),
            source: to.clone(),
        },
        &[pointed],
        (OnFailure::Continue, settings.verify_limit),
    );
    // It may be the only one to acknowledge it.
    events::add_restoring(steps, snapshot, (from, to), &[opened, followed], settings);
}

#[cfg(test)]
mod tests;
