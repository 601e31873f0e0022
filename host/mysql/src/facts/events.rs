//! Scheduled events.

use baton_core::model::{EventName, EventState, Events};

use crate::rows::{Record, Table};

/// All events of a server, from its table of them and its variables.
pub(super) fn events(table: &Table, now: &Record<'_>) -> Events {
    let own_id = now.text(&["server_id"]);
    let event = |record: Record<'_>| {
        let state = match record.text(&["status"])? {
            "ENABLED" => EventState::Enabled,
            "DISABLED" => EventState::Disabled,
            status if is_replica_disabled(status) => EventState::ReplicaDisabled {
                set_here: record.text(&["originator"]) == own_id,
            },
            _ => return None,
        };
        Some((name(&record), state))
    };
    Events {
        scheduler: now.flag(&["event_scheduler"]).unwrap_or(false),
        states: table.records().filter_map(event).collect(),
    }
}

/// The name of a row of the table.
pub(crate) fn name(record: &Record<'_>) -> EventName {
    EventName {
        schema: record.owned(&["event_schema"]),
        name: record.owned(&["event_name"]),
    }
}

/// `SLAVESIDE_DISABLED`, and on newer servers of MySQL `REPLICA_SIDE_DISABLED`.
pub(crate) fn is_replica_disabled(status: &str) -> bool {
    status.ends_with("SIDE_DISABLED")
}
