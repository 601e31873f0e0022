//! Scheduled events of a server.

use std::collections::BTreeMap;
use std::fmt;

/// Schema and name of a scheduled event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName {
    /// Schema.
    pub schema: String,
    /// Name within the schema.
    pub name: String,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Whether an event runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventState {
    /// It runs, if the scheduler does.
    Enabled,
    /// Somebody disabled it.
    Disabled,
    /// Disabled as on a replica. There, every event that comes through replication is in this
    /// state, whatever it is on the source (tried on MariaDB 10.11 and MySQL 9.7).
    ReplicaDisabled {
        /// The event was created or altered last on this server, so somebody set the state here.
        set_here: bool,
    },
}

/// Scheduled events of a server, as far as Baton's account may see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The scheduler is on.
    pub scheduler: bool,
    /// All events.
    pub states: BTreeMap<EventName, EventState>,
}

impl Events {
    /// The events that run while the scheduler does.
    pub fn enabled(&self) -> impl Iterator<Item = &EventName> {
        self.in_state(|state| state == EventState::Enabled)
    }

    /// The events that came through replication and that nobody here has decided on.
    pub fn left_replica_disabled(&self) -> impl Iterator<Item = &EventName> {
        self.in_state(|state| state == EventState::ReplicaDisabled { set_here: false })
    }

    fn in_state(&self, wanted: impl Fn(EventState) -> bool) -> impl Iterator<Item = &EventName> {
        let found = self.states.iter().filter(move |(_, state)| wanted(**state));
        found.map(|(name, _)| name)
    }
}
