//! Two processes under one node name: which of them may act.

/// Reads without a new heartbeat of the other process after which it counts as gone. A live process
/// sends at least one heartbeat between two reads.
const UNCHANGED_READS: u32 = 4;

/// What the store has registered under a node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Which start of the process wrote it.
    pub start: String,
    /// Grows with each heartbeat.
    pub heartbeats: u64,
    /// Where that process serves its API.
    pub url: String,
}

/// What is known of another process under this node's name.
#[derive(Clone, Debug, Default)]
pub struct DuplicateNames {
    other: Option<Other>,
}

#[derive(Clone, Debug)]
struct Other {
    registration: Registration,
    unchanged: u32,
}

/// What another process under the same name means for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// There is none.
    Unique,
    /// The other process started later and gives way.
    First(Registration),
    /// The other process started earlier: this one does not act, and leaves the row to it.
    Second(Registration),
}

impl DuplicateNames {
    /// Takes in what is registered under this node's name, after the process with start `own` had
    /// registered itself there.
    pub fn note(&mut self, own: &str, registration: Option<Registration>) -> Precedence {
        let Some(found) = registration.filter(|found| found.start != own) else {
            self.other = None;
            return Precedence::Unique;
        };
        if !is_later_start(own, &found.start) {
            // The other process has written the row after this one, so it is alive. The next
            // heartbeat of this process tells it to give way.
            self.other = None;
            return Precedence::First(found);
        }
        let known = self.other.take();
        let unchanged = known
            .filter(|known| {
                let last = &known.registration;
                last.start == found.start && last.heartbeats == found.heartbeats
            })
            .map_or(0, |known| known.unchanged.saturating_add(1));
        if unchanged >= UNCHANGED_READS {
            return Precedence::Unique;
        }
        self.other = Some(Other {
            registration: found.clone(),
            unchanged,
        });
        Precedence::Second(found)
    }
}

/// True if one start of a process is later than another. A start begins with its time in
/// hexadecimal milliseconds.
pub(super) fn is_later_start(start: &str, than: &str) -> bool {
    let key = |start: &str| {
        let time = start.split_once('-').map_or(start, |(time, _)| time);
        u64::from_str_radix(time, 16).unwrap_or(0)
    };
    (key(start), start) > (key(than), than)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start: &str, heartbeats: u64) -> Registration {
        Registration {
            start: start.to_owned(),
            heartbeats,
            url: "http://elsewhere".to_owned(),
        }
    }

    #[test]
    fn exactly_one_of_two_gives_way() {
        let (early, late) = ("9f-7", "a0-3");
        let mut first = DuplicateNames::default();
        let mut second = DuplicateNames::default();
        assert_eq!(
            first.note(early, Some(row(late, 4))),
            Precedence::First(row(late, 4))
        );
        assert_eq!(
            second.note(late, Some(row(early, 5))),
            Precedence::Second(row(early, 5))
        );
        // Started in the same millisecond: still exactly one of them.
        assert!(is_later_start("9f-8", "9f-7") && !is_later_start("9f-7", "9f-8"));
    }

    #[test]
    fn the_second_may_act_when_the_first_has_ended() {
        let mut second = DuplicateNames::default();
        for beats in 1..20 {
            let found = second.note("a0-3", Some(row("9f-7", beats)));
            assert_eq!(found, Precedence::Second(row("9f-7", beats)));
        }
        for _ in 1..UNCHANGED_READS {
            let found = second.note("a0-3", Some(row("9f-7", 19)));
            assert_eq!(found, Precedence::Second(row("9f-7", 19)));
        }
        let found = second.note("a0-3", Some(row("9f-7", 19)));
        assert_eq!(found, Precedence::Unique);
        let found = second.note("a0-3", Some(row("a0-3", 20)));
        assert_eq!(found, Precedence::Unique);
    }
}
