//! Two processes under one name: which of them acts. Pure: told what the store has registered under this node's name.

use baton_ports::NodeRow;

/// Looks without a beat of the other process after which it is gone. It beats at least once between two looks.
const STILL: u32 = 4;

/// What is known of other processes under this node's name.
#[derive(Debug, Default)]
pub(crate) struct DuplicateNames {
    other: Option<Other>,
}

#[derive(Debug)]
struct Other {
    row: NodeRow,
    still: u32,
}

/// What another process under the same name means for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none.
    Alone,
    /// It started later, so it gives way.
    First(NodeRow),
    /// It started earlier, so this one gives way: does not act, and leaves the row to it.
    Second(NodeRow),
}

impl DuplicateNames {
    /// Takes in what is registered under this node's name, after this process had registered itself there.
    pub(crate) fn look(&mut self, own: &str, row: Option<NodeRow>) -> Place {
        let Some(row) = row.filter(|row| row.start != own) else {
            self.other = None;
            return Place::Alone;
        };
        if !is_later(own, &row.start) {
            // Whoever leaves a row behind that it wrote after this process had lives, and is told so by this one's next beat.
            self.other = None;
            return Place::First(row);
        }
        let known = self.other.take();
        let still = known
            .filter(|known| known.row.start == row.start && known.row.beats == row.beats)
            .map_or(0, |known| known.still.saturating_add(1));
        if still >= STILL {
            return Place::Alone;
        }
        self.other = Some(Other {
            row: row.clone(),
            still,
        });
        Place::Second(row)
    }
}

/// Whether one start of a process is later than another: by its moment, which stands first in it.
pub(crate) fn is_later(start: &str, than: &str) -> bool {
    let key = |start: &str| {
        let moment = start.split_once('-').map_or(start, |(moment, _)| moment);
        u64::from_str_radix(moment, 16).unwrap_or(0)
    };
    (key(start), start) > (key(than), than)
}

#[cfg(test)]
mod tests {
    use baton_core::ids::NodeName;

    use super::*;

    fn row(start: &str, beats: u64) -> NodeRow {
        NodeRow {
            name: NodeName::new("n1"),
            start: start.to_owned(),
            url: "http://elsewhere".to_owned(),
            version: "1".to_owned(),
            beats,
            voters_seen: 0,
        }
    }

    #[test]
    fn exactly_one_of_two_gives_way() {
        let (early, late) = ("9f-7", "a0-3");
        let mut first = DuplicateNames::default();
        let mut second = DuplicateNames::default();
        assert_eq!(
            first.look(early, Some(row(late, 4))),
            Place::First(row(late, 4))
        );
        assert_eq!(
            second.look(late, Some(row(early, 5))),
            Place::Second(row(early, 5))
        );
        // Started in the same millisecond: one of them all the same.
        assert!(is_later("9f-8", "9f-7") && !is_later("9f-7", "9f-8"));
    }

    #[test]
    fn the_second_takes_its_place_when_the_first_has_ended() {
        let mut second = DuplicateNames::default();
        for beats in 1..20 {
            let place = second.look("a0-3", Some(row("9f-7", beats)));
            assert_eq!(place, Place::Second(row("9f-7", beats)));
        }
        for _ in 1..STILL {
            let place = second.look("a0-3", Some(row("9f-7", 19)));
            assert_eq!(place, Place::Second(row("9f-7", 19)));
        }
        assert_eq!(second.look("a0-3", Some(row("9f-7", 19))), Place::Alone);
        assert_eq!(second.look("a0-3", Some(row("a0-3", 20))), Place::Alone);
    }
}
