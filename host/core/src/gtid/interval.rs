//! Sorted lists of half-open intervals of transaction numbers, and their algebra in linear time.

use std::fmt;

/// The highest transaction number MySQL gives or accepts: 2^63 - 2.
pub const GNO_MAX: u64 = i64::MAX as u64 - 1;

/// The transaction numbers from `start` up to but not including `end`. Never empty; `start` is at
/// least 1 and `end` at most [`GNO_MAX`] + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    start: u64,
    end: u64,
}

impl Interval {
    /// The numbers from `first` to `last`, both included, or nothing if there is no such number or
    /// it is out of range.
    pub const fn from_first_to_last(first: u64, last: u64) -> Option<Self> {
        if first == 0 || last < first || last > GNO_MAX {
            return None;
        }
        Some(Self {
            start: first,
            end: last + 1,
        })
    }

    /// The first number in the interval.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The number after the last one in the interval.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The last number in the interval.
    pub const fn last(self) -> u64 {
        self.end - 1
    }

    /// How many numbers are in the interval: at least one.
    pub const fn count(self) -> u64 {
        self.end - self.start
    }

    const fn between(start: u64, end: u64) -> Option<Self> {
        if start < end {
            Some(Self { start, end })
        } else {
            None
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 1 {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.last())
        }
    }
}

/// A set of transaction numbers: intervals in ascending order with a gap between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// The intervals in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is no number in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in the set. It cannot overflow: all are below 2^63.
    pub fn count(&self) -> u64 {
        self.iter().map(Interval::count).sum()
    }

    /// The highest number in the set.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|interval| interval.last())
    }

    /// Whether one number is in the set.
    pub fn contains_number(&self, number: u64) -> bool {
        let after = self.0.partition_point(|interval| interval.end <= number);
        self.0
            .get(after)
            .is_some_and(|interval| interval.start <= number)
    }

    /// Whether every number of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        let mut ours = self.iter().peekable();
        other.iter().all(|theirs| {
            while ours.next_if(|our| our.end < theirs.end).is_some() {}
            ours.peek().is_some_and(|our| our.start <= theirs.start)
        })
    }

    /// The numbers in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut left = self.iter().peekable();
        let mut right = other.iter().peekable();
        let mut union = Self::default();
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(one), Some(two)) if one.start <= two.start => left.next(),
                (Some(_), None) => left.next(),
                (_, Some(_)) => right.next(),
                (None, None) => return union,
            };
            if let Some(interval) = next {
                union.append(interval);
            }
        }
    }

    /// The numbers in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        let mut theirs = other.iter().peekable();
        let mut both = Self::default();
        for ours in self.iter() {
            while let Some(their) = theirs.peek().copied() {
                let shared =
                    Interval::between(ours.start.max(their.start), ours.end.min(their.end));
                both.0.extend(shared);
                if their.end > ours.end {
                    break;
                }
                theirs.next();
            }
        }
        both
    }

    /// The numbers in this set that are not in `other`.
    pub fn subtract(&self, other: &Self) -> Self {
        let mut theirs = other.iter().peekable();
        let mut rest = Self::default();
        for ours in self.iter() {
            let mut start = ours.start;
            while let Some(their) = theirs.peek().copied() {
                rest.0
                    .extend(Interval::between(start, ours.end.min(their.start)));
                start = start.max(their.end);
                if their.end > ours.end {
                    break;
                }
                theirs.next();
            }
            rest.0.extend(Interval::between(start, ours.end));
        }
        rest
    }

    /// Adds one interval.
    pub fn insert(&mut self, interval: Interval) {
        let is_append = self
            .0
            .last()
            .is_none_or(|last| last.start <= interval.start);
        if is_append {
            self.append(interval);
        } else {
            *self = self.union(&Self(vec![interval]));
        }
    }

    /// Adds an interval that starts no earlier than any before it.
    fn append(&mut self, interval: Interval) {
        match self.0.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            Some(_) | None => self.0.push(interval),
        }
    }
}

/// The form of a GTID set: `1-5:7`.
impl fmt::Display for Intervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, interval) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{interval}")?;
        }
        Ok(())
    }
}

impl FromIterator<Interval> for Intervals {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut sorted: Vec<Interval> = intervals.into_iter().collect();
        sorted.sort_unstable();
        let mut set = Self::default();
        for interval in sorted {
            set.append(interval);
        }
        set
    }
}
