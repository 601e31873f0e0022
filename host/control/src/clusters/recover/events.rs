//! A journal text about a server's events after a command.

use baton_core::command::ServerCommand;
use baton_core::ids::ServerId;
use baton_core::model::EventState;
use std::time::Duration;

use crate::clusters::members::Members;

/// A sentence about the events that a command was about; empty for other commands, and if the
/// server does not tell.
pub(super) async fn told(
    members: &Members,
    server: &ServerId,
    command: &ServerCommand,
    limit: Duration,
) -> String {
    let wanted = match command {
        ServerCommand::RestoreEvents { states, .. } => Some(states),
        ServerCommand::DisableEvents => None,
        _ => return String::new(),
    };
    let read = members.observe(server, limit).await;
    let Some(events) = read.ok().and_then(|facts| facts.events) else {
        return String::new();
    };
    let Some(wanted) = wanted else {
        return match events.enabled().count() {
            0 => format!("{server} runs no event any more"),
            left => format!(
                "{left} events of {server} stay enabled until replication reaches them; nothing can write there"
            ),
        };
    };
    let to_run = wanted
        .iter()
        .filter(|(_, state)| **state == EventState::Enabled);
    let runs = |name| events.states.get(name) == Some(&EventState::Enabled);
    let running = to_run.clone().filter(|(name, _)| runs(name)).count();
    let left = events.left_replica_disabled().count();
    let text = format!("{running} of {} events run on {server}", to_run.count());
    match left {
        0 => text,
        left => format!("{text}; {left} others are disabled, and whether they ran is not known"),
    }
}
