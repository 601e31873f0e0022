//! Performing one step at the edge. Preconditions are read again just before acting; acting twice does no harm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_core::command::{RightNeeded, ServerCommand};
use baton_core::gtid::GtidSet;
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::model::{Bounds, Reach, ServerFacts, ThreadState, Topology, named};
use baton_core::planning::{Action, Step};
use baton_ports::{Route, StatementError, StoreError};
use futures::future::join_all;
use tokio::time::sleep;

use super::Means;
use super::compare::{classify, verify_covers};
use crate::lease::LEASE;
use crate::right::refused;
use crate::sessions::WorkError;

/// Pause between two read-backs.
const READ_BACK: Duration = Duration::from_millis(20);
/// One that has been silent for so long is not waited for.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// Performs a step; gives a sentence for the journal, or an empty text.
///
/// Dropped midway, the session in use is ended and the outcome is unknown.
pub(crate) async fn perform(
    means: &Arc<Means>,
    epoch: LeaseEpoch,
    step: &Step,
) -> Result<String, WorkError> {
    let limit = step.limit;
    match &step.action {
        Action::Confirm { target, others } => {
            means.confirm(epoch, target.as_ref(), others, limit).await
        }
        Action::Command { server, command } => send(means, epoch, server, command, limit).await,
        Action::Observe { server } => observe(means, server, limit).await.map(|_| String::new()),
        Action::Drain { server } => {
            means.ensure_right(epoch, limit).await?;
            let facts = observe(means, server, limit).await?;
            let (channels, all) = of_the_cluster(means, server, facts.possessed());
            apply(means, server, (&facts, &channels), all, limit).await
        }
        Action::CatchUp { server, from } => {
            means.ensure_right(epoch, limit).await?;
            catch_up(means, server, from, limit).await
        }
        Action::VerifyCovers { server, from } => verify_covers(means, server, from, limit).await,
        Action::Classify { returned, primary } => {
            means.ensure_right(epoch, limit).await?;
            classify(means, returned, primary, limit).await
        }
        Action::LeaveFence { server } => {
            means.ensure_right(epoch, limit).await?;
            Ok(if means.sessions.leave_fence(server) {
                format!("a fence waits for {server}")
            } else {
                format!("{server} will be fenced when it is seen again")
            })
        }
        Action::RecordPrimary { server } => record_primary(means, epoch, server).await,
        Action::Route { server } => route(means, epoch, server).await,
        Action::AwaitWritable { server } => await_writable(means, server, limit).await,
        Action::AwaitReplicating { server, source } => {
            await_replicating(means, server, source, limit).await
        }
    }
}

impl Means {
    pub(crate) fn nobody(&self) -> ServerId {
        ServerId::new("-")
    }
}

fn store_refused(command: &'static str, error: &StoreError) -> WorkError {
    refused(command, error.with_causes())
}

async fn send(
    means: &Arc<Means>,
    epoch: LeaseEpoch,
    server: &ServerId,
    command: &ServerCommand,
    limit: Duration,
) -> Result<String, WorkError> {
    match command.properties().right {
        // Refused when its guard does not fit in what remains of the lease. The step before armed it.
        RightNeeded::Guarded(guard) => means.check_lease(epoch, guard.within)?,
        RightNeeded::Asked => {
            means.check_lease(epoch, Duration::ZERO)?;
            means.ensure_right(epoch, limit).await?;
        }
    }
    let sent = send_plain(means, server, command, limit).await;
    if let Err(WorkError::Statement(StatementError::GuardFailed { .. })) = &sent {
        // The server itself counted short.
        means.right.note_refused(means.clock.now());
    }
    sent?;
    Ok(super::events::told(means, server, command, limit).await)
}

/// Sends one change on the standing session of a server.
async fn send_plain(
    means: &Means,
    server: &ServerId,
    command: &ServerCommand,
    limit: Duration,
) -> Result<(), WorkError> {
    if let ServerCommand::SetDelay { channel, delay } = command
        && delay.is_zero()
    {
        // Before it is sent: a later reading does not show it any more.
        means.registry.note_lifting(server, channel);
    }
    let mut lent = means.sessions.lend(server, limit).await?;
    let outcome = lent
        .session
        .perform(command, limit)
        .await
        .map_err(WorkError::Statement);
    lent.keep_after(&outcome);
    if outcome.is_ok() {
        note_channels(means, server, command);
    }
    outcome
}

/// A severed receiver may look as if it ran; one that was started since does run. A delay that was set back is not lifted any more.
fn note_channels(means: &Means, server: &ServerId, command: &ServerCommand) {
    match command {
        ServerCommand::SeverReceivers {
            channel: Some(channel),
        } => {
            let now = means.clock.now();
            means.registry.note_severed(server, channel, now);
        }
        ServerCommand::StartReceivers { channel } | ServerCommand::StartReplication { channel } => {
            means.registry.note_started(server, channel.as_deref());
        }
        ServerCommand::PointAt {
            start: true,
            channel,
            ..
        }
        | ServerCommand::ReconnectReceiver { channel } => {
            means.registry.note_started(server, Some(channel));
        }
        ServerCommand::SetDelay { channel, delay } if !delay.is_zero() => {
            means.registry.note_delayed(server, Some(channel));
        }
        ServerCommand::ForgetReplication { channel } => {
            means.registry.note_delayed(server, channel.as_deref());
        }
        _ => {}
    }
}

/// Reads a server now and puts the reading into the picture.
pub(crate) async fn observe(
    means: &Means,
    server: &ServerId,
    limit: Duration,
) -> Result<ServerFacts, WorkError> {
    match means.sessions.read(server, limit).await {
        Ok(answer) => {
            let facts = answer.facts.clone();
            means
                .registry
                .answered(server, answer, means.clock.now(), means.clock.wall());
            Ok(means.registry.with_restored(server, facts))
        }
        Err(failure) => {
            means.registry.failed(
                server,
                failure.clone(),
                means.clock.now(),
                means.clock.wall(),
            );
            Err(WorkError::Lost(failure))
        }
    }
}

/// The channels of a server that lead to members of its cluster, and what of a set that it has is of that cluster. What it reads from
/// another one is not waited for, and its appliers are left as they are.
pub(super) fn of_the_cluster(
    means: &Means,
    server: &ServerId,
    set: GtidSet,
) -> (Vec<String>, GtidSet) {
    let Some(snapshot) = means.snapshot() else {
        return (Vec::new(), set);
    };
    let topology = Topology::of(&snapshot);
    let bounds = Bounds::of(&snapshot, &topology);
    let inner = bounds.inner(&topology, server);
    let channels = inner.map(|edge| edge.channel.name.clone()).collect();
    (channels, bounds.own(&snapshot, &topology, server, set))
}

/// Starts the appliers that do not run, and waits until `set` is applied.
async fn apply(
    means: &Means,
    server: &ServerId,
    (facts, channels): (&ServerFacts, &[String]),
    set: GtidSet,
    limit: Duration,
) -> Result<String, WorkError> {
    let missing = facts.executed.missing_count(&set).unwrap_or(0);
    if missing == 0 {
        return Ok(format!("{server} has applied everything"));
    }
    let stopped = facts.channels.iter().filter(|channel| {
        channels.contains(&channel.name) && channel.applier != ThreadState::Running
    });
    let mut lent = means.sessions.lend(server, limit).await?;
    let mut outcome = Ok(());
    for channel in stopped {
        if outcome.is_ok() {
            let channel = Some(channel.name.clone());
            let start = ServerCommand::StartAppliers { channel };
            outcome = lent.session.perform(&start, limit).await;
        }
    }
    if outcome.is_ok() {
        outcome = lent
            .session
            .perform(&ServerCommand::WaitApplied { set, limit }, limit)
            .await;
    }
    let outcome = outcome.map_err(WorkError::Statement);
    lent.keep_after(&outcome);
    outcome.map(|()| format!("{server} applied {missing} transactions"))
}

/// Until nothing is missing, because who was fenced may still move: the limit of the step ends it.
async fn catch_up(
    means: &Means,
    server: &ServerId,
    from: &BTreeSet<ServerId>,
    limit: Duration,
) -> Result<String, WorkError> {
    let mut told = Vec::new();
    loop {
        let (missing, text) = catch_up_once(means, server, from, limit).await?;
        told.push(text);
        if missing == 0 {
            return Ok(told.swap_remove(0));
        }
    }
}

async fn catch_up_once(
    means: &Means,
    server: &ServerId,
    from: &BTreeSet<ServerId>,
    limit: Duration,
) -> Result<(u64, String), WorkError> {
    let readings = join_all(from.iter().map(|id| observe(means, id, limit))).await;
    let mut wanted: Option<GtidSet> = None;
    for (id, reading) in from.iter().zip(readings) {
        let (_, executed) = of_the_cluster(means, id, reading?.executed);
        wanted = Some(wanted.map_or_else(|| executed.clone(), |all| all.union(&executed)));
    }
    let Some(wanted) = wanted else {
        return Ok((0, String::new()));
    };
    let mut facts = observe(means, server, limit).await?;
    // What lies before its position never comes.
    facts.executed = facts.executed.with_history_of(&wanted, &BTreeSet::new());
    let missing = facts.executed.missing_count(&wanted).unwrap_or(0);
    let (channels, _) = of_the_cluster(means, server, wanted.empty_like());
    let text = apply(means, server, (&facts, &channels), wanted, limit).await?;
    Ok((missing, text))
}

async fn record_primary(
    means: &Means,
    epoch: LeaseEpoch,
    server: &ServerId,
) -> Result<String, WorkError> {
    // In memory first: a store that is away must not keep the rest of the loop on the old primary.
    means.registry.set_primary(&means.cluster, server, epoch);
    let stored = means
        .store
        .set_primary(LEASE, epoch, &means.cluster, server)
        .await;
    stored.map_err(|error| store_refused("record-primary", &error))?;
    Ok(String::new())
}

async fn route(means: &Means, epoch: LeaseEpoch, server: &ServerId) -> Result<String, WorkError> {
    let Some(snapshot) = means.snapshot() else {
        return Ok(String::new());
    };
    let Some(address) = means.registry.address(server) else {
        return Ok(String::new());
    };
    let routes = routes(
        &means.registry.settings.route_prefix,
        &snapshot.cluster.name,
        &address,
        epoch,
    );
    let stored = means.store.put_routes(LEASE, epoch, &routes).await;
    stored.map_err(|error| store_refused("route", &error))?;
    Ok(format!("clients are sent to {address}"))
}

/// The key-value pairs of a cluster, named as orchestrator names them.
pub(crate) fn routes(
    prefix: &str,
    cluster: &str,
    address: &baton_core::ids::Address,
    epoch: LeaseEpoch,
) -> Vec<Route> {
    let key = format!("{}/{cluster}", prefix.trim_end_matches('/'));
    [
        (key.clone(), address.to_string()),
        (format!("{key}/hostname"), address.host.clone()),
        (format!("{key}/port"), address.port.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| Route { key, value, epoch })
    .collect()
}

async fn await_writable(
    means: &Means,
    server: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let until = means.clock.now().plus(limit);
    loop {
        let facts = observe(means, server, limit).await?;
        if facts.is_writable() && facts.super_read_only != Some(true) {
            return Ok(format!("{server} is writable{}", in_doubt(&facts)));
        }
        if means.clock.now() >= until {
            let error = StatementError::NotReached {
                command: "await-writable",
                limit,
            };
            return Err(WorkError::Statement(error));
        }
        sleep(READ_BACK).await;
    }
}

/// What is prepared on a new primary. Its coordinator has to end it there from now on.
fn in_doubt(facts: &ServerFacts) -> String {
    let prepared = facts.prepared.iter().flatten();
    let names: Vec<&String> = prepared.collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "; {} XA transactions are prepared, to be committed or rolled back there: {}",
        names.len(),
        named(names.iter().copied())
    )
}

async fn await_replicating(
    means: &Means,
    server: &ServerId,
    source: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let until = means.clock.now().plus(limit);
    let read_limit = means.registry.settings.read_limit;
    loop {
        let seen = observe(means, server, read_limit).await;
        let replicating = seen
            .as_ref()
            .is_ok_and(|facts| replicates_from(means, facts, source));
        if replicating {
            return Ok(format!("{server} replicates from {source}"));
        }
        if let Some(gone) = [source, server].into_iter().find(|id| has_ended(means, id)) {
            let text = format!(
                "{gone} does not answer any more, so {server} does not replicate from {source}"
            );
            return Err(refused("await-replicating", text));
        }
        if means.clock.now() >= until {
            let error = StatementError::NotReached {
                command: "await-replicating",
                limit,
            };
            return seen.and(Err(WorkError::Statement(error)));
        }
        sleep(READ_BACK).await;
    }
}

/// Its host says that nobody listens there any more, or it has been silent for long. To wait for it would keep its failover waiting, too.
fn has_ended(means: &Means, id: &ServerId) -> bool {
    let inner = means.registry.lock();
    let Some(probe) = inner.servers.get(id).map(|entry| &entry.probe) else {
        return true;
    };
    let silent_for = probe.failing_since.map(|at| means.clock.now().since(at));
    let is_silent = probe.reach() == Reach::Silent && silent_for > Some(SILENT_FOR);
    probe.is_refused() || is_silent
}

fn replicates_from(means: &Means, facts: &ServerFacts, source: &ServerId) -> bool {
    let inner = means.registry.lock();
    facts.channels.iter().any(|channel| {
        channel.is_replicating()
            && channel
                .source
                .as_ref()
                .and_then(|address| inner.addresses.get(address))
                == Some(source)
    })
}
