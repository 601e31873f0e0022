//! MySQL's GTID sets, tagged ones included (MySQL 8.3 and later).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::interval::{Interval, Intervals};
use super::mysql_text::{self, ParseMysqlGtidError};
use super::uuid::{Tag, Uuid};

/// A set of MySQL's GTIDs: for each originating server and tag, which transaction numbers.
///
/// It reads what a server accepts and prints exactly what a MySQL 9.7 server prints: one line for
/// each UUID in ascending order, the untagged numbers before the tags, and the tags in ascending
/// order. [`one_line`](Self::one_line) is for logs.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MysqlGtidSet {
    /// No entry is empty, so that equal sets are equal values.
    streams: BTreeMap<(Uuid, Option<Tag>), Intervals>,
}

/// The transactions of a set that came from one server with one tag, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MysqlEntry<'a> {
    /// The server the transactions originate from.
    pub uuid: Uuid,
    /// Their tag, if they have one.
    pub tag: Option<&'a Tag>,
    /// Their numbers; never empty.
    pub intervals: &'a Intervals,
}

impl MysqlGtidSet {
    /// The set without any transaction.
    pub const fn new() -> Self {
        Self {
            streams: BTreeMap::new(),
        }
    }

    /// Reads a set as a MySQL 9.7 server does. White space around parts, empty parts, and
    /// intervals in any order or overlapping are accepted; an interval that ends before it starts
    /// is empty.
    ///
    /// # Errors
    /// If the server would refuse the text: what was expected, and at which byte.
    pub fn parse(text: &str) -> Result<Self, ParseMysqlGtidError> {
        mysql_text::parse(text)
    }

    /// The entries in the order in which they are printed.
    pub fn iter(&self) -> impl Iterator<Item = MysqlEntry<'_>> {
        self.streams
            .iter()
            .map(|((uuid, tag), intervals)| MysqlEntry {
                uuid: *uuid,
                tag: tag.as_ref(),
                intervals,
            })
    }

    /// Whether there is no transaction in the set.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// How many transactions are in the set; `u64::MAX` if more than that.
    pub fn count(&self) -> u64 {
        self.streams
            .values()
            .map(Intervals::count)
            .fold(0, u64::saturating_add)
    }

    /// The numbers of one server with one tag, or without, if there are any.
    pub fn intervals(&self, uuid: Uuid, tag: Option<&Tag>) -> Option<&Intervals> {
        self.streams.get(&(uuid, tag.cloned()))
    }

    /// Adds the transactions of one interval.
    pub fn insert(&mut self, uuid: Uuid, tag: Option<Tag>, interval: Interval) {
        self.streams
            .entry((uuid, tag))
            .or_default()
            .insert(interval);
    }

    /// Whether every transaction of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        other.streams.iter().all(|(stream, theirs)| {
            self.streams
                .get(stream)
                .is_some_and(|ours| ours.contains(theirs))
        })
    }

    /// Whether every transaction of this set is in `other`: `GTID_SUBSET(self, other)`.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        other.contains(self)
    }

    /// The transactions in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut streams = self.streams.clone();
        for (stream, theirs) in &other.streams {
            match streams.get_mut(stream) {
                Some(ours) => *ours = ours.union(theirs),
                None => {
                    streams.insert(stream.clone(), theirs.clone());
                }
            }
        }
        Self { streams }
    }

    /// The transactions in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        self.map_streams(|stream, ours| match other.streams.get(stream) {
            Some(theirs) => ours.intersect(theirs),
            None => Intervals::default(),
        })
    }

    /// The transactions of this set that are not in `other`: `GTID_SUBTRACT(self, other)`.
    pub fn subtract(&self, other: &Self) -> Self {
        self.map_streams(|stream, ours| match other.streams.get(stream) {
            Some(theirs) => ours.subtract(theirs),
            None => ours.clone(),
        })
    }

    /// The transactions that originate from one server, whatever their tag.
    pub fn restrict_to_uuid(&self, uuid: Uuid) -> Self {
        self.filter_uuids(|candidate| candidate == uuid)
    }

    /// The transactions that originate from any server but one.
    pub fn without_uuid(&self, uuid: Uuid) -> Self {
        self.filter_uuids(|candidate| candidate != uuid)
    }

    /// The canonical form without line breaks.
    pub fn one_line(&self) -> impl fmt::Display + '_ {
        Separated {
            set: self,
            separator: ",",
        }
    }

    /// The transactions of the servers that are wanted.
    pub(super) fn filter_uuids(&self, is_wanted: impl Fn(Uuid) -> bool) -> Self {
        self.map_streams(|(uuid, _), intervals| {
            if is_wanted(*uuid) {
                intervals.clone()
            } else {
                Intervals::default()
            }
        })
    }

    /// The set with other numbers for each stream; streams left without numbers are dropped.
    fn map_streams(&self, change: impl Fn(&(Uuid, Option<Tag>), &Intervals) -> Intervals) -> Self {
        let changed = self
            .streams
            .iter()
            .map(|(stream, ours)| (stream, change(stream, ours)));
        let streams = changed
            .filter(|(_, intervals)| !intervals.is_empty())
            .map(|(stream, intervals)| (stream.clone(), intervals))
            .collect();
        Self { streams }
    }
}

/// Intervals in any order, overlapping or not.
impl FromIterator<(Uuid, Option<Tag>, Interval)> for MysqlGtidSet {
    fn from_iter<I: IntoIterator<Item = (Uuid, Option<Tag>, Interval)>>(parts: I) -> Self {
        let mut lists: BTreeMap<_, Vec<Interval>> = BTreeMap::new();
        for (uuid, tag, interval) in parts {
            lists.entry((uuid, tag)).or_default().push(interval);
        }
        let streams = lists
            .into_iter()
            .map(|(stream, list)| (stream, list.into_iter().collect()));
        Self {
            streams: streams.collect(),
        }
    }
}

impl FromStr for MysqlGtidSet {
    type Err = ParseMysqlGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for MysqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(
            &Separated {
                set: self,
                separator: ",\n",
            },
            f,
        )
    }
}

impl fmt::Debug for MysqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MysqlGtidSet({})", self.one_line())
    }
}

struct Separated<'a> {
    set: &'a MysqlGtidSet,
    separator: &'static str,
}

impl fmt::Display for Separated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = None;
        for MysqlEntry {
            uuid,
            tag,
            intervals,
        } in self.set.iter()
        {
            if previous != Some(uuid) {
                let separator = if previous.is_some() {
                    self.separator
                } else {
                    ""
                };
                write!(f, "{separator}{uuid}")?;
                previous = Some(uuid);
            }
            if let Some(tag) = tag {
                write!(f, ":{tag}")?;
            }
            write!(f, ":{intervals}")?;
        }
        Ok(())
    }
}
