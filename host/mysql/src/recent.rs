//! What the sessions of one server read lately, so that one does not ask again what another was
//! told a moment ago.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::ids::Address;
use baton_core::time::Timestamp;

use crate::rows::Table;

/// Recent answers of all servers. Grows with the fleet, no further.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllRecent(Arc<Mutex<BTreeMap<Address, Recent>>>);

impl AllRecent {
    /// Those of the server at `address`.
    pub(crate) fn of(&self, address: &Address) -> Recent {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(address.clone()).or_default().clone()
    }
}

/// Recent answers of one server, shared by its sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<Answers>>);

#[derive(Debug, Default)]
struct Answers {
    takes_writes: bool,
    events: Option<(Timestamp, Table)>,
    space: Option<Timestamp>,
}

impl Recent {
    /// Notes whether clients may write to it, as every reading shows.
    pub(crate) fn note_writable(&self, takes_writes: bool) {
        self.lock().takes_writes = takes_writes;
    }

    /// The events are to be read again, since they were changed.
    pub(crate) fn forget_events(&self) {
        self.lock().events = None;
    }

    /// Whether clients may write to it, as the last reading of any session showed.
    pub(crate) fn takes_writes(&self) -> bool {
        self.lock().takes_writes
    }

    /// Notes the events of a reading that was sent at `at`.
    pub(crate) fn note_events(&self, at: Timestamp, events: &Table) {
        self.lock().events = Some((at, events.clone()));
    }

    /// The events, if they were read after `opened` and within `age` before `now`, and when.
    ///
    /// What was read before a session was opened may be another server's, or of before a restart.
    pub(crate) fn events(
        &self,
        opened: Timestamp,
        now: Timestamp,
        age: Duration,
    ) -> Option<(Timestamp, Table)> {
        let answers = self.lock();
        let known = answers.events.as_ref();
        known
            .filter(|(at, _)| is_recent(*at, opened, now, age))
            .cloned()
    }

    /// Notes that a reading that was sent at `at` asked who waits for space.
    pub(crate) fn note_space(&self, at: Timestamp) {
        self.lock().space = Some(at);
    }

    /// Whether that was asked after `opened` and within `age` before `now`.
    pub(crate) fn knows_space(&self, opened: Timestamp, now: Timestamp, age: Duration) -> bool {
        let asked = self.lock().space;
        asked.is_some_and(|at| is_recent(at, opened, now, age))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: Timestamp, opened: Timestamp, now: Timestamp, age: Duration) -> bool {
    at >= opened && now.since(at) < age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_read_lately_and_since_the_session_was_opened_stands() {
        let all = AllRecent::default();
        let address = Address::new("db1", 3306).unwrap();
        let second = |second: u64| Timestamp::from_millis(1_000 * second);
        let age = Duration::from_secs(6);
        let table = Table {
            columns: vec!["event_name".to_owned()],
            rows: Vec::new(),
        };
        all.of(&address).note_events(second(10), &table);
        let recent = all.of(&address);
        let known = |opened, now| recent.events(second(opened), second(now), age);
        assert_eq!(known(0, 12), Some((second(10), table)));
        assert_eq!(known(0, 16), None, "too long ago");
        assert_eq!(known(11, 12), None, "before the session");
        let other = Address::new("db2", 3306).unwrap();
        assert_eq!(all.of(&other).events(second(0), second(12), age), None);
        recent.forget_events();
        assert_eq!(recent.events(second(0), second(12), age), None);
        recent.note_space(second(10));
        assert!(recent.knows_space(second(0), second(12), age));
        assert!(!recent.knows_space(second(11), second(12), age));
    }
}
