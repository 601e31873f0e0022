//! Durations and times for people.

use std::time::{Duration, SystemTime};

/// Two units at most: `850ms`, `12s`, `3m 4s`, `2h 5m`, `9d 1h`.
pub(crate) fn short(duration: Duration) -> String {
    let (millis, seconds) = (duration.as_millis(), duration.as_secs());
    let two = |big: u64, big_word: &str, small: u64, small_word: &str| match small {
        0 => format!("{big}{big_word}"),
        _ => format!("{big}{big_word} {small}{small_word}"),
    };
    match seconds {
        0 if millis == 0 => "0s".to_owned(),
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86400, "d", seconds % 86400 / 3600, "h"),
    }
}

/// Milliseconds with a fraction where that matters: `0.42 ms`, `38.1 ms`, `1250 ms`.
pub(crate) fn millis(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10),
        10_000..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{} ms", micros / 1000),
    }
}

/// How long ago, or until when; the time as it is if it cannot be read.
pub(crate) fn ago(time: &str, now: SystemTime) -> String {
    let Ok(at) = humantime::parse_rfc3339_weak(time) else {
        return time.to_owned();
    };
    match now.duration_since(at) {
        Ok(age) => format!("{} ago", short(age)),
        Err(ahead) => format!("in {}", short(ahead.duration())),
    }
}

/// A GTID set without the middle of its UUIDs: `3e11…562:1-77`.
pub(crate) fn gtid(set: &str) -> String {
    let shorten = |part: &str| match part.trim().split_once(':') {
        Some((uuid, rest)) if uuid.len() == 36 => {
            let head: String = uuid.chars().take(4).collect();
            let tail: String = uuid.chars().skip(33).collect();
            format!("{head}…{tail}:{rest}")
        }
        _ => part.trim().to_owned(),
    };
    set.split(',').map(shorten).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let of = |millis| short(Duration::from_millis(millis));
        assert_eq!(of(0), "0s");
        assert_eq!(of(850), "850ms");
        assert_eq!(of(12_900), "12s");
        assert_eq!(of(60_000), "1m");
        assert_eq!(of(184_000), "3m 4s");
        assert_eq!(of(7_500_000), "2h 5m");
        assert_eq!(of(781_200_000), "9d 1h");
        assert_eq!(millis(420), "0.42 ms");
        assert_eq!(millis(38_140), "38.1 ms");
        assert_eq!(millis(1_250_999), "1250 ms");
    }

    #[test]
    fn gtid_sets_are_shortened() {
        assert_eq!(gtid("0-1-100,1-2-3"), "0-1-100, 1-2-3");
        assert_eq!(
            gtid("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7"),
            "3e11…562:1-5:7"
        );
    }

    #[test]
    fn times() {
        let now = humantime::parse_rfc3339("2026-11-24T05:41:10Z").expect("a time");
        assert_eq!(ago("2026-11-24T05:40:10.000Z", now), "1m ago");
        assert_eq!(ago("2026-11-24T06:41:10Z", now), "in 1h");
        assert_eq!(ago("yesterday", now), "yesterday");
    }
}
