//! Whether there is room on the disk.

use std::time::Duration;

use baton_core::model::Space;

use crate::rows::{Record, Table};

/// States of a statement that waits for space, as MariaDB and others name them. Names of states are
/// the same in all languages of messages.
const AWAITED: [&str; 2] = [
    "Waiting for someone to free space",
    "Waiting for disk space",
];

/// What a list of sessions, or the answer of MySQL's own question, shows.
///
/// A receiver that waits for space for its relay log says nothing about commits.
pub(super) fn space(table: Option<&Table>) -> Space {
    let Some(table) = table else {
        return Space::NoSign;
    };
    let answer = table.first().filter(|record| record.has("space_sessions"));
    let Some(answer) = answer else {
        let waits = table.records().filter(awaits).count();
        return awaited(u32::try_from(waits).unwrap_or(u32::MAX));
    };
    let age = |name: &str| answer.number(&[name]).map(Duration::from_micros);
    match awaited(answer.number(&["space_sessions"]).unwrap_or(0)) {
        Space::NoSign => {}
        waits => return waits,
    }
    match age("space_first").zip(age("space_last")) {
        Some((first, last)) => Space::Refused { first, last },
        None => Space::NoSign,
    }
}

fn awaited(sessions: u32) -> Space {
    if sessions == 0 {
        Space::NoSign
    } else {
        Space::Awaited { sessions }
    }
}

fn awaits(session: &Record<'_>) -> bool {
    is_waiting(session) && !is_receiver(session)
}

fn is_waiting(session: &Record<'_>) -> bool {
    let state = session.text(&["State"]).unwrap_or_default();
    AWAITED.contains(&state)
}

fn is_receiver(session: &Record<'_>) -> bool {
    session.text(&["Command"]) == Some("Slave_IO")
}

/// Whether a list of sessions shows a receiver that waits for space for its relay log.
pub(crate) fn is_receiver_stuck(sessions: &Table) -> bool {
    let mut receivers = sessions.records().filter(is_receiver);
    receivers.any(|receiver| is_waiting(&receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[Option<&str>]]) -> Table {
        let text =
            |cells: &[Option<&str>]| cells.iter().map(|cell| cell.map(str::to_owned)).collect();
        Table {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: rows.iter().map(|row| text(row)).collect(),
        }
    }

    #[test]
    fn sessions_that_wait_for_space_are_counted() {
        let full = Some("Waiting for someone to free space");
        let listed = table(
            &["Id", "Command", "State"],
            &[
                &[Some("8"), Some("Query"), full],
                &[Some("9"), Some("Query"), Some("Commit")],
                &[Some("10"), Some("Slave_IO"), full],
                &[Some("11"), Some("Sleep"), None],
                &[Some("12"), Some("Slave_SQL"), full],
            ],
        );
        assert_eq!(space(Some(&listed)), Space::Awaited { sessions: 2 });
        assert!(is_receiver_stuck(&listed));
        assert!(!is_receiver_stuck(&Table::default()));
        assert_eq!(space(Some(&Table::default())), Space::NoSign);
        assert_eq!(space(None), Space::NoSign);
    }

    #[test]
    fn the_error_log_tells_who_waits_and_what_was_refused() {
        let columns = ["space_sessions", "space_first", "space_last"];
        let told = |cells: &[Option<&str>]| space(Some(&table(&columns, &[cells])));
        assert_eq!(told(&[Some("0"), None, None]), Space::NoSign);
        assert_eq!(
            told(&[Some("2"), Some("9"), Some("9")]),
            Space::Awaited { sessions: 2 }
        );
        assert_eq!(
            told(&[Some("0"), Some("4000000"), Some("10000")]),
            Space::Refused {
                first: Duration::from_secs(4),
                last: Duration::from_millis(10),
            }
        );
    }
}
