//! What one MariaDB history has beyond another.
//!
//! A state has only the last number of each server, so where a server's transactions begin is
//! inferred. Within a domain each number is used once and, unless someone wrote to a replica,
//! numbers grow. Then two histories agree up to the highest number that both have from the same
//! server, and everything after that number is the difference.

use std::fmt;

use super::mariadb::{Domain, MariadbGtid, MariadbGtidSet};

/// Consecutive numbers of one server in one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GtidRange {
    /// The replication domain.
    pub domain: u32,
    /// The `server_id` of the originating server.
    pub server: u32,
    /// The lowest number.
    pub first: u64,
    /// The highest number; not below `first`.
    pub last: u64,
}

impl GtidRange {
    /// How many numbers there are; at least one.
    pub const fn count(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    pub(super) const fn last_gtid(self) -> MariadbGtid {
        MariadbGtid {
            domain: self.domain,
            server: self.server,
            seq: self.last,
        }
    }
}

/// `0-1-104..105`, or `0-1-105` for a single number.
impl fmt::Display for GtidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            server,
            first,
            last,
        } = self;
        write!(f, "{domain}-{server}-{first}")?;
        if first == last {
            Ok(())
        } else {
            write!(f, "..{last}")
        }
    }
}

/// What one MariaDB history has beyond another. It prints the ranges, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MariadbDifference {
    missing: Vec<GtidRange>,
    unknown: Vec<MariadbGtid>,
}

impl MariadbDifference {
    /// What the other history certainly lacks, ordered by domain and number. The last number of
    /// each range is a fact. The first is inferred; if numbers went backwards, the range begins
    /// after the last one that the other has from that server, and some in it may not exist.
    pub fn missing(&self) -> &[GtidRange] {
        &self.missing
    }

    /// Last transactions of servers of which the other history may have all or nothing: it is
    /// known there only as a position that lies at or beyond this number.
    pub fn unknown(&self) -> &[MariadbGtid] {
        &self.unknown
    }

    /// How many transactions are missing; `u64::MAX` if more than that.
    pub fn count(&self) -> u64 {
        self.missing
            .iter()
            .map(|range| range.count())
            .fold(0, u64::saturating_add)
    }

    pub(super) fn between(ours: &MariadbGtidSet, theirs: &MariadbGtidSet) -> Self {
        let mut difference = Self::default();
        for (id, domain) in ours.domains() {
            difference.add_domain(id, domain, theirs.domain(id));
        }
        difference
    }

    fn add_domain(&mut self, id: u32, ours: &Domain, theirs: Option<&Domain>) {
        let opaque_through = theirs.map_or(0, Domain::opaque_through);
        let agreed_through = theirs.map_or(0, |theirs| agreed_through(ours, theirs));
        let mut beyond = Vec::new();
        for (server, seq) in ours.seqs() {
            let known = theirs.and_then(|theirs| theirs.seq(server)).unwrap_or(0);
            if seq <= known {
                continue;
            }
            if seq <= opaque_through {
                self.unknown.push(MariadbGtid {
                    domain: id,
                    server,
                    seq,
                });
            } else {
                beyond.push((seq, server, known));
            }
        }
        beyond.sort_unstable();
        let mut counted_through = agreed_through;
        for (last, server, known) in beyond {
            let first = if last > counted_through {
                counted_through + 1
            } else if known > 0 {
                known + 1
            } else {
                last
            };
            counted_through = counted_through.max(last);
            self.missing.push(GtidRange {
                domain: id,
                server,
                first,
                last,
            });
        }
    }
}

/// The number up to which both histories hold the same, as far as it can be told.
fn agreed_through(ours: &Domain, theirs: &Domain) -> u64 {
    let shared = ours
        .seqs()
        .filter_map(|(server, our)| Some(our.min(theirs.seq(server)?)));
    // A history known as a position includes, up to there, whatever the other has.
    let by_their_position = theirs.opaque_through();
    let by_our_position = ours.opaque_through().min(theirs.highest());
    shared
        .max()
        .unwrap_or(0)
        .max(by_their_position)
        .max(by_our_position)
}

impl fmt::Display for MariadbDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.missing.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}
