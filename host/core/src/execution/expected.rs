//! How a cluster looks after a plan of which every step did what it is for.
//!
//! A dry run goes on from there, and tests plan again: a plan that was carried out leaves nothing
//! to do. A server that does not answer stays as it was last read: its steps fail, and their plan
//! tolerates that or would not have been made.

use std::time::Duration;

use crate::command::ServerCommand;
use crate::gtid::GtidSet;
use crate::ids::{Address, ServerId};
use crate::model::{Channel, EventState, Events, Server, ServerFacts, Snapshot, ThreadState};
use crate::planning::{Action, Plan};
use crate::time::{Observed, Timestamp};

/// What one step takes, so that a reading after it is younger than it.
const STEP: Duration = Duration::from_millis(1);

/// The cluster after `plan`; its "now" is a millisecond later for each step.
pub fn expected_after(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut after = snapshot.clone();
    for step in &plan.steps {
        after.taken_at = after.taken_at.plus(STEP);
        perform(&mut after, plan, &step.action);
    }
    after
}

/// True if a step would fail, because its server does not answer.
pub fn is_expected_to_fail(snapshot: &Snapshot, action: &Action) -> bool {
    let is_local = matches!(
        action,
        Action::Confirm { .. }
            | Action::LeaveFence { .. }
            | Action::RecordPrimary { .. }
            | Action::Route { .. }
    );
    !is_local && action.server().is_none_or(|id| !snapshot.answers(id))
}

fn perform(after: &mut Snapshot, plan: &Plan, action: &Action) {
    match action {
        Action::Confirm { .. } | Action::LeaveFence { .. } | Action::Route { .. } => {}
        Action::RecordPrimary { server } => {
            after.cluster.primary = Some(server.clone());
            after.cluster.primary_epoch = plan.epoch;
        }
        Action::Command { server, command } => command_sent(after, server, command),
        Action::Observe { server } | Action::AwaitWritable { server } => read(after, server),
        Action::Drain { server } => {
            let possessed = after.facts(server).map(ServerFacts::possessed);
            has_applied(after, server, possessed);
        }
        Action::CatchUp { server, from } => {
            for source in from {
                let executed = after.facts(source).map(|facts| facts.executed.clone());
                has_applied(after, server, executed);
            }
        }
        Action::VerifyCovers { server, from } => {
            read(after, from);
            read(after, server);
        }
        Action::Classify { returned, primary } => {
            read(after, returned);
            read(after, primary);
        }
        Action::AwaitReplicating { server, source } => {
            let executed = after.facts(source).map(|facts| facts.executed.clone());
            has_applied(after, server, executed);
        }
    }
}

/// The server, if it answers.
fn answering<'a>(after: &'a mut Snapshot, id: &ServerId) -> Option<&'a mut Server> {
    let server = after.servers.get_mut(id);
    server.filter(|server| Server::answers(server))
}

fn read(after: &mut Snapshot, id: &ServerId) {
    let now = after.taken_at;
    let Some(server) = answering(after, id) else {
        return;
    };
    server.probe.answered_at = Some(now);
    server.probe.attempted_at = Some(now);
    if let Some(facts) = server.facts.take() {
        server.facts = Some(Observed {
            at: now,
            value: facts.value,
        });
    }
}

fn has_applied(after: &mut Snapshot, id: &ServerId, set: Option<GtidSet>) {
    read(after, id);
    let facts = answering(after, id).and_then(|server| server.facts.as_mut());
    if let (Some(facts), Some(set)) = (facts, set) {
        facts.value.executed = facts.value.executed.union(&set);
    }
}

fn command_sent(after: &mut Snapshot, id: &ServerId, command: &ServerCommand) {
    let now = after.taken_at;
    let lives = |address: &Address| {
        let source = after.server_at(address);
        source.is_none_or(Server::answers)
    };
    let connected = if let ServerCommand::PointAt { source, .. } = command {
        receiver(lives(source))
    } else {
        let facts = after.facts(id).into_iter();
        let channels = facts.flat_map(|facts| &facts.channels);
        let mut sources = channels.filter_map(|channel| channel.source.as_ref());
        receiver(sources.all(lives))
    };
    read(after, id);
    if let Some(server) = answering(after, id) {
        obey(server, command, (now, connected));
    }
}

/// State of a receiver that was just started.
fn receiver(source_answers: bool) -> ThreadState {
    if source_answers {
        ThreadState::Running
    } else {
        ThreadState::Connecting
    }
}

fn obey(server: &mut Server, command: &ServerCommand, (now, connected): (Timestamp, ThreadState)) {
    match command {
        ServerCommand::Fence { kill_writers: _ } => set_read_only(server, true),
        ServerCommand::OpenWrites(_) => set_read_only(server, false),
        ServerCommand::StopReceivers { channel } => {
            each(server, channel.as_deref(), stop_receiver);
        }
        ServerCommand::SeverReceivers { channel } => {
            let severed = each(server, channel.as_deref(), stop_receiver);
            note(&mut server.severed, severed, now);
        }
        ServerCommand::StartReceivers { channel } => {
            each(server, channel.as_deref(), |channel| {
                channel.receiver = connected;
            });
        }
        ServerCommand::ReconnectReceiver { channel } => {
            let names = each(server, Some(channel), |channel| {
                channel.receiver = connected;
            });
            note(&mut server.reconnected, names, now);
        }
        ServerCommand::StopReplication { channel } => {
            each(server, channel.as_deref(), stop);
        }
        ServerCommand::StartReplication { channel } => {
            each(server, channel.as_deref(), |channel| {
                start(channel, connected);
            });
        }
        ServerCommand::StartAppliers { channel } => {
            each(server, channel.as_deref(), |channel| {
                channel.applier = ThreadState::Running;
                channel.applier_error = None;
            });
        }
        ServerCommand::SetDelay { channel, delay } => set_delay(server, channel, *delay),
        ServerCommand::WaitApplied { set, limit: _ } => {
            if let Some(facts) = &mut server.facts {
                facts.value.executed = facts.value.executed.union(set);
            }
        }
        ServerCommand::ForgetReplication { channel } => forget(server, channel.as_deref()),
        ServerCommand::PointAt {
            channel,
            source,
            start,
            configured_account: _,
        } => point_at(server, channel, source, start.then_some(connected)),
        ServerCommand::SetSemiSync { source, replica } => {
            set_semi_sync(server, *source, *replica);
        }
        ServerCommand::RestoreEvents {
            states,
            keep_decided: _,
        } => change_events(server, |name, state| match state {
            EventState::ReplicaDisabled { .. } => states.get(name).copied().unwrap_or(state),
            EventState::Enabled | EventState::Disabled => state,
        }),
        ServerCommand::DisableEvents => change_events(server, |_, state| match state {
            EventState::Enabled => EventState::ReplicaDisabled { set_here: true },
            EventState::Disabled | EventState::ReplicaDisabled { .. } => state,
        }),
    }
}

fn set_read_only(server: &mut Server, read_only: bool) {
    if let Some(facts) = &mut server.facts {
        facts.value.read_only = read_only;
        facts.value.super_read_only = facts.value.super_read_only.map(|_| read_only);
    }
}

/// Changes one channel, or all; gives their names.
fn each(
    server: &mut Server,
    name: Option<&str>,
    mut change: impl FnMut(&mut Channel),
) -> Vec<String> {
    let facts = server.facts.as_mut();
    let channels = facts
        .into_iter()
        .flat_map(|facts| &mut facts.value.channels);
    let concerned = channels.filter(|channel| name.is_none_or(|name| channel.name == name));
    concerned
        .map(|channel| {
            change(channel);
            channel.name.clone()
        })
        .collect()
}

fn note(instants: &mut Vec<(String, Timestamp)>, names: Vec<String>, now: Timestamp) {
    instants.retain(|(name, _)| !names.contains(name));
    instants.extend(names.into_iter().map(|name| (name, now)));
}

fn stop_receiver(channel: &mut Channel) {
    channel.receiver = ThreadState::Stopped;
    channel.receiver_error = None;
}

fn stop(channel: &mut Channel) {
    stop_receiver(channel);
    channel.applier = ThreadState::Stopped;
    channel.lag = None;
}

fn start(channel: &mut Channel, connected: ThreadState) {
    channel.receiver = connected;
    channel.receiver_error = None;
    channel.applier = ThreadState::Running;
    channel.applier_error = None;
}

fn set_delay(server: &mut Server, name: &str, delay: Duration) {
    let mut before = Duration::ZERO;
    each(server, Some(name), |channel| {
        before = channel.delay;
        channel.delay = delay;
        stop(channel);
        channel.auto_position = !delay.is_zero();
        if delay.is_zero() {
            channel.applier = ThreadState::Running;
        }
    });
    server.lifted.retain(|(channel, _)| channel != name);
    if delay.is_zero() {
        server.lifted.push((name.to_owned(), before));
    }
}

fn forget(server: &mut Server, name: Option<&str>) {
    if let Some(facts) = &mut server.facts {
        let channels = &mut facts.value.channels;
        channels.retain(|channel| name.is_some_and(|name| channel.name != name));
    }
}

fn point_at(server: &mut Server, name: &str, source: &Address, started: Option<ThreadState>) {
    let Some(facts) = &mut server.facts else {
        return;
    };
    let channels = &mut facts.value.channels;
    if !channels.iter().any(|channel| channel.name == name) {
        channels.push(new_channel(name, facts.value.executed.empty_like()));
    }
    server.lifted.retain(|(channel, _)| channel != name);
    each(server, Some(name), |channel| {
        stop(channel);
        channel.source = Some(source.clone());
        channel.source_uid = None;
        channel.source_server_id = None;
        channel.auto_position = true;
        channel.applier_error = None;
        if let Some(connected) = started {
            start(channel, connected);
        }
    });
}

fn new_channel(name: &str, received: GtidSet) -> Channel {
    Channel {
        name: name.to_owned(),
        source: None,
        source_uid: None,
        source_server_id: None,
        user: String::new(),
        receiver: ThreadState::Stopped,
        applier: ThreadState::Stopped,
        receiver_error: None,
        applier_error: None,
        received,
        auto_position: true,
        lag: None,
        delay: Duration::ZERO,
        filtered: false,
        read_position: (String::new(), 0),
        applied_position: (String::new(), 0),
        relay_position: (String::new(), 0),
        heartbeats: None,
        heartbeat_period: None,
        tls: false,
    }
}

fn set_semi_sync(server: &mut Server, source: Option<bool>, replica: Option<bool>) {
    let facts = server.facts.as_mut();
    let Some(semi_sync) = facts.and_then(|facts| facts.value.semi_sync.as_mut()) else {
        return;
    };
    if let Some(on) = source {
        semi_sync.source_enabled = on;
        semi_sync.source_active = on;
        semi_sync.waiting_sessions = 0;
    }
    if let Some(on) = replica {
        semi_sync.replica_enabled = on;
        semi_sync.replica_active = on;
    }
}

fn change_events(
    server: &mut Server,
    change: impl Fn(&crate::model::EventName, EventState) -> EventState,
) {
    let facts = server.facts.as_mut();
    let events: Option<&mut Events> = facts.and_then(|facts| facts.value.events.as_mut());
    for (name, state) in events.into_iter().flat_map(|events| &mut events.states) {
        *state = change(name, *state);
    }
}
