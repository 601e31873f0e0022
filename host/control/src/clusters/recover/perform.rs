//! Performing one step on the servers. Preconditions are read again just before the change;
//! performing a step twice does no harm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_core::command::{RightNeeded, ServerCommand};
use baton_core::gtid::GtidSet;
use baton_core::ids::{LeaseEpoch, ServerId};
use baton_core::model::{Reach, ServerFacts, ThreadState, named};
use baton_core::planning::{Action, Step};
use baton_ports::{StatementError, StoreError};
use futures::future::join_all;
use tokio::time::sleep;

use super::compare::{classify, verify_covers};
use crate::clusters::members::Members;
use crate::clusters::quorum::{ClusterQuorum, refused};
use crate::clusters::records::{Records, routes};
use crate::clusters::sessions::WorkError;

/// Pause between two read-backs.
const READ_BACK: Duration = Duration::from_millis(20);
/// A server that has been silent for this long is not waited for.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// Performs single steps: the only part that changes servers.
pub(crate) struct Performer {
    pub(crate) members: Arc<Members>,
    pub(crate) quorum: Arc<ClusterQuorum>,
    pub(crate) records: Arc<Records>,
}

impl Performer {
    /// Performs a step. Gives a sentence for the journal, or an empty text.
    ///
    /// Dropped midway, the session in use is ended and the outcome is unknown.
    pub(crate) async fn perform_step(
        &self,
        epoch: LeaseEpoch,
        step: &Step,
    ) -> Result<String, WorkError> {
        let (members, quorum, limit) = (&*self.members, &self.quorum, step.limit);
        match &step.action {
            Action::Confirm { target, others } => {
                quorum.confirm(epoch, target.as_ref(), others, limit).await
            }
            Action::Command { server, command } => send(self, epoch, server, command, limit).await,
            Action::Observe { server } => {
                members.observe(server, limit).await.map(|_| String::new())
            }
            Action::Drain { server } => {
                quorum.ensure(epoch, limit).await?;
                let facts = members.observe(server, limit).await?;
                let (channels, all) = members.own_part(server, facts.possessed());
                apply(members, server, (&facts, &channels), all, limit).await
            }
            Action::CatchUp { server, from } => {
                quorum.ensure(epoch, limit).await?;
                catch_up(members, server, from, limit).await
            }
            Action::VerifyCovers { server, from } => {
                verify_covers(members, server, from, limit).await
            }
            Action::Classify { returned, primary } => {
                quorum.ensure(epoch, limit).await?;
                classify(self, returned, primary, limit).await
            }
            Action::LeaveFence { server } => {
                quorum.ensure(epoch, limit).await?;
                Ok(if members.sessions.leave_fence(server) {
                    format!("a fence waits for {server}")
                } else {
                    format!("{server} will be fenced when it is seen again")
                })
            }
            Action::RecordPrimary { server } => self.record_primary(epoch, server).await,
            Action::Route { server } => self.route(epoch, server).await,
            Action::AwaitWritable { server } => await_writable(members, server, limit).await,
            Action::AwaitReplicating { server, source } => {
                await_replicating(members, server, source, limit).await
            }
        }
    }

    /// Quarantines a server with the transactions that the primary lacks, in memory first.
    pub(super) async fn quarantine(
        &self,
        server: &ServerId,
        transactions: &str,
    ) -> Result<(), StoreError> {
        self.members.registry.quarantine(server);
        self.records.quarantine(server, transactions).await
    }

    async fn record_primary(
        &self,
        epoch: LeaseEpoch,
        server: &ServerId,
    ) -> Result<String, WorkError> {
        // In memory first: a store that is away must not keep the rest of the loop on the old
        // primary.
        let members = &self.members;
        let registry = &members.registry;
        registry.set_primary(&members.cluster, server, epoch);
        let stored = self.records.set_primary(epoch, server).await;
        stored.map_err(|error| store_refused("record-primary", &error))?;
        Ok(String::new())
    }

    async fn route(&self, epoch: LeaseEpoch, server: &ServerId) -> Result<String, WorkError> {
        let registry = &self.members.registry;
        let snapshot = self.members.snapshot();
        let Some((snapshot, address)) = snapshot.zip(registry.address(server)) else {
            return Ok(String::new());
        };
        let prefix = &registry.settings.route_prefix;
        let routes = routes(prefix, &snapshot.cluster.name, &address, epoch);
        let stored = self.records.put_routes(epoch, &routes).await;
        stored.map_err(|error| store_refused("route", &error))?;
        Ok(format!("clients are sent to {address}"))
    }
}

fn store_refused(command: &'static str, error: &StoreError) -> WorkError {
    refused(command, error.with_causes())
}

async fn send(
    performer: &Performer,
    epoch: LeaseEpoch,
    server: &ServerId,
    command: &ServerCommand,
    limit: Duration,
) -> Result<String, WorkError> {
    let (members, quorum) = (&*performer.members, &performer.quorum);
    match command.properties().right {
        // Refused when its guard does not fit in what remains of the lease. The step before armed
        // it.
        RightNeeded::Guarded(guard) => quorum.check_lease(epoch, guard.within)?,
        RightNeeded::Asked => {
            quorum.check_lease(epoch, Duration::ZERO)?;
            quorum.ensure(epoch, limit).await?;
        }
    }
    let sent = send_plain(members, server, command, limit).await;
    if let Err(WorkError::Statement(StatementError::GuardFailed { .. })) = &sent {
        // The server itself counted short.
        quorum.note_missing();
    }
    sent?;
    Ok(super::events::told(members, server, command, limit).await)
}

/// Sends one change on the standing session of a server.
async fn send_plain(
    members: &Members,
    server: &ServerId,
    command: &ServerCommand,
    limit: Duration,
) -> Result<(), WorkError> {
    if let ServerCommand::SetDelay { channel, delay } = command
        && delay.is_zero()
    {
        // Before it is sent: a later reading does not show it any more.
        members.registry.note_lifting(server, channel);
    }
    let mut lent = members.sessions.lend(server, limit).await?;
    let outcome = lent
        .session
        .perform(command, limit)
        .await
        .map_err(WorkError::Statement);
    lent.keep_after(&outcome);
    if outcome.is_ok() {
        note_channels(members, server, command);
    }
    outcome
}

/// Notes what the command did to the server's channels. A severed receiver may be shown as running;
/// one that was started since is running. A delay that was set again is not lifted any more.
fn note_channels(members: &Members, server: &ServerId, command: &ServerCommand) {
    match command {
        ServerCommand::SeverReceivers {
            channel: Some(channel),
        } => {
            let now = members.clock.now();
            members.registry.note_severed(server, channel, now);
        }
        ServerCommand::StartReceivers { channel } | ServerCommand::StartReplication { channel } => {
            members.registry.note_started(server, channel.as_deref());
        }
        ServerCommand::PointAt {
            start: true,
            channel,
            ..
        }
        | ServerCommand::ReconnectReceiver { channel } => {
            members.registry.note_started(server, Some(channel));
        }
        ServerCommand::SetDelay { channel, delay } if !delay.is_zero() => {
            members.registry.note_delayed(server, Some(channel));
        }
        ServerCommand::ForgetReplication { channel } => {
            members.registry.note_delayed(server, channel.as_deref());
        }
        _ => {}
    }
}

/// Starts the appliers that do not run, and waits until `set` is applied.
async fn apply(
    members: &Members,
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
    let mut lent = members.sessions.lend(server, limit).await?;
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

/// Repeats until nothing is missing, because a fenced server may still commit. The limit of the
/// step ends it.
async fn catch_up(
    members: &Members,
    server: &ServerId,
    from: &BTreeSet<ServerId>,
    limit: Duration,
) -> Result<String, WorkError> {
    let mut told = Vec::new();
    loop {
        let (missing, text) = catch_up_once(members, server, from, limit).await?;
        told.push(text);
        if missing == 0 {
            return Ok(told.swap_remove(0));
        }
    }
}

async fn catch_up_once(
    members: &Members,
    server: &ServerId,
    from: &BTreeSet<ServerId>,
    limit: Duration,
) -> Result<(u64, String), WorkError> {
    let readings = join_all(from.iter().map(|id| members.observe(id, limit))).await;
    let mut wanted: Option<GtidSet> = None;
    for (id, reading) in from.iter().zip(readings) {
        let (_, executed) = members.own_part(id, reading?.executed);
        wanted = Some(wanted.map_or_else(|| executed.clone(), |all| all.union(&executed)));
    }
    let Some(wanted) = wanted else {
        return Ok((0, String::new()));
    };
    let mut facts = members.observe(server, limit).await?;
    // What lies before its position never comes.
    facts.executed = facts.executed.with_history_of(&wanted, &BTreeSet::new());
    let missing = facts.executed.missing_count(&wanted).unwrap_or(0);
    let (channels, _) = members.own_part(server, wanted.empty_like());
    let text = apply(members, server, (&facts, &channels), wanted, limit).await?;
    Ok((missing, text))
}

async fn await_writable(
    members: &Members,
    server: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let until = members.clock.now().plus(limit);
    loop {
        let facts = members.observe(server, limit).await?;
        if facts.is_writable() && facts.super_read_only != Some(true) {
            return Ok(format!("{server} is writable{}", in_doubt(&facts)));
        }
        if members.clock.now() >= until {
            let error = StatementError::NotReached {
                command: "await-writable",
                limit,
            };
            return Err(WorkError::Statement(error));
        }
        sleep(READ_BACK).await;
    }
}

/// Names the XA transactions that are prepared on a new primary: their coordinator has to end them
/// there.
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
    members: &Members,
    server: &ServerId,
    source: &ServerId,
    limit: Duration,
) -> Result<String, WorkError> {
    let until = members.clock.now().plus(limit);
    let read_limit = members.registry.settings.read_limit;
    loop {
        let seen = members.observe(server, read_limit).await;
        let replicating = seen
            .as_ref()
            .is_ok_and(|facts| replicates_from(members, facts, source));
        if replicating {
            return Ok(format!("{server} replicates from {source}"));
        }
        if let Some(gone) = [source, server]
            .into_iter()
            .find(|id| has_ended(members, id))
        {
            let text = format!(
                "{gone} does not answer any more, so {server} does not replicate from {source}"
            );
            return Err(refused("await-replicating", text));
        }
        if members.clock.now() >= until {
            let error = StatementError::NotReached {
                command: "await-replicating",
                limit,
            };
            return seen.and(Err(WorkError::Statement(error)));
        }
        sleep(READ_BACK).await;
    }
}

/// True if its host refuses connections, or it has been silent for long. Waiting for such a server
/// would delay its own failover.
fn has_ended(members: &Members, id: &ServerId) -> bool {
    let inventory = members.registry.latest();
    let Some(probe) = inventory.servers.get(id).map(|entry| &entry.probe) else {
        return true;
    };
    let silent_for = probe.failing_since.map(|at| members.clock.now().since(at));
    let is_silent = probe.reach() == Reach::Silent && silent_for > Some(SILENT_FOR);
    probe.is_refused() || is_silent
}

fn replicates_from(members: &Members, facts: &ServerFacts, source: &ServerId) -> bool {
    let inventory = members.registry.latest();
    facts.channels.iter().any(|channel| {
        channel.is_replicating()
            && channel
                .source
                .as_ref()
                .and_then(|address| inventory.addresses.get(address))
                == Some(source)
    })
}
