//! Times as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_core::model::Snapshot;
use baton_core::time::{Timestamp, WallTime};

/// The last second that has a four-digit year; later ones (a downtime "for ever") are shown as it.
const LAST_MILLIS: u64 = 253_402_300_799_000;

/// `2026-11-24T05:41:10.123Z`.
pub fn rfc3339(time: WallTime) -> String {
    humantime::format_rfc3339_millis(system_time(time)).to_string()
}

/// `2026-11-24 05:41:10`, in UTC, as the predecessor's objects carry times.
pub fn spaced(time: WallTime) -> String {
    humantime::format_rfc3339_seconds(system_time(time))
        .to_string()
        .replace('T', " ")
        .replace('Z', "")
}

/// Now by the wall clock.
pub fn now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The wall-clock time of an instant that the snapshot knows.
pub fn wall_of(snapshot: &Snapshot, at: Timestamp) -> WallTime {
    let age = snapshot.taken_at.since(at);
    let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    WallTime::from_millis(snapshot.wall.millis().saturating_sub(millis))
}

/// How long ago, by the snapshot's clock.
pub fn age(snapshot: &Snapshot, at: Timestamp) -> Duration {
    snapshot.taken_at.since(at)
}

fn system_time(time: WallTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(time.millis().min(LAST_MILLIS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_size_have_a_text() {
        let time = WallTime::from_millis(1_795_498_870_123);
        assert_eq!(spaced(time), "2026-11-24 05:41:10");
        assert_eq!(rfc3339(time), "2026-11-24T05:41:10.123Z");
        assert_eq!(
            spaced(WallTime::from_millis(u64::MAX)),
            "9999-12-31 23:59:59"
        );
    }
}
